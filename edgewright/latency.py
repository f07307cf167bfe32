# SPDX-License-Identifier: Apache-2.0
"""Latency of a candidate as a multiple of another's, measured on a target: what pruning to a latency is guided by.

Both are exported as float files and timed in turn. A latency that the target does not show itself guides nothing.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgewright.artifact import Artifact, Candidate
from edgewright.bench import Bench, bench_of, time_in_turn
from edgewright.config.gate import Measuring
from edgewright.config.target import Target
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError
from edgewright.export import export_model


def latency_ratio(target: Target, measuring: Measuring, candidate: Candidate, dataset: Dataset) -> Callable[[Candidate], float]:
    """Return what measures a candidate's median latency on the target as a multiple of ``candidate``'s.

    Args:
        target: names runtime and device.
        measuring: how latency is taken.
        candidate: what others are compared with; it is measured anew each time, in turn with the other.
        dataset: gives the samples that are timed, of the calibration split.

    Raises:
        ConfigError: latencies on this target are not measured, or it runs no float files.
    """
    bench = bench_of(target, measuring)
    _check_evidence(bench)
    stored = dataset.stored("calibration")
    exported: list[tuple[tempfile.TemporaryDirectory[str], Artifact]] = []

    def export(one: Candidate, folder: str) -> Artifact:
        return export_model(one, dataset, target.runtime, target.options, Path(folder) / "exported")

    def ratio(other: Candidate) -> float:
        if not exported:  # once, when it is first needed; the folder goes with this function
            folder = tempfile.TemporaryDirectory(prefix="edgewright-latency-")
            exported.append((folder, export(candidate, folder.name)))
        with tempfile.TemporaryDirectory(prefix="edgewright-latency-") as place:
            own, parent = time_in_turn(bench, export(other, place), exported[0][1], stored)
        return float(np.median(own.latencies_ms) / np.median(parent.latencies_ms))

    return ratio


def _check_evidence(bench: Bench) -> None:
    target = bench.target
    if bench.latency_evidence != "measured":
        raise ConfigError(
            f"latencies of {bench.runtime.name} on device {bench.device.name!r} are {bench.latency_evidence}, not measured",
            where=f"target {target.name}",
            to_do="prune a share of the multiply-accumulates instead: leave '.latency' out of the name, or write 'of: macs'",
        )
    if not bench.runtime.runs_float:
        raise ConfigError(
            f"{bench.runtime.name} runs no float files, in which pruned models are compared",
            where=f"target {target.name}",
            to_do="prune a share of the multiply-accumulates instead: leave '.latency' out of the name, or write 'of: macs'",
        )
