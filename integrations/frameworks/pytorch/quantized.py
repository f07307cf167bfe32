# SPDX-License-Identifier: Apache-2.0
"""Models that carry their quantization: prepared for training, calibrated, and built again from a candidate.

Batch normalization is folded into the layer before it, and stays folded while the model trains (static folding in Nagel
et al., 2021, arXiv:2106.08295): its statistics are those of the float model. The graph that is trained is the graph that ships.
"""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from edgewright.artifact import Candidate
from edgewright.errors import EdgewrightError, ModelError
from edgewright.integrations.frameworks.pytorch.build import build, finds_anomalies
from edgewright.integrations.frameworks.pytorch.quantizer import Int8Quantizer, is_per_tensor
from edgewright.integrations.frameworks.pytorch.structure import rebuild
from edgewright.integrations.frameworks.pytorch.weights import WEIGHTS, apply_weights, read_weights
from edgewright.quiet import quietly
from edgewright.runtime import said

with quietly():
    from torchao.quantization.pt2e import FakeQuantize
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

Prepared = Any
"""A torch.fx.GraphModule: the model's own parameters, and a torchao FakeQuantize wherever integer kernels round."""

_BATCH = 64
_FOLDING_TOLERANCE = 1e-3


def prepare(model: nn.Module, sample: tuple[int, ...]) -> Prepared:
    """Return a copy of a model as a graph that rounds as integer kernels do, for batches of any size.

    Scales are still to be found: by ``calibrate``, or from a file. The graph has no dropout, not even in training.

    Args:
        model: float, in inference mode.
        sample: shape of one sample, no batch.

    Raises:
        ModelError: the model is no static graph, or a layer would stay in float; it is named.
    """
    example, batch = torch.zeros(2, *sample), torch.export.Dim.DYNAMIC
    with quietly():
        try:
            exported = torch.export.export(deepcopy(model), (example,), dynamic_shapes=({0: batch},))
            # not prepare_qat_pt2e: it keeps batch normalization, at an eps of 1e-5 whatever the model's own
            prepared = prepare_pt2e(exported.module(check_guards=False), Int8Quantizer())
        except EdgewrightError:
            raise
        except Exception as error:
            raise ModelError(
                f"the model cannot be made a graph of integers: {said(error)}",
                where="qat_w8a8",
                to_do="write the model without decisions on values or on the size of the batch; or take ptq_w8a8",
            ) from error
    prepared.finds_anomalies = finds_anomalies(model)
    return prepared


def load_quantized(candidate: Candidate) -> Prepared:
    """Return a candidate that was trained with its quantization, in inference mode.

    Raises:
        ModelError: the architecture no longer builds, or no longer fits the weights.
    """
    facts = candidate.facts
    model = rebuild(build(facts.model, facts.input_shape, facts.outputs), facts.layers)
    prepared = prepare(model.eval(), facts.input_shape)
    with torch.no_grad():
        prepared(torch.zeros(1, *facts.input_shape))  # gives scales a channel the shapes they have in the file
    apply_weights(prepared, read_weights(candidate.path / WEIGHTS), where=str(candidate.path))
    set_mode(prepared, training=False)
    return prepared


def calibrate(prepared: Prepared, inputs: Tensor, float_model: nn.Module) -> None:
    """Set the scales: of activations by the smallest and largest value over all inputs, of weights by their own.

    Raises:
        ModelError: without rounding, the graph does not answer what the model it was made of answers.
    """
    roundings = _roundings(prepared)
    ranges = [one.activation_post_process for one in roundings if is_per_tensor(one)]
    seen: list[tuple[Tensor, Tensor]] = []
    set_mode(prepared, training=False)
    for one in roundings:
        one.enable_observer()
        one.disable_fake_quant()
    for batch in torch.split(inputs, _BATCH):
        for one in ranges:
            one.reset_min_max_vals()
        with torch.no_grad():
            _must_be_close(prepared(batch), float_model(batch))
        now = [(one.min_val.clone(), one.max_val.clone()) for one in ranges]
        seen = [(a.minimum(c), b.maximum(d)) for (a, b), (c, d) in zip(seen or now, now, strict=True)]
    for one, (low, high) in zip(ranges, seen, strict=True):
        one.min_val.copy_(low)
        one.max_val.copy_(high)
    for one in roundings:
        scale, zero_point = one.calculate_qparams()
        one.scale.copy_(scale)
        one.zero_point.copy_(zero_point)
        one.enable_fake_quant()
    set_mode(prepared, training=False)


def set_mode(prepared: Prepared, training: bool, frozen: bool = False) -> None:
    """Put a prepared graph into training mode or inference mode; its own ``train`` and ``eval`` fail.

    Args:
        prepared: changed in place.
        training: scales follow what is seen.
        frozen: they stay as they are, also in training.
    """
    for module in prepared.modules():
        module.training = training
    for one in _roundings(prepared):
        one.enable_observer(training and not frozen)


def _roundings(prepared: Prepared) -> list[Any]:
    return [module for module in prepared.modules() if isinstance(module, FakeQuantize)]


def _must_be_close(outputs: Tensor, wanted: Tensor) -> None:
    """Folding goes wrong unsaid where another layer, too, takes what goes into a batch normalization."""
    apart, largest = float((outputs - wanted).abs().max()), float(wanted.abs().max())
    if apart > _FOLDING_TOLERANCE * largest:
        raise ModelError(
            f"with its batch normalization folded the model answers otherwise, by up to {apart:.3g} of {largest:.3g}",
            where="qat_w8a8",
            to_do="let the output of a layer before batch normalization go nowhere else; or take ptq_w8a8",
        )
