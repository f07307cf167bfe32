# SPDX-License-Identifier: Apache-2.0
"""Judge a rung on validation data, while climbing."""

from typing import Annotated

from zenml import step

from edgewright.config import GateConfig, Target
from edgewright.fingerprint import of_code
from edgewright.gate.fleet import worst_of
from edgewright.gate.screen import screen
from edgewright.gate.verdict import Verdict
from edgewright.metrics import metric as find_metric
from edgewright.steps.caching import policy
from edgewright.validation import Baseline, ValidationRun


def _code() -> str:
    return of_code("edgewright.steps.screen_rung")


@step(cache_policy=policy("edgewright.steps.screen_rung._code"))
def screen_rung(
    run: ValidationRun, baseline: Baseline, target: Target, metric: str, gate: GateConfig
) -> Annotated[Verdict, "screening"]:
    """Hold one validation run against its target's budget, on each device; accuracy by its point estimate."""
    before = baseline.facts.measurements[run.facts.split][metric].value
    sign = 1 if find_metric(metric).higher_is_better else -1
    return worst_of(
        {
            facts.device.name: screen(target, facts, sign * (before - facts.measurements[metric].value), gate)
            for facts in run.facts.fleet or (run.facts,)
        }
    )
