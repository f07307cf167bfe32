# SPDX-License-Identifier: Apache-2.0
"""Between real values and what a file's tensors store, and from an anomaly model's answer to its score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgewright.artifact import TensorSpec

Array = NDArray[Any]


def quantize_input(sample: Array, spec: TensorSpec) -> Array:
    """Turn float32 model input into what the file's input stores: rounded to nearest, clipped to the dtype's range."""
    if spec.scale is None:
        return sample.astype(spec.dtype, copy=False)
    limits = np.iinfo(spec.dtype)
    return np.clip(np.round(sample / spec.scale + spec.zero_point), limits.min, limits.max).astype(spec.dtype)


def dequantize_output(raw: Array, spec: TensorSpec) -> Array:
    """Turn what the file's output stores into float32."""
    if spec.scale is None:
        return raw.astype(np.float32)
    return ((raw.astype(np.float32) - spec.zero_point) * spec.scale).astype(np.float32)


def anomaly_score(outputs: Array, inputs: Array) -> Array:
    """Turn what an anomaly model returns (N, …) for its float32 inputs (N, …) into one score a sample (N,), float32.

    One value a sample is the score itself; a reconstruction scores its mean squared error against the input, which must
    stand in the same layout.

    Raises:
        ValueError: the output is neither.
    """
    if outputs.size == len(outputs):
        return outputs.reshape(-1).astype(np.float32)
    if outputs.shape != inputs.shape:
        raise ValueError(f"neither a score nor a reconstruction: outputs {outputs.shape} for inputs {inputs.shape}")
    difference = (outputs.astype(float) - inputs).reshape(len(inputs), -1)
    score: Array = np.mean(difference**2, axis=1).astype(np.float32)
    return score
