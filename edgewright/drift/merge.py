# SPDX-License-Identifier: Apache-2.0
"""All devices' reports as one: sketches are merged as they are read, so that memory does not grow with their number."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from edgewright.drift.fleet import Fleet, Group, ReportHead, Window
from edgewright.drift.reference import Reference
from edgewright.drift.report import Refused, check
from edgewright.drift.sums import Sums
from edgewright.drift.survey import (
    OTHERS,
    Refusals,
    Row,
    files_of,
    heads,
    judged_slices,
    lines_of,
    reader_of,
    weights,
    without_odd_privacy,
    without_repeated,
)

#: below so many bytes of reports, starting further processes takes longer than it saves
WORTH_A_PROCESS = 50_000_000
#: model, slice, epsilon, part of the week: what is merged into one
Key = tuple[str, str, float | None, str]


def merge_reports(
    reports: Path, references: Mapping[str, Reference], now: float, max_device_share: float, processes: int | None = None
) -> Fleet:
    """Read all reports of the last week and merge those that can be trusted to be what they say.

    Args:
        reports: a folder, or one file.
        references: by the model's digest.
        now: seconds since 1970, UTC.
        max_device_share: of the samples, that one device may have.
        processes: left out, as many as there are cores where there is much to read.

    Raises:
        DataError: there are no reports.
    """
    files = files_of(reports)
    count = processes or _worth(files)
    parts = [[(number, files[number]) for number in range(start, len(files), count)] for start in range(count)]
    parts = [part for part in parts if part]
    with _Workers(len(parts)) as workers:
        surveyed = workers.map(partial(heads, references=references, now=now), parts)
        refused = Refusals()
        for _, _, some in surveyed:
            refused.join(some)
        names = [file.name for file in files]
        rows = without_repeated((row for some, _, _ in surveyed for row in some), names, refused)
        rows = without_odd_privacy(rows, names, max_device_share, refused)
        slices = judged_slices(rows, max_device_share)
        weight = weights(rows, max_device_share, slices)
        plans = _plans(rows, weight, slices, len(parts))
        merged = workers.map(partial(_merge_part, references=references, now=now), list(zip(parts, plans, strict=True)))
    sums: dict[Key, Sums] = defaultdict(Sums)
    for part, some in merged:
        refused.join(some)
        for key, one in part.items():
            sums[key].join(Sums.loaded(one))
    return Fleet(
        now=now,
        heads=tuple(_head(row, names) for row in rows),
        old=sum(old for _, old, _ in surveyed),
        refused=dict(refused.counts),
        examples={reason: tuple(some) for reason, some in refused.examples.items()},
        groups=tuple(
            group
            for group in _groups(sums, rows, weight, slices)
            if group.slice is None or group.devices * max_device_share >= 1
        ),
    )


class _Workers:
    """Processes where there is much to read, else this one."""

    def __init__(self, count: int) -> None:
        # Spawned: a fork of a process with threads, as ZenML's is, can hang.
        self._pool = ProcessPoolExecutor(count, get_context("spawn")) if count > 1 else None

    def map(self, function: Callable[[Any], Any], arguments: Sequence[Any]) -> list[Any]:
        """Results in the order of the arguments."""
        return list((self._pool.map if self._pool else map)(function, arguments))

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown()


def _merge_part(
    task: tuple[Sequence[tuple[int, Path]], Mapping[tuple[int, int], tuple[Key, float]]],
    references: Mapping[str, Reference],
    now: float,
) -> tuple[dict[Key, dict[str, Any]], Refusals]:
    """Merge the reports of some files that are to be taken; checked again, since a file may have changed meanwhile."""
    files, plan = task
    sums: dict[Key, Sums] = defaultdict(Sums)
    refused = Refusals()
    for number, file in files:
        read = reader_of(file)
        for line, text in lines_of(file):
            if (number, line) not in plan:
                continue
            key, weight = plan[number, line]
            try:
                report = read(text)
                if report.model not in references:
                    raise Refused("unknown model", report.model[:12])
                check(report, references[report.model], now)
                sums[key].add(report, weight)
            except Refused as error:
                refused.add(error.reason, f"{file.name}:{line}: {error.detail}")
    return {key: one.dumped() for key, one in sums.items()}, refused


def _plans(
    rows: Sequence[Row], weight: Sequence[float], slices: set[tuple[str, str]], parts: int
) -> list[dict[tuple[int, int], tuple[Key, float]]]:
    """For each part of the files, which reports are taken, where they belong and how much of them counts."""
    plans: list[dict[tuple[int, int], tuple[Key, float]]] = [{} for _ in range(parts)]
    for row, one in zip(rows, weight, strict=True):
        name = row.slice if (row.model, row.slice) in slices else OTHERS
        plans[row.file % parts][row.file, row.line] = (row.model, name, row.epsilon, row.part), one
    return plans


def _groups(
    sums: Mapping[Key, Sums], rows: Sequence[Row], weight: Sequence[float], slices: set[tuple[str, str]]
) -> Iterable[Group]:
    """Every model's devices together and slice by slice, of the last day, and of the last week where it holds more days."""
    kinds = dict.fromkeys((model, epsilon) for model, _, epsilon, _ in sorted(sums, key=str))
    for model, epsilon in kinds:
        for name in (None, *sorted(one for of, one in slices if of == model)):
            for window in ("day", "week"):
                keys = [
                    key for key in sums
                    if (key[0], key[2]) == (model, epsilon) and name in (None, key[1]) and window in ("week", key[3])
                ]  # fmt: skip
                if keys and (window == "day" or any(key[3] != "day" for key in keys)):  # a week of one day is that day
                    yield _group(keys, window, name, sums, rows, weight)


def _group(
    keys: Sequence[Key],
    window: Window,
    name: str | None,
    sums: Mapping[Key, Sums],
    rows: Sequence[Row],
    weight: Sequence[float],
) -> Group:
    total = Sums()
    for key in sorted(keys, key=str):
        total.join(sums[key])
    model, _, epsilon, _ = keys[0]
    counted: dict[str, float] = defaultdict(float)
    for row, one in zip(rows, weight, strict=True):
        if (row.model, row.epsilon) == (model, epsilon) and name in (None, row.slice) and window in ("week", row.part):
            counted[row.device] += one * row.samples
    samples = sum(counted.values())
    return Group(
        model=model,
        slice=name,
        epsilon=epsilon,
        window=window,
        devices=len(counted),
        samples=samples,
        largest_share=max(counted.values()) / samples,
        features=total.features(),
        classes=None if total.classes is None else tuple(total.classes.tolist()),
    )


def _head(row: Row, names: Sequence[str]) -> ReportHead:
    return ReportHead(
        origin=f"{names[row.file]}:{row.line}" if row.line else names[row.file],
        model=row.model,
        device=row.device,
        slice=row.slice,
        day=row.part == "day",
        hours=(row.end - row.start) / 3600,
        samples=row.samples,
        missing=row.missing,
    )


def _worth(files: Sequence[Path]) -> int:
    size = sum(file.stat().st_size for file in files)
    return max(1, min(os.cpu_count() or 1, len(files), size // WORTH_A_PROCESS))
