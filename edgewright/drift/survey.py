# SPDX-License-Identifier: Apache-2.0
"""Which reports count, and how much: heads alone, before any sketch is opened.

A device's share is capped, since whoever holds one device must not decide what the fleet is said to see.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from edgewright.drift.cbor import parse_cbor
from edgewright.drift.reference import Reference
from edgewright.drift.report import LONGEST, DeviceReport, Refused, check, parse
from edgewright.errors import DataError

#: the last day is judged by itself, and as part of the last week, which shows what is too small for a day
Part = Literal["day", "rest of the week"]
DAY, WEEK = 86_400, 7 * 86_400
#: slices that are not judged by themselves, since they have too few devices, are merged under this name
OTHERS = ""
#: seconds by which the clock of a device may have been set back between two reports
CLOCK = 60
_EXAMPLES = 5
#: endings of files with reports, and what reads one
_READ: dict[str, Callable[[bytes], DeviceReport]] = {".json": parse, ".jsonl": parse, ".cbor": parse_cbor}


class Row(NamedTuple):
    """The head of a report that is taken."""

    file: int
    line: int
    model: str
    device: str
    slice: str
    epsilon: float | None
    part: Part
    sequence: int
    start: int
    end: int
    samples: int
    missing: float


@dataclass
class Refusals:
    """How many reports are not taken, by reason, with the first few of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, example: str) -> None:
        """Count one."""
        self.counts[reason] += 1
        known = self.examples.setdefault(reason, [])
        if len(known) < _EXAMPLES:  # it may hold what a stranger wrote: nothing that a terminal would obey
            known.append("".join(one if one.isprintable() else "?" for one in example))

    def join(self, other: "Refusals") -> None:
        """Count those of another part of the files."""
        for reason, count in other.counts.items():
            self.counts[reason] += count
            known = self.examples.setdefault(reason, [])
            known.extend(other.examples[reason][: _EXAMPLES - len(known)])


def files_of(reports: Path) -> list[Path]:
    """All reports: .json and .cbor files of one, .jsonl files of one a line, in a folder and those below it; or one file.

    Raises:
        DataError: there are none.
    """
    if reports.is_file():
        return [reports]
    found = sorted(file for file in reports.rglob("*.*") if file.suffix in _READ and file.is_file())
    if not found:
        raise DataError(
            "there are no reports: no .json, .jsonl or .cbor file",
            where=str(reports),
            to_do="name the folder that devices' reports go to",
        )
    return found


def lines_of(file: Path) -> Iterator[tuple[int, bytes]]:
    """The reports of a file with their line, none of them longer than is parsed, so that one file cannot fill the memory."""
    with file.open("rb") as stream:
        if file.suffix != ".jsonl":
            yield 0, stream.read(LONGEST + 1)
            return
        number = 0
        while line := stream.readline(LONGEST + 1):
            number += 1
            yield number, line
            while len(line) > LONGEST and not line.endswith(b"\n"):
                line = stream.readline(LONGEST + 1)


def reader_of(file: Path) -> Callable[[bytes], DeviceReport]:
    """What reads the reports of a file: by its ending, JSON where that says nothing."""
    return _READ.get(file.suffix, parse)


def heads(
    files: Sequence[tuple[int, Path]], references: Mapping[str, Reference], now: float
) -> tuple[list[Row], int, Refusals]:
    """Read the heads of all reports in files (with their numbers).

    Returns:
        Those to take, how many are older than a week, and those refused.
    """
    rows, old, refused = [], 0, Refusals()
    for number, file in files:
        read = reader_of(file)
        for line, text in lines_of(file):
            try:
                report = read(text)
                if report.model not in references:
                    raise Refused("unknown model", report.model[:12])
                check(report, references[report.model], now)
            except Refused as error:
                refused.add(error.reason, f"{file.name}:{line}: {error.detail}" if line else f"{file.name}: {error.detail}")
                continue
            if report.end <= now - WEEK:
                old += 1
            elif report.samples:
                rows.append(_row(number, line, report, now))
    return rows, old, refused


