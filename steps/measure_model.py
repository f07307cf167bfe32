# SPDX-License-Identifier: Apache-2.0
"""Run a model in its framework: what its exported files are held against."""

from typing import Annotated

import numpy as np
from zenml import step

from edgewright.artifact import Candidate
from edgewright.config.data import SplitName
from edgewright.data.dataset import Dataset
from edgewright.errors import ModelError
from edgewright.fingerprint import of_code
from edgewright.metrics import metric as find_metric
from edgewright.plugins import create
from edgewright.progress import stage
from edgewright.stats.score import metric_measurement
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy
from edgewright.validation import Baseline, BaselineFacts

JUDGED_ON: tuple[SplitName, ...] = ("validation", "test")


def _code() -> str:
    return of_code("edgewright.steps.measure_model")


@step(cache_policy=policy("edgewright.steps.measure_model._code"))
def measure_model(
    candidate: Candidate,
    dataset: Dataset,
    metric: str,
    seed: int,
    plugin: str,
) -> Annotated[Baseline, "model_outputs"]:
    """Run the model over validation and test data."""
    framework = create("frameworks", candidate.facts.framework)
    out, layout, measured = workspace(), framework.layouts[len(candidate.facts.input_shape)], {}
    with stage(f"Measuring the {candidate.facts.recipe} model"):
        model = framework.load(candidate)
        for split in JUDGED_ON:
            outputs = framework.predict(model, dataset.inputs(split, layout))
            if not np.isfinite(outputs).all():
                raise ModelError(
                    f"the {candidate.facts.recipe} model answers NaN or infinity on {split} data",
                    where=f"model: {candidate.facts.model.title}",
                    to_do="check its weights, and that data.preprocessing is the one it was trained with",
                )
            np.save(out / f"{split}_outputs.npy", outputs, allow_pickle=False)
            score = metric_measurement(find_metric(metric), dataset.labels(split), outputs, seed, "measured")
            measured[split] = {metric: score}
    facts = BaselineFacts(candidate=candidate.digest, parameters=candidate.facts.parameters, measurements=measured)
    return Baseline.seal(out, facts)
