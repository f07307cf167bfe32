# SPDX-License-Identifier: Apache-2.0
"""What came of a race for a microcontroller as Markdown: the released files, the climb, and goals met or missed."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from micro.release import FLOAT, Row

RESULTS = ("seed", "recipe", "verdict", "top-1 %", "drop, pp", "file B", "arena B", "parameters", "s")
CLIMB = ("recipe", "came to, in seeds", "validation top-1 %", "file B", "arena B", "parameters")
GOALS = ("goal", "asked", "promoted files", "verdict")
VERDICTS = {"baseline": "", "passed": "promoted"}
#: factor and format of a number
PERCENT, POINTS, WHOLE = (100, ".2f"), (100, "+.2f"), (1, ",.0f")


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
        passed_before = row.seed in ends and ends[row.seed].status == "passed"
        if row.recipe != FLOAT and row.size_bytes is not None and not passed_before:
            ends[row.seed] = row
    return list(ends.values())


def results(rows: Sequence[Row]) -> str:
    """One line for the float baseline and for the released (or last) file of each seed, and medians over the seeds."""
    floats, ends = [row for row in rows if row.recipe == FLOAT], released(rows)
    lines = [_line(row) for row in [*floats, *ends]]
    return _table(RESULTS, [*lines, _medians(f"median, {FLOAT}", floats), _medians("**median, last file**", ends)])


def climb(rows: Sequence[Row]) -> str:
    """One line for each recipe of the ladder: how often it ended how, and medians over the seeds in which it came to a file."""
    lines = []
    for recipe in dict.fromkeys(row.recipe for row in rows if row.recipe != FLOAT):
        mine = [row for row in rows if row.recipe == recipe]
        ends = [row.status for row in mine]
        lines.append(
            [
                f"`{recipe}`",
                ", ".join(f"{end} in {ends.count(end)}" for end in dict.fromkeys(ends)),
                _median((row.validation_top1 for row in mine), PERCENT),
                _median((row.size_bytes for row in mine), WHOLE),
                _median((row.arena_bytes for row in mine), WHOLE),
                _median((row.parameters for row in mine), WHOLE),
            ]
        )
    return _table(CLIMB, lines)


def goals(rows: Sequence[Row], asked: Goals) -> str:
    """Each goal: met only where the file of every seed is promoted and reaches it."""
    seeds, files = len({row.seed for row in rows}), [row for row in released(rows) if row.status == "passed"]
    ways: list[tuple[str, str, Callable[[Row], float | None], tuple[int, str], Callable[[float], bool]]] = [
        ("top-1 on test, %", f"≥ {100 * asked.top1:g}", lambda row: row.top1, PERCENT, lambda it: it >= asked.top1),
        ("file, B", f"≤ {asked.size_bytes:,}", lambda row: row.size_bytes, WHOLE, lambda it: it <= asked.size_bytes),
        ("arena, B", f"≤ {asked.arena_bytes:,}", lambda row: row.arena_bytes, WHOLE, lambda it: it <= asked.arena_bytes),
    ]
    lines = []
    for what, limit, value, form, reaches in ways:
        found = [one for row in files if (one := value(row)) is not None]
        reached = sum(reaches(one) for one in found)
        told = f"{_median(found, form)} [{_one(min(found), form)}, {_one(max(found), form)}]" if found else "unknown"
        lines.append([what, limit, told, f"{'met' if reached == seeds else '**missed**'}: {reached} of {seeds} seeds"])
    return _table(GOALS, lines)


def _line(row: Row) -> list[str]:
    float_model = row.recipe == FLOAT
    return [
        str(row.seed),
        f"`{row.recipe}`",
        VERDICTS.get(row.status, row.status),
        _interval(row),
        "" if float_model else _one(row.drop, POINTS),
        _one(row.size_bytes, WHOLE),
        _one(row.arena_bytes, WHOLE),
        _one(row.parameters, WHOLE),
        "" if float_model else _one(row.seconds, WHOLE),
    ]


def _medians(name: str, rows: Sequence[Row]) -> list[str]:
    float_models = all(row.recipe == FLOAT for row in rows)
    return [
        name,
        "",
        "",
        _median((row.top1 for row in rows), PERCENT),
        "" if float_models else _median((row.drop for row in rows), POINTS),
        _median((row.size_bytes for row in rows), WHOLE),
        _median((row.arena_bytes for row in rows), WHOLE),
        _median((row.parameters for row in rows), WHOLE),
        "" if float_models else _median((row.seconds for row in rows), WHOLE),
    ]


def _interval(row: Row) -> str:
    if row.top1 is None or row.top1_low is None or row.top1_high is None:
        return "unknown"
    return f"{100 * row.top1:.2f} [{100 * row.top1_low:.2f}, {100 * row.top1_high:.2f}], {row.split} n={row.n}"


def _one(value: float | None, form: tuple[int, str]) -> str:
    return "unknown" if value is None else format(form[0] * value, form[1])


def _median(values: Iterable[float | None], form: tuple[int, str]) -> str:
    taken = [value for value in values if value is not None]
    return _one(statistics.median(taken), form) if taken else ""


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *lines])
