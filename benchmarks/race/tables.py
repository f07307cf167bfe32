# SPDX-License-Identifier: Apache-2.0
"""The race as Markdown: medians over the seeds with their range, the goals, and every seed."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from race.measure import EDGEWRIGHT, FLOAT, MARGIN, Row

SMALLER, FASTER, REMOVED, THAN_PEERS = 20.0, 10.0, 0.95, 6.0
COLUMNS = ("way", "runtime", "size B", "times smaller", "latency, to float", "times faster", "top-1 %", "difference, pp",
           f"non-inferior at {100 * MARGIN:g} pp")  # fmt: skip


def over_seeds(rows: Sequence[Row]) -> str:
    """One line a way: median over the seeds, and in brackets the smallest and largest."""
    lines = []
    for runtime, way in dict.fromkeys((row.runtime, row.way) for row in rows):
        mine = [row for row in rows if (row.runtime, row.way) == (runtime, way)]
        lines.append(
            [
                _name(mine),
                runtime,
                _range((row.size_bytes for row in mine), ",.0f"),
                _range((row.times_smaller for row in mine), ".1f"),
                _range((row.latency_ratio for row in mine), ".3f"),
                _range((row.times_faster for row in mine), ".1f"),
                _range((100 * row.top1 for row in mine), ".2f"),
                "" if way == FLOAT else _range((row.difference_pp for row in mine), "+.2f"),
                "" if way == FLOAT else f"{sum(row.non_inferior for row in mine)} of {len(mine)} seeds",
            ]
        )
    return _table(COLUMNS, lines)


def one_seed(rows: Sequence[Row], seed: int) -> str:
    """One line a way; in brackets 95 % intervals."""
    lines = [
        [
            _name([row]),
            row.runtime,
            f"{row.size_bytes:,}",
            f"{row.times_smaller:.1f}",
            f"{row.latency_ratio:.3f} [{row.latency_ratio_low:.3f}, {row.latency_ratio_high:.3f}]",
            f"{row.times_faster:.1f}",
            f"{100 * row.top1:.2f}",
            ""
            if row.way == FLOAT
            else f"{row.difference_pp:+.2f} [{row.difference_low_pp:+.2f}, {row.difference_high_pp:+.2f}]",
            "" if row.way == FLOAT else "yes" if row.non_inferior else "no",
        ]
        for row in rows
        if row.seed == seed
    ]
    return _table(COLUMNS, lines)


def goals(rows: Sequence[Row]) -> str:
    """Each goal in each runtime: met only where every seed's artifact is promoted, non-inferior and reaches it."""
    seeds = len({row.seed for row in rows})
    ways: list[tuple[str, float, Callable[[Row], float | None], str]] = [
        ("times smaller than float", SMALLER, lambda row: row.times_smaller, ".1f"),
        ("times faster than float", FASTER, lambda row: row.times_faster, ".1f"),
        ("share of parameters removed", REMOVED, lambda row: row.parameters_removed, ".3f"),
        ("times smaller than the best peer", THAN_PEERS, lambda row: than_best_peer(row, rows), ".1f"),
    ]
    lines = []
    for runtime in dict.fromkeys(row.runtime for row in rows):
        own = [row for row in rows if row.way == EDGEWRIGHT and row.runtime == runtime]
        valid = [row for row in own if row.promoted and row.non_inferior]
        asked = f"promoted, and non-inferior at {100 * MARGIN:g} pp"
        told = _range((row.difference_pp for row in own), "+.2f") + " pp" if own else "unknown"
        lines.append(["top-1 against float", runtime, asked, told, _verdict(len(valid), seeds)])
        for what, least, value, form in ways:
            found = [taken for row in own if (taken := value(row)) is not None]
            reached = sum((value(row) or 0) >= least for row in valid)
            told = _range(found, form) if found else "unknown"
            lines.append([what, runtime, f"≥ {least:g}", told, _verdict(reached, seeds)])
        both = sum(row.times_smaller >= SMALLER and row.times_faster >= FASTER for row in valid)
        lines.append(["both smaller and faster", runtime, f"≥ {SMALLER:g} and ≥ {FASTER:g}", "", _verdict(both, seeds)])
    return _table(("goal", "runtime", "asked", "reached", "verdict"), lines)


def than_best_peer(row: Row, rows: Iterable[Row]) -> float | None:
    """How many times smaller than the smallest peer of the same runtime and seed that is non-inferior itself; None without."""
    peers = [
        one.size_bytes
        for one in rows
        if (one.seed, one.runtime) == (row.seed, row.runtime) and one.way not in (EDGEWRIGHT, FLOAT) and one.non_inferior
    ]
    return min(peers) / row.size_bytes if peers else None


def _verdict(reached: int, seeds: int) -> str:
    return f"{'met' if reached == seeds else '**missed**'}: {reached} of {seeds} seeds"


def _name(rows: Sequence[Row]) -> str:
    if rows[0].way != EDGEWRIGHT:
        return rows[0].way
    refused = "" if all(row.promoted for row in rows) else ", not promoted in every seed" if len(rows) > 1 else ", not promoted"
    return f"**{EDGEWRIGHT}** `{'`, `'.join(sorted({row.recipe for row in rows}))}`{refused}"


def _difference(row: Row) -> str:
    told = f"{row.difference_pp:+.2f} [{row.difference_low_pp:+.2f}, {row.difference_high_pp:+.2f}]"
    return "" if row.way == FLOAT else told


def _range(values: Iterable[float], form: str) -> str:
    taken = list(values)
    middle = format(statistics.median(taken), form)
    low, high = format(min(taken), form), format(max(taken), form)
    return middle if low == high else f"{middle} [{low}, {high}]"


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *lines])
