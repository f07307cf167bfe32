# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training with tfmot (Jacob et al., 2018, arXiv:1712.05877): int8 weights and activations.

tfmot starts every activation at -6 … 6 and lets it drift by a thousandth a step; after a short training it still clips.
Here ranges start where the calibration data has them. Zeros of a sparse model stay zero.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgewright.artifact import CandidateFacts
from edgewright.errors import ModelError
from edgewright.framework import Array, ModelPassRequest
from edgewright.integrations.frameworks.keras.engine import tf
from edgewright.integrations.frameworks.keras.fit import Goal
from edgewright.integrations.frameworks.keras.objective import Tensor, distillation_loss, loss_function
from edgewright.integrations.frameworks.keras.passes.common import (
    fine_tune,
    finish,
    load,
    require_tfmot,
    zeros_kept,
)
from edgewright.integrations.frameworks.keras.randomness import seeded
from edgewright.integrations.frameworks.keras.samples import Splits, samples
from edgewright.model_passes import fine_tuning, is_sparse

_CALIBRATED_ON = 512  # samples


def train_quantized(request: ModelPassRequest) -> CandidateFacts:
    """Simulate int8 weights and activations, and train with them.

    Raises:
        ModelError: tfmot cannot quantize the model; the layer is named.
    """
    options, training = request.options, fine_tuning(request, epochs=0.5, rate=0.1)
    splits, task = Splits.of(request.data, request.metric), request.data.card.task
    with seeded(request.seed, deterministic=training.deterministic):
        model = load(request.candidate)
        require_tfmot(model, options.name)
        quantized = simulate(model)
        calibrate(quantized, samples(request.data, "calibration").inputs[:_CALIBRATED_ON])
        learns = None
        if options.distill:
            teacher, loss = load(request.teacher), distillation_loss(task, training, options.temperature, options.alpha)

            def learns(inputs: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
                return loss(outputs, targets, teacher(inputs, training=False))

        keep = zeros_kept(quantized) if is_sparse(request.candidate.facts) else None
        goal = Goal(loss_function(task, training), learns, after_step=keep)
        history = fine_tune(request, quantized, training, splits, goal)
    return finish(request, quantized, history, splits, quantized=True)


def simulate(model: Any) -> Any:
    """Return a copy of the model in which tfmot simulates 8-bit weights and activations; weights are copied.

    Raises:
        ModelError: a layer has no quantization; it is named.
    """
    import tensorflow_model_optimization as tfmot

    try:
        return tfmot.quantization.keras.quantize_model(model)
    except (ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise ModelError(
            f"tfmot cannot quantize the model: {' '.join(str(error).split())[:300]}",
            where="qat_w8a8",
            to_do="replace the layer, or use ptq_w8a8, which quantizes the exported file",
        ) from error


def calibrate(model: Any, inputs: Array) -> None:
    """Set each activation's range to the smallest and largest value that these samples make it take, zero included."""
    with _observed() as ranges:
        for batch in np.array_split(inputs, -(-len(inputs) // 64)):
            model(tf.constant(batch), training=False)
    for variable, value in ranges.values():
        variable.assign(value)


@contextmanager
def _observed() -> Iterator[dict[int, tuple[Any, float]]]:
    """Have tfmot's quantizers pass everything on as it is, and note the ranges of activations: variable and value."""
    from tensorflow_model_optimization.python.core.quantization.keras import quant_ops

    ranges: dict[int, tuple[Any, float]] = {}

    def note(inputs: Tensor, min_var: Any, max_var: Any, **_: Any) -> Tensor:
        for variable, seen, wider in ((min_var, tf.reduce_min(inputs), min), (max_var, tf.reduce_max(inputs), max)):
            ranges[id(variable)] = (variable, wider(ranges.get(id(variable), (variable, 0.0))[1], float(seen)))
        return inputs

    def pass_on(inputs: Tensor, *_: Any, **__: Any) -> Tensor:
        return inputs

    # activations; the model's input; weights
    stand_ins = {"MovingAvgQuantize": note, "AllValuesQuantize": note, "LastValueQuantize": pass_on}
    kept: dict[str, Callable[..., Any]] = {name: getattr(quant_ops, name) for name in stand_ins}
    vars(quant_ops).update(stand_ins)
    try:
        yield ranges
    finally:
        vars(quant_ops).update(kept)
