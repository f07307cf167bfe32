# SPDX-License-Identifier: Apache-2.0
"""The report page: ReleaseFacts as one HTML file that needs nothing else, no network and no script.

Names, labels and reasons come from users and toolkits: everything is escaped, and the page's own
Content-Security-Policy forbids scripts and every outside resource.
"""

import functools
from collections.abc import Callable
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edgewright.config.gate import GateConfig, Measuring, ParityLimits
from edgewright.measure import Measurement
from edgewright.report import plots, shown, text
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts

#: outcome or status -> its sign and its word on the page
STATES = {
    "pass": ("✓", "passed"),
    "passed": ("✓", "passed"),
    "inconclusive": ("?", "inconclusive"),
    "fail": ("✕", "failed"),
    "unpromoted": ("✕", "passed, not promoted"),
    "failed": ("✕", "failed"),
    "refused": ("✕", "refused"),
    "skipped": ("–", "skipped"),
    "outdone": ("–", "outdone"),
    "none": ("✓", "no drift"),
    "watch": ("?", "watch"),
    "drift": ("✕", "drift"),
}

_FILTERS: tuple[Callable[..., str], ...] = (
    text.quantity,
    text.interval,
    text.level,
    text.times,
    text.difference,
    text.limit,
    text.judged,
    text.machine,
    text.named,
    text.tensor,
    text.plural,
)


def render_page(facts: ReleaseFacts) -> str:
    """Return the report as HTML; the same facts give the same text."""
    page = environment().get_template("page.html.j2")
    return page.render(
        facts=facts,
        shown=shown,
        unit=shown.metric_unit(facts),
        training=_training_plots(facts),
        pictures=[_target_plots(facts, target, index) for index, target in enumerate(facts.targets)],
        settings=_settings(facts.config),
        config=yaml.safe_dump({"parameters": {"config": facts.config}}, sort_keys=False, allow_unicode=True),
    )


def measurement_rows(
    rung: RungFacts, metric: str
) -> list[tuple[str, str, Measurement | None, Measurement | None, Measurement | None]]:
    """Every measurement of a rung: (name, split, artifact, float parent, ratio); what nobody took stands as None."""
    rows = [
        (name, run.split, run.measurements.get(name), run.parent.get(name), run.ratios.get(name))
        for name in dict.fromkeys([metric, *text.QUANTITIES, *(name for run in shown.runs(rung) for name in _names(run))])
        for run in shown.runs(rung)
        if name in _names(run)
    ]
    taken = {row[0] for row in rows}
    return rows + [(name, "", None, None, None) for name in (metric, *text.QUANTITIES) if name not in taken]


def _names(run: Any) -> list[str]:
    return [*run.measurements, *run.parent, *run.ratios, *run.unknown]


def _target_plots(facts: ReleaseFacts, target: TargetFacts, index: int) -> dict[str, Markup | None]:
    rung = shown.rung_of(target)
    drawn = {
        "size": plots.tradeoff(facts, target, "size_bytes", f"t{index}-size"),
        "latency": plots.tradeoff(facts, target, "latency_p95_ms", f"t{index}-latency"),
        "bars": plots.latency_bars(target, f"t{index}-bars"),
        "confusion": plots.confusion_change(rung.confusion, f"t{index}-confusion") if rung and rung.confusion else None,
    }
    return {name: Markup(picture) if picture else None for name, picture in drawn.items()}  # noqa: S704 - matplotlib escapes its texts


def _training_plots(facts: ReleaseFacts) -> list[Markup]:
    if not facts.candidate.history:
        return []
    drawn = (
        plots.training_loss(facts.candidate),
        plots.training_score(facts.candidate, facts.metric, shown.metric_unit(facts)),
    )
    return [Markup(picture) for picture in drawn]  # noqa: S704 - matplotlib escapes its texts


def _settings(config: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """Settings of gate and measuring as (key, value, what it means), the meaning from the configuration's own words."""
    groups = (("gate", GateConfig), ("gate.parity", ParityLimits), ("measuring", Measuring))
    rows = []
    for path, kind in groups:
        values = functools.reduce(lambda part, key: part.get(key) or {}, path.split("."), config)
        for key, field in kind.model_fields.items():
            if key in values and key != "parity":
                rows.append((f"{path}.{key}", values[key], field.description or ""))
    return rows


@functools.cache
def environment() -> Environment:
    """Return what renders pages: everything is escaped, and a name that is not there is an error."""
    environment = Environment(
        loader=PackageLoader("edgewright", "report/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(STATES=STATES, UNKNOWN=text.UNKNOWN, rows=measurement_rows)
    environment.filters.update({function.__name__: function for function in _FILTERS})
    return environment
