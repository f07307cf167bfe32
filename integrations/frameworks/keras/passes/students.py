# SPDX-License-Identifier: Apache-2.0
"""Students of Keras models for `ladder: auto`."""

from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.integrations.frameworks.keras.build import starting_model
from edgewright.integrations.frameworks.keras.models import ARCHITECTURES
from edgewright.integrations.frameworks.keras.structure import count_macs
from edgewright.students import Student
from edgewright.students import students as smaller_models


def students(spec: ModelSpec, sample: tuple[int, ...], outputs: int) -> tuple[Student, ...]:
    """Return the smaller models that `ladder: auto` may distill the model into, largest first.

    Raises:
        ModelError: the model itself does not build or does not take the sample.
    """
    task: Task = "classification" if outputs else "anomaly"

    def macs(spec: ModelSpec) -> int:
        return count_macs(starting_model(spec, task, sample, outputs), sample)

    return smaller_models(spec, ARCHITECTURES, sample, outputs, macs)
