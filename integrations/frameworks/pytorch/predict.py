# SPDX-License-Identifier: Apache-2.0
"""Run a live model over many samples, and turn a reconstruction into the anomaly score the device side computes too."""

import numpy as np
import torch
from torch import nn

from edgewright.framework import Array
from edgewright.integrations.frameworks.pytorch.build import finds_anomalies
from edgewright.onboard.tensors import anomaly_score

BATCH = 256


def predict(model: nn.Module, inputs: Array) -> Array:
    """Run float32 inputs (N, …) through a model in inference mode; return outputs as `edgewright.metrics` wants them."""
    with torch.no_grad():
        batches = [model(torch.from_numpy(_batch(inputs, start))).numpy() for start in range(0, len(inputs), BATCH)]
    outputs: Array = np.concatenate(batches).astype(np.float32, copy=False)
    return anomaly_score(outputs, inputs) if finds_anomalies(model) else outputs


def _batch(inputs: Array, start: int) -> Array:
    return np.array(inputs[start : start + BATCH], np.float32, order="C")
