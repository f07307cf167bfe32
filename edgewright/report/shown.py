# SPDX-License-Identifier: Apache-2.0
"""Which rung and which of its numbers stand for a target: the passed rung, else the last that ran; test before validation."""

from edgewright.measure import Evidence, Measurement
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts
from edgewright.validation import Parity, ValidationFacts


def rung_of(target: TargetFacts) -> RungFacts | None:
    """The rung that stands for the target: the one that passed, else the last that ran, else the last tried."""
    if target.passed_rung is not None:
        return target.rungs[target.passed_rung]
    ran = [rung for rung in target.rungs if runs(rung)] or target.rungs
    return ran[-1] if ran else None


def runs(rung: RungFacts | None) -> list[ValidationFacts]:
    """What the rung brought back from the device, test data first."""
    return [run for run in (rung.test, rung.validation) if run is not None] if rung else []


def taken(rung: RungFacts | None, name: str) -> tuple[Measurement, ValidationFacts] | None:
    """A measurement by name with the run it is of; None when nobody took it."""
    return next(((run.measurements[name], run) for run in runs(rung) if name in run.measurements), None)


def measurement(rung: RungFacts | None, name: str) -> Measurement | None:
    """A measurement of the artifact by name."""
    found = taken(rung, name)
    return found[0] if found else None


def why_unknown(rung: RungFacts | None, name: str) -> str:
    """Why a number that was asked for was not taken; empty where nobody asked for it."""
    return next((run.unknown[name] for run in runs(rung) if name in run.unknown), "")


def notes(rung: RungFacts | None) -> list[str]:
    """What has to be known of the rung's numbers; of a fleet, with the device's name."""
    return [note for run in runs(rung) for note in run.notes]


def latency_name(rung: RungFacts | None) -> str:
    """Name of the latency to show: p95 where it was taken, else what the compiler estimates for one inference."""
    return "latency_ms" if measurement(rung, "latency_p95_ms") is None and measurement(rung, "latency_ms") else "latency_p95_ms"


def parent(rung: RungFacts | None, name: str) -> Measurement | None:
    """The same measurement of the float parent on the same device."""
    return next((run.parent[name] for run in runs(rung) if name in run.parent), None)


def ratio(rung: RungFacts | None, name: str) -> Measurement | None:
    """Artifact over float parent."""
    return next((run.ratios[name] for run in runs(rung) if name in run.ratios), None)


def float_score(facts: ReleaseFacts, rung: RungFacts | None) -> Measurement | None:
    """The float model's metric, on the split that the artifact's was taken on."""
    found = taken(rung, facts.metric)
    return facts.baseline.get(found[1].split, {}).get(facts.metric) if found else None


def parity(rung: RungFacts | None) -> tuple[Parity, ValidationFacts] | None:
    """The comparison with the float model, with the run it is of."""
    return next(((run.parity, run) for run in runs(rung)), None)


def parity_evidence(facts: ReleaseFacts, run: ValidationFacts) -> Evidence:
    """Outputs are as good as the metric that was taken from them."""
    return run.measurements[facts.metric].evidence if facts.metric in run.measurements else "measured"


def metric_unit(facts: ReleaseFacts) -> str:
    """The metric's own unit, as the float model's measurements carry it."""
    units = [taken[facts.metric].unit for taken in facts.baseline.values() if facts.metric in taken]
    return units[0] if units else ""


def promoted(facts: ReleaseFacts) -> int:
    """How many targets were promoted."""
    return len(facts.targets) - len(facts.refused)


def state(target: TargetFacts) -> str:
    """How the target ended: the gate's outcome, or that it was not promoted although it passed."""
    return "unpromoted" if target.not_promoted else target.outcome


def why_refused(target: TargetFacts) -> str:
    """The sentence that says what stopped the target: after the gate, or the furthest rung's reasons."""
    if target.not_promoted:
        return target.not_promoted
    rung = rung_of(target)
    return " ".join(rung.reasons) if rung and rung.reasons else "No rung of the ladder was left to try."
