# SPDX-License-Identifier: Apache-2.0
"""What came of a race for a microcontroller: tables as Markdown, goals met or missed, and the climb as a picture."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from micro.release import FLOAT, Row

COLUMNS = ("seed", "recipe", "verdict", "top-1 % on test", "drop, pp", "file B", "arena B", "parameters", "s")
CLIMB = ("recipe", "in seeds", "came to", "validation top-1 %", "file B", "arena B", "parameters")


@dataclass(frozen=True)
class Goals:
    """What a race asks of the promoted file of every seed."""

    top1: float
    size_bytes: int
    arena_bytes: int


def released(rows: Iterable[Row]) -> list[Row]:
    """Return of each seed the rung that passed; where none did, the last that came to a file."""
    ends: dict[int, Row] = {}
    for row in rows:
        if row.recipe != FLOAT and row.size_bytes is not None and (row.seed not in ends or ends[row.seed].status != "passed"):
            ends[row.seed] = row
    return list(ends.values())


def results(rows: Sequence[Row]) -> str:
    """One line for the float baseline and one for the released file of each seed, and their medians over the seeds."""
    floats, ends = [row for row in rows if row.recipe == FLOAT], released(rows)
    lines = [_line(row) for seed_rows in ((floats), (ends)) for row in seed_rows]
    lines += [_median("median, float", floats), _median("**median, released**", ends)]
    return _table(COLUMNS, lines)


def climb(rows: Sequence[Row]) -> str:
    """One line for each recipe of the ladder: how it ended, and medians over the seeds in which it came to a file."""
    lines = []
    for recipe in dict.fromkeys(row.recipe for row in rows if row.recipe != FLOAT):
        mine = [row for row in rows if row.recipe == recipe]
        ends = ", ".join(f"{status} {count}x" for status, count in _counted(row.status for row in mine))
        judged = [row.validation_top1 for row in mine]
        lines.append(
            [
                f"`{recipe}`",
                str(len(mine)),
                ends,
                _mid(judged, 100, ".2f"),
                _mid((row.size_bytes for row in mine), 1, ",.0f"),
                _mid((row.arena_bytes for row in mine), 1, ",.0f"),
                _mid((row.parameters for row in mine), 1, ",.0f"),
            ]
        )
    return _table(CLIMB, lines)


def goals(rows: Sequence[Row], asked: Goals) -> str:
    """Each goal: met only where the file of every seed is promoted and reaches it."""
    ends, seeds = released(rows), len({row.seed for row in rows})
    promoted = [row for row in ends if row.status == "passed" and row.split == "test"]
    lines = [
        _goal("top-1 on test, %", f"≥ {100 * asked.top1:g}", ((row.top1, row.top1 is not None and row.top1 >= asked.top1)
              for row in promoted), 100, ".2f", seeds),
        _goal("file, B", f"≤ {asked.size_bytes:,}", ((row.size_bytes, (row.size_bytes or 0) <= asked.size_bytes)
              for row in promoted), 1, ",.0f", seeds),
        _goal("TFLite Micro arena, B (emulated)", f"≤ {asked.arena_bytes:,}",
              ((row.arena_bytes, row.arena_bytes is not None and row.arena_bytes <= asked.arena_bytes) for row in promoted),
              1, ",.0f", seeds),
    ]  # fmt: skip
    return _table(("goal", "asked", "promoted files: median [range]", "verdict"), lines)


def _goal(
    what: str, asked: str, found: Iterable[tuple[float | None, bool]], factor: float, form: str, seeds: int
) -> list[str]:
    taken = list(found)
    reached = sum(met for _, met in taken)
    verdict = f"{'met' if reached == seeds else '**missed**'}, in {reached} of {seeds} seeds"
    values = [factor * value for value, _ in taken if value is not None]
    if not values:
        return [what, asked, "unknown", verdict]
    low, high = format(min(values), form), format(max(values), form)
    return [what, asked, f"{format(statistics.median(values), form)} [{low}, {high}]", verdict]


def _line(row: Row) -> list[str]:
    return [
        str(row.seed),
        f"`{row.recipe}`",
        {"passed": "promoted", "baseline": "float baseline"}.get(row.status, row.status),
        _interval(row),
        "" if row.recipe == FLOAT else _one(row.drop, 100, "+.2f"),
        _one(row.size_bytes, 1, ",.0f"),
        _one(row.arena_bytes, 1, ",.0f"),
        _one(row.parameters, 1, ",.0f"),
        "" if row.recipe == FLOAT else _one(row.seconds, 1, ".0f"),
    ]


def _interval(row: Row) -> str:
    if row.top1 is None or row.top1_low is None or row.top1_high is None:
        return "unknown"
    where = "" if row.split == "test" else f", {row.split}"
    return f"{100 * row.top1:.2f} [{100 * row.top1_low:.2f}, {100 * row.top1_high:.2f}] (n={row.n}{where})"


def _median(name: str, rows: Sequence[Row]) -> list[str]:
    own = bool(rows) and rows[0].recipe != FLOAT
    return [
        name,
        "",
        "",
        _mid((row.top1 for row in rows), 100, ".2f"),
        _mid((row.drop for row in rows), 100, "+.2f") if own else "",
        _mid((row.size_bytes for row in rows), 1, ",.0f"),
        _mid((row.arena_bytes for row in rows), 1, ",.0f"),
        _mid((row.parameters for row in rows), 1, ",.0f"),
        _mid((row.seconds for row in rows), 1, ".0f") if own else "",
    ]


def _one(value: float | None, factor: float, form: str) -> str:
    return "unknown" if value is None else format(factor * value, form)


def _mid(values: Iterable[float | None], factor: float, form: str) -> str:
    taken = [factor * value for value in values if value is not None]
    return format(statistics.median(taken), form) if taken else ""


def _counted(values: Iterable[str]) -> list[tuple[str, int]]:
    taken = list(values)
    return [(value, taken.count(value)) for value in dict.fromkeys(taken)]


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *lines])


def plot(rows: Sequence[Row], asked: Goals, title: str, file: Path) -> None:
    """Draw file size against arena of every rung that came to a file, as SVG; the same rows give the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "race", "svg.fonttype": "none", "font.size": 10})
    figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    ends = {(row.seed, row.recipe) for row in released(rows) if row.status == "passed"}
    made = [row for row in rows if row.size_bytes is not None and row.arena_bytes is not None]
    for recipe, colour in zip(dict.fromkeys(row.recipe for row in made), mpl.colormaps["tab10"].colors, strict=False):  # type: ignore[attr-defined]
        for promoted in (False, True):
            mine = [row for row in made if row.recipe == recipe and ((row.seed, recipe) in ends) == promoted]
            look: dict[str, Any] = {"marker": "*", "s": 160} if promoted else {"marker": "o", "s": 40, "alpha": 0.7}
            if mine:
                label = f"{recipe}{', promoted' if promoted else ''} ({len(mine)} seed{'s' if len(mine) > 1 else ''})"
                axes.scatter(
                    [(row.size_bytes or 0) / 1000 for row in mine],
                    [(row.arena_bytes or 0) / 1000 for row in mine],
                    color=[colour],
                    label=label,
                    **look,
                )
    axes.set(xlabel="file, kB", ylabel="TFLite Micro arena, kB (emulated)", title=title)
    axes.set_xlim(0, 1.1 * max(row.size_bytes or 0 for row in made) / 1000)
    axes.set_ylim(0, 1.1 * max(asked.arena_bytes, *(row.arena_bytes or 0 for row in made)) / 1000)
    corner = (asked.size_bytes / 1000, asked.arena_bytes / 1000)
    axes.fill_between([0, corner[0]], 0, corner[1], color="tab:green", alpha=0.1, label="both goals kept")
    axes.grid(alpha=0.2)
    axes.legend(fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
