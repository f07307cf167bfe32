# SPDX-License-Identifier: Apache-2.0
"""Facts as MLflow wants them: flat params, metrics with tags that say how good they are, in batches."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from edgewright.artifact import PassFacts
from edgewright.measure import Measurement
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

#: MLflow 3.17, mlflow/utils/validation.py: entities of one log_batch request, and characters of a value
_PARAMS_OR_TAGS, _METRICS, _VALUE = 100, 1000, 6000
ItemT = TypeVar("ItemT")


@dataclass
class RunLog:
    """What one run is to hold. Each metric is (name, value, step)."""

    params: dict[str, str] = field(default_factory=dict)
    metrics: list[tuple[str, float, int]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, prefix: str, measurements: Mapping[str, Measurement]) -> None:
        """Add measurements as metrics, each with tags for evidence, n, interval and unit."""
        for name, one in measurements.items():
            self.metrics.append((prefix + name, one.value, 0))
            told = {"evidence": one.evidence, "n": one.n, "low": one.low, "high": one.high, "unit": one.unit}
            self.tags |= {f"{prefix}{name}.{key}": str(value) for key, value in told.items() if value is not None}


def release_log(facts: ReleaseFacts) -> RunLog:
    """What the parent run of a release holds."""
    log = RunLog(params=flat(facts.config))
    for split, measurements in facts.baseline.items():
        log.add(f"baseline.{split}.", measurements)
    log.metrics.append(("parameters", facts.candidate.parameters, 0))
    for epoch in facts.candidate.history:
        log.metrics += [(name, value, epoch.epoch) for name, value in epoch.model_dump(exclude={"epoch"}).items()]
    log.tags |= {
        "edgewright.version": facts.edgewright,
        "edgewright.data": facts.data_digest,
        "edgewright.code": facts.code_digest,
        "edgewright.candidate": facts.candidate_digest,
        "edgewright.verdict": "fail" if facts.refused else "pass",
    }
    log.tags |= {"edgewright.key": facts.key} if facts.key else {}
    log.tags |= {f"edgewright.verdict.{target.name}": target.outcome for target in facts.targets}
    log.tags |= {f"toolchain.{name}": version for name, version in facts.toolchain.items()}
    return log


def rung_log(target: TargetFacts, rung: RungFacts) -> RunLog:
    """What the child run of a rung holds: validation data under the measurements' own names, test data under 'test.'."""
    log = RunLog(params={"target": target.name, "runtime": target.runtime, "device": target.device, "recipe": rung.recipe})
    log.params |= flat(target.budget, "budget")
    log.tags |= {"edgewright.verdict": rung.status, "edgewright.reasons": "\n".join(rung.reasons)}
    if rung.candidate is not None:
        log.metrics.append(("parameters", rung.candidate.parameters, 0))
        for step in rung.candidate.passes:
            log.params |= flat(step.options, f"pass.{step.name}")
            log.metrics += [(f"pass.{step.name}.{name}", value, 0) for name, value in _after(step).items()]
            for epoch in step.history:
                values = epoch.model_dump(exclude={"epoch"})
                log.metrics += [(f"pass.{step.name}.{name}", value, epoch.epoch) for name, value in values.items()]
    for prefix, run in (("", rung.validation), ("test.", rung.test)):
        if run is not None:
            log.add(prefix, run.measurements)
            log.add(f"{prefix}ratio.", run.ratios)
            log.tags |= flat(run.device.model_dump(), "device")
            for one in run.fleet:
                log.add(f"{prefix}fleet.{one.device.name}.", one.measurements)
                log.tags |= flat(one.device.model_dump(), f"fleet.{one.device.name}")
    return log


def _after(step: PassFacts) -> dict[str, float]:
    """What a pass on the model came to, by the names of PassFacts; what nobody took is absent."""
    taken = {"parameters": step.parameters[1], "macs": step.macs[1], "score": step.score[1], "zeros": step.zeros}
    optional = {"agreement": step.agreement, "achieved": step.achieved}
    return taken | {name: value for name, value in optional.items() if value is not None}


def write(client: "MlflowClient", run_id: str, log: RunLog) -> None:
    """Log everything, in batches of the size a server takes."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    for metrics in _batches(log.metrics, _METRICS):
        client.log_batch(run_id, metrics=[Metric(key(name), value, now, step) for name, value, step in metrics])
    for params in _batches(log.params.items(), _PARAMS_OR_TAGS):
        client.log_batch(run_id, params=[Param(key(name), value[:_VALUE]) for name, value in params])
    for tags in _batches(log.tags.items(), _PARAMS_OR_TAGS):
        client.log_batch(run_id, tags=[RunTag(key(name), value[:_VALUE]) for name, value in tags])


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Flatten nested mappings and lists into dotted keys: {'targets.0.name': 'phone'}."""
    if isinstance(value, Mapping | list | tuple) and value:
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        parts = [flat(part, f"{prefix}.{name}" if prefix else str(name)) for name, part in items]
        return {name: text for part in parts for name, text in part.items()}
    return {prefix: value if isinstance(value, str) else json.dumps(value)} if prefix else {}


def key(text: str) -> str:
    """Replace the characters that MLflow does not take in a key."""
    return re.sub(r"[^\w.\-/ ]", "_", text)[:250]


def _batches(items: Iterable[ItemT], size: int) -> Iterator[list[ItemT]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