def without_repeated(rows: Iterable[Row], names: Sequence[str], refused: Refusals) -> list[Row]:
    """Take out reports that were sent twice, or whose period another report of the device has covered.

    A number that comes again is a duplicate; an old report under a new number shows by its period.
    """
    of_device: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        of_device[row.model, row.device].append(row)
    kept = []
    for several in of_device.values():
        several.sort(key=lambda row: (row.sequence, row.file, row.line))
        last: Row | None = None
        for row in several:
            if last is not None and row.sequence == last.sequence:
                refused.add("duplicated", f"{names[row.file]}: {row.device} has sent {row.sequence} already")
            elif last is not None and row.start < last.end - CLOCK:
                refused.add("replayed", f"{names[row.file]}: {row.device} has reported this period already")
            else:
                kept.append(row)
                last = row
    return sorted(kept, key=lambda row: (row.file, row.line))


def without_odd_privacy(rows: Sequence[Row], names: Sequence[str], max_device_share: float, refused: Refusals) -> list[Row]:
    """Take out the few devices of a model that have another epsilon than the others: they would be judged by themselves."""
    devices: dict[tuple[str, float | None], set[str]] = defaultdict(set)
    for row in rows:
        devices[row.model, row.epsilon].add(row.device)
    most: dict[str, int] = defaultdict(int)
    for (model, _), several in devices.items():
        most[model] = max(most[model], len(several))
    kept = []
    for row in rows:
        count = len(devices[row.model, row.epsilon])
        if count * max_device_share >= 1 or count == most[row.model]:
            kept.append(row)
        else:
            refused.add("odd epsilon", f"{names[row.file]}: {row.device} has epsilon {row.epsilon}, others have another one")
    return kept


def judged_slices(rows: Iterable[Row], max_device_share: float) -> set[tuple[str, str]]:
    """(model, slice) of the slices with enough devices that no single one holds more than its share of them."""
    devices: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        devices[row.model, row.slice].add(row.device)
    several = Counter(model for model, _ in devices)
    return {key for key, names in devices.items() if len(names) * max_device_share >= 1 and several[key[0]] > 1}


def weights(rows: Sequence[Row], max_device_share: float, slices: set[tuple[str, str]]) -> list[float]:
    """The share of each report's samples that counts, so that no device has more than its share of a model's or a slice's."""
    weight = [1.0] * len(rows)
    for scope in (_slice_of, _model_of):
        groups: dict[tuple[object, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for row, one in zip(rows, weight, strict=True):
            groups[scope(row, slices)][row.device] += one * row.samples
        caps = {key: cap(list(counts.values()), max_device_share) for key, counts in groups.items()}
        for index, row in enumerate(rows):
            key = scope(row, slices)
            weight[index] *= min(1.0, caps[key] / groups[key][row.device])
    return weight


def cap(counts: Sequence[float], share: float) -> float:
    """The most samples that a device may count with.

    The largest c for which c is at most ``share`` of what all devices count together, each with at most c. With fewer devices
    than 1/share there is none: then the median device's count, so that a device that shouts counts as the others do.
    """
    ordered = np.sort(np.asarray(counts, float))
    if len(ordered) * share < 1:
        return float(np.median(ordered))
    # With the k smallest counts whole and the others at c, c may be share * (their sum + (n - k) c); the tightest k decides.
    below, others = np.concatenate([[0.0], np.cumsum(ordered)]), np.arange(len(ordered), -1, -1)
    binding = share * others < 1 - 1e-12
    return float((share * below[binding] / (1 - share * others[binding])).min())


def _row(file: int, line: int, report: DeviceReport, now: float) -> Row:
    part: Part = "day" if report.end > now - DAY else "rest of the week"
    return Row(
        file, line, report.model, report.device, report.slice, report.epsilon, part,
        report.sequence, report.start, report.end, report.samples, report.missing,
    )  # fmt: skip


def _slice_of(row: Row, slices: set[tuple[str, str]]) -> tuple[object, ...]:
    return row.model, row.epsilon, row.part, row.slice if (row.model, row.slice) in slices else OTHERS


def _model_of(row: Row, slices: set[tuple[str, str]]) -> tuple[object, ...]:  # noqa: ARG001 - as _slice_of
    return row.model, row.epsilon, row.part
