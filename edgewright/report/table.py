# SPDX-License-Identifier: Apache-2.0
"""The result as a table for terminals and logs, with the reasons for all that was refused below it."""

import io

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgewright.measure import Evidence, Measurement
from edgewright.report import shown, text
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts

_MARKS: dict[Evidence, str] = {"measured": "", "emulated": "*", "estimated": "~"}
_LEGEND = "*: emulated, ~: estimated, no mark: measured. [a, b]: interval. /: float parent, ×: artifact over it."
_SIGNS = {
    "pass": ("✓ pass", "green"),
    "inconclusive": ("? inconclusive", "yellow"),
    "fail": ("✕ fail", "red"),
    "unpromoted": ("✕ not promoted", "red"),
}


def render_table(facts: ReleaseFacts, console: Console) -> None:
    """Print the result of every target, and why each refused rung was refused; made for 80 columns and more."""
    table = Table(box=None, padding=(0, 1, 1, 0), pad_edge=False, header_style="bold")
    table.add_column("Target", overflow="fold", min_width=14, max_width=22)
    table.add_column("Rung", overflow="fold", max_width=max(8, console.width - 70))  # the numbers need 70 columns, whole
    for heading in (facts.metric, "Worst\ndiff.", "Size", "p95", "Memory"):
        table.add_column(heading, overflow="fold")
    for target in facts.targets:
        table.add_row(*_row(facts, target))
    promoted = f"{shown.promoted(facts)} of {text.plural(len(facts.targets), 'target')} promoted"
    console.print(Text(f"{text.plain(facts.release)}: {promoted}", style="bold"))
    console.print()
    console.print(table)
    console.print(Text(_LEGEND, style="dim"))
    for target in facts.targets:
        _print_notes(target, console)
    for target in facts.refused:
        _print_reasons(target, console)


def as_text(facts: ReleaseFacts, width: int = 120) -> str:
    """Return the same as plain text, without colours or trailing blanks."""
    page = io.StringIO()
    render_table(facts, Console(file=page, width=width, color_system=None, force_terminal=False, legacy_windows=False))
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()) + "\n"


def _row(facts: ReleaseFacts, target: TargetFacts) -> list[Text]:
    rung = shown.rung_of(target)
    sign, colour = _SIGNS[shown.state(target)]
    return [
        _lines((text.plain(target.name), "bold"), (text.plain(target.runtime), "dim"), (sign, colour)),
        _lines((text.plain(rung.recipe) if rung else "none", "")),
        _score(facts, rung),
        _difference(facts, rung),
        *(_cost(rung, name) for name in ("size_bytes", shown.latency_name(rung), "peak_memory_bytes")),
    ]


def _score(facts: ReleaseFacts, rung: RungFacts | None) -> Text:
    found, before = shown.taken(rung, facts.metric), shown.float_score(facts, rung)
    if not found:
        return _lines((text.UNKNOWN, "italic"))
    score, run = found
    change = text.difference(score.value - before.value, score.unit) if before else ""
    return _lines(
        (_marked(score), "bold"), (text.interval(score).removesuffix(" %"), "dim"), (change, "dim"), (run.split, "dim")
    )


def _difference(facts: ReleaseFacts, rung: RungFacts | None) -> Text:
    compared = shown.parity(rung)
    if not compared:
        return _lines((text.UNKNOWN, "italic"))
    parity, run = compared
    lsb = parity.worst_difference_lsb
    worst = f"{parity.worst_difference:.3g}" if lsb is None else f"{lsb:.3g} LSB"
    return _lines(
        (worst + _MARKS[shown.parity_evidence(facts, run)], ""), (text.quantity(parity.relative_difference, "fraction"), "dim")
    )


def _cost(rung: RungFacts | None, name: str) -> Text:
    taken, ratio = shown.measurement(rung, name), shown.ratio(rung, name)
    if taken is None:
        return _lines((text.UNKNOWN, "italic"))
    before = shown.parent(rung, name)
    return _lines((_marked(taken), ""), (f"/ {text.quantity(before.value, before.unit)}" if before else "", "dim"),
                  (text.times(ratio) if ratio else "", "dim"))  # fmt: skip


def _marked(taken: Measurement) -> str:
    return text.quantity(taken.value, taken.unit) + _MARKS[taken.evidence]


def _print_notes(target: TargetFacts, console: Console) -> None:
    """Print what a person has to know: of a compiled file, what stays on the CPU; of a device, that it throttled."""
    rung = shown.rung_of(target)
    notes = rung.manifest.package.notes if rung and rung.manifest and rung.manifest.package else ()
    if told := " ".join([*notes, *shown.notes(rung)]):
        console.print(Text(text.plain(f"{target.name}: {told}")))


def _print_reasons(target: TargetFacts, console: Console) -> None:
    console.print()
    console.print(Text(f"{text.plain(target.name)} was not promoted", style="bold"))
    if target.not_promoted:
        why = f"{text.plain(target.not_promoted)} It passed the gate; the artifact and its signed bundle lie in refused/."
        console.print(Padding(Text(why), (0, 0, 0, 2)))
        return
    for rung in target.rungs:
        why = text.plain(" ".join(rung.reasons)) or "no reason was recorded"
        console.print(Padding(Text(f"{text.plain(rung.recipe)} {rung.status}: {why}"), (0, 0, 0, 2)))
    if not target.rungs:
        console.print(Padding(Text("The ladder has no rung for this target."), (0, 0, 0, 2)))


def _lines(*parts: tuple[str, str]) -> Text:
    return Text("\n").join(Text(line, style=style) for line, style in parts if line)
