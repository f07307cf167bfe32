# SPDX-License-Identifier: Apache-2.0
"""Monitor: counts what a model sees and answers on one device, and writes a report a day of it."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import ConfigError, DataError
from edgewright.monitor import files
from edgewright.monitor.counts import Counts, PrivateCounts, Watched
from edgewright.monitor.encode import encode, reports_in, require

Array = NDArray[Any]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: seconds between two reports: 2 kB a feature a day
DAY = 86_400
#: after so many seconds what was counted is written, so that a lost power supply loses no more
SAVED_EVERY = 600


class Monitor:
    """What one model sees and answers on one device. One process a folder."""

    def __init__(
        self,
        reference: str | Path | Mapping[str, Any],
        device: str,
        folder: str | Path,
        *,
        slice_name: str = "all",
        own: Mapping[str, Callable[[Array], Array]] | None = None,
        epsilon: float | None = None,
        encoding: str = "json",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Go on where the process before this one has stopped, or begin.

        Args:
            reference: reference.json of the model's bundle, or what it holds: what is watched, and of which model.
            device: its name, the same for ever; letters, digits and . _ -
            folder: of this monitor alone; state.json and outbox/ lie there.
            slice_name: what devices are told apart by, such as a region or a revision of the hardware.
            own: functions of the reference's own features: samples (N, …) to values (N,).
            epsilon: of local differential privacy (`edgewright.monitor.privacy`); None sends sketches instead.
            encoding: of reports, 'json' or 'cbor'; the latter is smaller, and needs cbor2.
            clock: seconds since 1970, UTC.

        Raises:
            ConfigError: a name that is none, a function that is missing or too many, an epsilon that is not above 0.
            DataError: the reference cannot be read.
            ToolkitMissing: CBOR, without cbor2.
        """
        self.reference = _read(reference) if isinstance(reference, (str, Path)) else reference
        self._watched = Watched.of(self.reference, own or {})
        for what, name in (("device", device), ("slice_name", slice_name)):
            if not NAME.fullmatch(name):
                raise ConfigError(
                    f"{name!r} is no name", where=f"Monitor({what}=…)", to_do="letters, digits and . _ -, at most 64"
                )
        if epsilon is not None and not 0 < epsilon <= 50:
            raise ConfigError(f"epsilon is {epsilon}", where="Monitor(epsilon=…)", to_do="a number above 0, at most 50")
        require(encoding)
        self.device, self.slice_name, self.epsilon, self.encoding = device, slice_name, epsilon, encoding
        self.folder, self.outbox, self._clock = Path(folder), Path(folder) / "outbox", clock
        self._load()

    def observe(self, inputs: Array, outputs: Array) -> None:
        """Count a batch.

        Args:
            inputs: samples (N, …) as they are stored in the training data: before preprocessing.
            outputs: what the model answered (N, …), as numbers (dequantized).

        Raises:
            DataError: the two do not belong together, or are not what the reference was made of.
        """
        self._counts.add(*self._watched.values(np.asarray(inputs), np.asarray(outputs)))
        self._samples += len(inputs)
        if self._clock() - self._saved >= SAVED_EVERY:
            self.save()

    def save(self) -> None:
        """Write what was counted; also done every ten minutes of `observe`."""
        self._saved = self._clock()
        page = {
            "model": self.reference["model"],
            "epsilon": self.epsilon,
            "sequence": self._sequence,
            "start": self._start,
            "samples": self._samples,
            "counts": self._counts.to_json(),
        }
        files.write(self.folder / "state.json", json.dumps(page).encode())

    @property
    def due(self) -> bool:
        """Whether a day has passed since the last report, or since the beginning."""
        return not 0 <= self._clock() - self._start < DAY  # before the beginning: the clock was set back

    def report(self) -> Path:
        """Write a report of all that was counted since the last one into the outbox, and begin anew.

        Raises:
            DataError: it is not due yet: a report a day keeps to 2 kB a feature a day.
        """
        if not self.due:
            raise DataError(
                "no report is due: the last one is less than a day old", where=str(self.folder), to_do="ask .due first"
            )
        # A sequence number is never used twice, also where the state was lost: time goes on.
        sequence, end = max(self._sequence + 1, int(self._clock())), int(self._clock())
        page = {
            "schema_version": 1,
            "model": self.reference["model"],
            "device": self.device,
            "slice": self.slice_name,
            "sequence": sequence,
            "start": min(int(self._start), end),
            "end": end,
            "samples": self._samples,
            "epsilon": self.epsilon,
            **self._counts.to_json(),
        }
        written = self.outbox / f"{sequence:020d}.{self.encoding}"
        files.write(written, encode(page, self.encoding))
        self._begin(sequence)
        self.save()
        return written

    def _load(self) -> None:
        """Take up what was saved, unless it is of another model, or was reported just before the process ended."""
        kept = files.read(self.folder / "state.json")
        reported = max((int(file.stem) for file in reports_in(self.outbox)), default=0)
        self._begin(max(reported, kept["sequence"] if kept else 0))
        same = kept and (kept["model"], kept["epsilon"]) == (self.reference["model"], self.epsilon)
        if same and reported <= kept["sequence"]:
            self._start, self._samples = kept["start"], kept["samples"]
            self._counts = self._counts_of(kept["counts"])

    def _begin(self, sequence: int) -> None:
        self._sequence, self._samples = sequence, 0
        self._start = self._saved = self._clock()
        self._counts = self._counts_of(None)

    def _counts_of(self, kept: dict[str, Any] | None) -> Counts | PrivateCounts:
        if self.epsilon is None:
            return Counts(self._watched, kept)
        return PrivateCounts(self._watched, self.epsilon, random.SystemRandom(), kept)


def _read(path: str | Path) -> Mapping[str, Any]:
    try:
        page = json.loads(Path(path).read_text(encoding="utf-8"))
        if page["schema_version"] != 1:
            raise ValueError(f"its schema_version is {page['schema_version']}, this monitor reads 1")
        return dict(page)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the reference cannot be read: {error}", where=str(path), to_do="name reference.json of the model's bundle"
        ) from error
