# SPDX-License-Identifier: Apache-2.0
"""A fleet: several devices of one target run the same artifact, and the worst of what they say stands for the target."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from edgewright.measure import THROUGHPUT, DeviceFacts, Measurement
from edgewright.metrics import metric as find_metric
from edgewright.validation import Parity, ValidationFacts, ValidationRun


def join_runs(runs: Sequence[ValidationRun], metric: str, out: Path) -> ValidationRun:
    """Put the runs of a fleet's devices together.

    Args:
        runs: one a device, of the same artifact on the same split.
        metric: name of the task's metric, or 'module:function'.
        out: empty folder the whole is written into.

    Returns:
        A run whose facts hold the worst of each number, and those of every device in ``fleet``; its outputs are those of the
        device with the worst metric. A number that one device did not take is absent.
    """
    higher_is_better = find_metric(metric).higher_is_better
    every = tuple(run.facts for run in runs)
    worst = _worst_by_metric(every, metric, higher_is_better)
    least_alike = max(every, key=lambda facts: _distance(facts.parity))
    for run, facts in zip(runs, every, strict=True):
        np.save(out / f"outputs-{facts.device.name}.npy", run.outputs(), allow_pickle=False)
        if facts is worst:
            np.save(out / "outputs.npy", run.outputs(), allow_pickle=False)
    joined = worst.model_copy(
        update={
            "measurements": _worst_of_each([facts.measurements for facts in every], every, metric if higher_is_better else ""),
            "parent": _worst_of_each([facts.parent for facts in every], every),
            "ratios": _worst_of_each([facts.ratios for facts in every], every),
            "parity": least_alike.parity,
            "sanity": least_alike.sanity,
            "device": _together([facts.device for facts in every]),
            "unknown": {
                name: f"{facts.device.name}: {why}" for facts in reversed(every) for name, why in facts.unknown.items()
            },
            "notes": tuple(f"{facts.device.name}: {note}" for facts in every for note in facts.notes),
            "fleet": every,
        }
    )
    return ValidationRun.seal(out, joined)


def _worst_by_metric(every: Sequence[ValidationFacts], metric: str, higher_is_better: bool) -> ValidationFacts:
    def value(facts: ValidationFacts) -> float:
        return facts.measurements[metric].value

    return min(every, key=value) if higher_is_better else max(every, key=value)


def _distance(parity: Parity) -> tuple[float, float]:
    """How far a device's outputs are from the float model's: first by class, then by value."""
    return 1 - (1.0 if parity.agreement is None else parity.agreement), parity.relative_difference


def _worst_of_each(
    taken: Sequence[dict[str, Measurement]], every: Sequence[ValidationFacts], metric: str = ""
) -> dict[str, Measurement]:
    """The worst measurement of each name that all devices have, with the name of its device.

    More is worse, but of throughput, and of ``metric`` where one is named.
    """
    devices = [facts.device.name for facts in every]
    names = [name for name in taken[0] if all(name in of_one for of_one in taken)]
    return {
        name: _worst([of_one[name] for of_one in taken], devices, name == metric or name.startswith(THROUGHPUT))
        for name in names
    }


def _worst(measurements: Sequence[Measurement], devices: Sequence[str], more_is_better: bool) -> Measurement:
    values = [one.value for one in measurements]
    if len(set(values)) == 1:
        return measurements[0]
    at = values.index(min(values) if more_is_better else max(values))
    found = measurements[at]
    return found.model_copy(update={"method": f"{found.method}; on {devices[at]}, the worst of {len(devices)} devices"})


def _together(devices: Sequence[DeviceFacts]) -> DeviceFacts:
    """Describe several devices at once; each of them is described in ``fleet``."""
    governors = _different(device.governor for device in devices if device.governor)
    return DeviceFacts(
        name=", ".join(device.name for device in devices),
        kind=devices[0].kind,
        machine=_different(device.machine for device in devices),
        cores=min(device.cores for device in devices),
        os=_different(device.os for device in devices),
        threads=devices[0].threads,
        governor=governors or None,
        frequency_mhz=min((device.frequency_mhz for device in devices if device.frequency_mhz), default=None),
        saturates=any(device.saturates for device in devices),
        handed_in={f"{device.name}/{file}": digest for device in devices for file, digest in device.handed_in.items()},
    )


def _different(words: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(words))
