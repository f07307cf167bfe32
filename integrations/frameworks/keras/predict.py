# SPDX-License-Identifier: Apache-2.0
"""Run a live model over many samples, and turn a reconstruction into the anomaly score the device side computes too."""

from typing import Any

import numpy as np

from edgewright.framework import Array
from edgewright.integrations.frameworks.keras.build import finds_anomalies
from edgewright.integrations.frameworks.keras.engine import tf
from edgewright.onboard.tensors import anomaly_score

BATCH = 256


def predict(model: Any, inputs: Array) -> Array:
    """Run float32 inputs (N, …) through a model in inference mode; return outputs as `edgewright.metrics` wants them."""
    batches = [model(_batch(inputs, start), training=False).numpy() for start in range(0, len(inputs), BATCH)]
    outputs: Array = np.concatenate(batches).astype(np.float32, copy=False)
    return anomaly_score(outputs, inputs) if finds_anomalies(model) else outputs


def _batch(inputs: Array, start: int) -> Any:
    return tf.constant(np.array(inputs[start : start + BATCH], np.float32, order="C"))
