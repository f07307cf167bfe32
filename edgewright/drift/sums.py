# SPDX-License-Identifier: Apache-2.0
"""The sum of some reports: sketches merged, counts added; in any order, and from process to process."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.drift.fleet import Merged
from edgewright.drift.report import DeviceReport, RandomizedFeature, sketches

#: k of a merged sketch: it adds next to nothing to the error of the devices' own
MERGED_K = 800


class Sums:
    """The sum of some reports: a sketch a number, or answers by bucket, and class counts."""

    def __init__(self) -> None:
        self.klls: dict[str, Any] = {}
        self.missing: dict[str, float] = defaultdict(float)
        self.buckets: dict[str, NDArray[np.float64]] = {}
        self.classes: NDArray[np.float64] | None = None

    def add(self, report: DeviceReport, weight: float) -> None:
        """Add a report, of whose samples the share ``weight`` counts.

        Raises:
            Refused: one of its sketches is none; then nothing of it was added.
        """
        opened = sketches(report)
        for name, feature in report.features.items():
            if isinstance(feature, RandomizedFeature):
                self._count(name, np.asarray(feature.buckets, float) * weight)
                continue
            self.missing[name] += feature.missing * weight
            if name not in self.klls:
                self.klls[name] = _new()
            if name in opened and weight >= 1:
                self.klls[name].merge(opened[name])
            elif name in opened:
                self.klls[name].update(_thinned(opened[name], weight))
        self._count_classes(None if report.classes is None else np.asarray(report.classes, float) * weight)

    def join(self, other: Sums) -> None:
        """Add another sum."""
        for name, kll in other.klls.items():
            self.klls.setdefault(name, _new()).merge(kll)
        for name, missing in other.missing.items():
            self.missing[name] += missing
        for name, buckets in other.buckets.items():
            self._count(name, buckets)
        self._count_classes(other.classes)

    def dumped(self) -> dict[str, Any]:
        """What another process can load."""
        klls = {name: kll.serialize() for name, kll in self.klls.items()}
        return {"klls": klls, "missing": dict(self.missing), "buckets": self.buckets, "classes": self.classes}

    @classmethod
    def loaded(cls, dumped: Mapping[str, Any]) -> Sums:
        """Load what a process of ours has dumped."""
        from datasketches import kll_floats_sketch

        sums = cls()
        sums.klls = {name: kll_floats_sketch.deserialize(data) for name, data in dumped["klls"].items()}
        sums.missing.update(dumped["missing"])
        sums.buckets, sums.classes = dumped["buckets"], dumped["classes"]
        return sums

    def features(self) -> dict[str, Merged]:
        """Everything that was added, feature by feature."""
        numbers = {
            name: Merged(
                n=float(kll.n),
                missing=self.missing[name],
                kll=base64.b64encode(kll.serialize()).decode("ascii") if kll.n else None,
            )
            for name, kll in self.klls.items()
        }
        answered = {
            name: Merged(n=float(buckets[:-1].sum()), missing=float(buckets[-1]), buckets=tuple(buckets.tolist()))
            for name, buckets in self.buckets.items()
        }
        return numbers | answered

    def _count(self, name: str, buckets: NDArray[np.float64]) -> None:
        self.buckets[name] = self.buckets[name] + buckets if name in self.buckets else buckets

    def _count_classes(self, classes: NDArray[np.float64] | None) -> None:
        if classes is not None:
            self.classes = classes if self.classes is None else self.classes + classes


def _new() -> Any:
    from datasketches import kll_floats_sketch

    return kll_floats_sketch(MERGED_K)


def _thinned(kll: Any, weight: float) -> NDArray[np.float32]:
    """A share of a sketch's values: quantiles at the middle of as many equal parts."""
    count = round(kll.n * weight)
    ranks = (np.arange(count) + 0.5) / max(count, 1)
    return np.asarray(kll.get_quantiles(ranks.tolist()) if count else [], np.float32)
