# SPDX-License-Identifier: Apache-2.0
"""The drift page: DriftFacts as one HTML file that needs nothing else; and drift.json beside it."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from edgewright.drift.facts import DriftFacts, FeatureDrift, GroupDrift, Shares
from edgewright.report import svg
from edgewright.report.atomic import write_text
from edgewright.report.page import environment
from edgewright.report.text import plural

#: pictures of a group; all features are in its table
MOST_PICTURES = 40
_HEADLINES = {
    "none": "No drift",
    "watch": "Watch: a difference that is real and small",
    "drift": "Drift",
}


def render_drift(facts: DriftFacts) -> str:
    """Return the report as HTML; the same facts give the same text."""
    pages = environment().overlay()
    pages.filters = {**pages.filters, "titled": titled, "why": why, "sentence": _sentence, "probability": probability}
    return pages.get_template("drift.html.j2").render(
        facts=facts,
        headline=_HEADLINES[facts.verdict],
        pictures=[_pictures(group, index) for index, group in enumerate(facts.groups)],
    )


def write_drift(facts: DriftFacts, folder: Path, html: str | None = None) -> tuple[Path, Path]:
    """Write drift.html and drift.json into ``folder``, each whole or not at all; return their paths.

    Raises:
        StoreError: the folder cannot be written.
    """
    page, record = folder / "drift.html", folder / "drift.json"
    write_text(page, html or render_drift(facts))
    write_text(record, facts.model_dump_json(indent=1) + "\n")
    return page, record


def titled(group: GroupDrift) -> str:
    """Name a group: 'phone, slice eu, last day'."""
    parts = [group.target, f"slice {group.slice}" if group.slice else "all devices", f"last {group.window}"]
    return ", ".join([*parts, *(["randomized"] if group.epsilon else [])])


def why(group: GroupDrift) -> str:
    """Say what made the verdict, in a line."""
    found = [feature for feature in group.features if feature.verdict != "none"]
    if not found:
        return f"{plural(len(group.features), 'feature')} of {plural(group.devices, 'device')}, {group.samples:,.0f} samples."
    named = ", ".join(f"{feature.name} by {feature.size:.2f}" for feature in found[:4])
    return f"Differs from the reference: {named}{f' and {len(found) - 4} more' if len(found) > 4 else ''}."


def probability(value: float) -> str:
    """Write a p-value or a level."""
    if value < 1e-300:
        return "< 1e-300"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def _sentence(feature: FeatureDrift) -> str:
    return f"Size {feature.size:.3f}, p {probability(feature.p_value)}. Grey: reference. Line: devices."


def _pictures(group: GroupDrift, index: int) -> list[tuple[FeatureDrift, Markup]]:
    """All features of all devices' last day; of other groups those that differ."""
    plain = group.slice is None and group.window == "day"
    shown = [feature for feature in group.features if plain or feature.verdict != "none"][:MOST_PICTURES]
    drawn = [_picture(feature, f"g{index}-f{number}") for number, feature in enumerate(shown)]
    return [(feature, Markup(picture)) for feature, picture in zip(shown, drawn, strict=True)]  # noqa: S704 - matplotlib escapes its texts


def _picture(feature: FeatureDrift, name: str) -> str:
    shares, colour = feature.shares, {"none": svg.PASS, "watch": svg.UNSURE, "drift": svg.FAIL}[feature.verdict]

    def paint(axes: Any) -> None:
        if shares.edges:
            axes.stairs(shares.reference, shares.edges, fill=True, color=svg.FLOAT, alpha=0.45)
            axes.stairs(shares.devices, shares.edges, color=colour, linewidth=1.8)
        else:
            _bars(axes, shares, colour)
        axes.set_ylabel("share of samples")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value * 100:.3g} %")
        axes.grid(axis="x", visible=False)

    said = f"{feature.name}: reference and devices by share of samples; they differ by {feature.size:.3f}, {feature.verdict}."
    return svg.draw(name, said, paint, height=2.4)


def _bars(axes: Any, shares: Shares, colour: str) -> None:
    places = range(len(shares.reference))
    axes.bar(places, shares.reference, width=0.8, color=svg.FLOAT, alpha=0.45)
    axes.stairs(shares.devices, [place - 0.5 for place in range(len(shares.devices) + 1)], color=colour, linewidth=1.8)
    every = max(1, len(shares.names) // 12)
    names = [name if len(name) <= 10 else name[:9] + "…" for name in shares.names]
    axes.set_xticks(list(places)[::every], names[::every], rotation=45 if max(map(len, names), default=0) > 3 else 0)
