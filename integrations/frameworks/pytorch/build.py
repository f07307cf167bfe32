# SPDX-License-Identifier: Apache-2.0
"""From ModelSpec to a live model that is known to fit the data: architecture, options, starting weights, output shape."""

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from edgewright.architecture import Shape, call_architecture, check_output
from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.errors import ModelError
from edgewright.integrations.frameworks.pytorch.models import ARCHITECTURES
from edgewright.integrations.frameworks.pytorch.weights import apply_weights, read_weights


def starting_model(spec: ModelSpec, task: Task, sample: Shape, outputs: int) -> nn.Module:
    """Build the model, give it its starting weights, and make sure that it can do the task.

    Args:
        spec: the model.
        task: what it is for.
        sample: shape of one sample, no batch.
        outputs: length of the output vector; 0 for anomaly detection.

    Raises:
        ModelError: it does not build, its weights or its output do not fit.
    """
    model = build(spec, sample, outputs)
    if spec.weights_file is not None:
        weights = read_weights(spec.weights_file, allow_pickle=spec.allow_pickle)
        apply_weights(model, weights, where=f"model.weights: {spec.weights}")
    _check_output(run_zeros(model, sample), spec, task, sample, outputs)
    run_zeros(model, sample, batch=2)
    _check_trainable(model, spec)
    return model


def build(spec: ModelSpec, sample: Shape, outputs: int) -> nn.Module:
    """Call the architecture with what it takes of ``sample``, ``outputs`` and the options.

    Raises:
        ModelError: there is no such architecture, it does not take an option, it fails, or it returns no model.
    """
    model = call_architecture(spec, ARCHITECTURES, sample, outputs)
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"the architecture returned {type(model).__name__}, not a torch.nn.Module",
            where=f"model.architecture: {spec.architecture}",
            to_do="return the model itself",
        )
    if any(isinstance(one, UninitializedParameter | UninitializedBuffer) for one in (*model.parameters(), *model.buffers())):
        run_zeros(model, sample)  # lazy layers take their size from what they see
    if outputs == 0:
        model.finds_anomalies = True  # type: ignore[assignment]  # a plain attribute, which copies of the model keep
    return model


def finds_anomalies(model: nn.Module) -> bool:
    """Whether the model was built for anomaly detection, so that it answers with a score or a reconstruction."""
    return bool(getattr(model, "finds_anomalies", False))


def run_zeros(model: nn.Module, sample: Shape, batch: int = 1) -> Tensor:
    """Run samples of zeros through the model in inference mode.

    Raises:
        ModelError: the model does not take them, or returns something else than one tensor with a row for each.
    """
    model.eval()
    try:
        with torch.no_grad():
            output = model(torch.zeros(batch, *sample))
    except (Exception, SystemExit) as error:
        if batch > 1:
            raise _one_at_a_time(f"{type(error).__name__}: {error}") from error
        raise ModelError(
            f"the model does not take a sample of shape {sample}: {type(error).__name__}: {error}",
            where="model.architecture",
            to_do="take another architecture, or correct data.preprocessing.layout",
        ) from error
    if not isinstance(output, Tensor):
        raise ModelError(
            f"the model returns {type(output).__name__}, not one tensor", where="model.architecture", to_do="return one tensor"
        )
    if batch > 1 and len(output) != batch:
        raise _one_at_a_time(f"for {batch} samples it returns the shape {tuple(output.shape)}")
    return output


def _one_at_a_time(why: str) -> ModelError:
    return ModelError(
        f"the model takes one sample at a time: {why}",
        where="model.architecture",
        to_do="keep the first axis free, which is the batch: x.flatten(1), or x.reshape(len(x), -1)",
    )


def _check_trainable(model: nn.Module, spec: ModelSpec) -> None:
    if spec.training is not None and not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError(
            "the model has no weights that can be trained",
            where=f"model.architecture: {spec.architecture}",
            to_do="use layers of torch.nn as attributes (not kept in a plain list), or set 'training: null' and 'weights'",
        )


def _check_output(output: Tensor, spec: ModelSpec, task: Task, sample: Shape, outputs: int) -> None:
    check_output(tuple(output.shape), spec, task, sample, outputs)
    if task != "anomaly" and not output.is_floating_point():
        raise ModelError(
            f"the model returns {output.dtype}",
            where="model.architecture",
            to_do="return floating point values, such as logits",
        )
