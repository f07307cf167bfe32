# SPDX-License-Identifier: Apache-2.0
"""From ModelSpec to a live model that is known to fit the data: architecture, options, starting weights, output shape."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.errors import EdgewrightError, ModelError, nearest
from edgewright.integrations.frameworks.pytorch.models import ARCHITECTURES
from edgewright.integrations.frameworks.pytorch.weights import apply_weights, read_weights
from edgewright.plugins import load_object

Shape = tuple[int, ...]


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
    if spec.weights is not None:
        weights = read_weights(Path(spec.weights), allow_pickle=spec.allow_pickle)
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
    function = _architecture(spec.architecture)
    arguments = _arguments(function, spec, {"sample": sample, "outputs": outputs})
    try:
        model = function(**arguments)
    except EdgewrightError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the architecture does not build: {type(error).__name__}: {error}",
            where=f"model.architecture: {spec.architecture}, model.options: {spec.options}",
            to_do="correct model.options, or the function",
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"the architecture returned {type(model).__name__}, not a torch.nn.Module",
            where=f"model.architecture: {spec.architecture}",
            to_do="return the model itself",
        )
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


def _architecture(name: str) -> Callable[..., Any]:
    if ":" in name:
        found: Callable[..., Any] = load_object(name, asked_for="model.architecture")
        return found
    if name not in ARCHITECTURES:
        raise ModelError(
            f"no shipped model is called {name!r}",
            where="model.architecture",
            to_do=nearest(name, ARCHITECTURES) + " (or 'module:function' of your own)",
        )
    return ARCHITECTURES[name]


def _arguments(function: Callable[..., Any], spec: ModelSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    where = f"model.architecture: {spec.architecture}"
    if not callable(function):
        raise ModelError("the architecture is not a function", where=where, to_do="name a function that returns a model")
    parameters = inspect.signature(function).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    by_name = {name for name, parameter in parameters.items() if parameter.kind in _BY_NAME}
    taken = {name: value for name, value in given.items() if takes_any or name in by_name}
    options = by_name - given.keys()
    for name in spec.options:
        if name in given or not (takes_any or name in options):
            raise ModelError(
                f"{spec.architecture!r} takes no option {name!r}",
                where=f"model.options.{name}",
                to_do=nearest(name, options) if options else "remove it: it takes no options",
            )
    arguments = {**taken, **spec.options}
    lacking = [name for name in by_name if parameters[name].default is inspect.Parameter.empty and name not in arguments]
    if lacking:
        raise ModelError(
            f"{spec.architecture!r} needs {lacking[0]!r}", where=where, to_do=f"give it as model.options.{lacking[0]}"
        )
    return arguments


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _check_output(output: Tensor, spec: ModelSpec, task: Task, sample: Shape, outputs: int) -> None:
    shape = tuple(output.shape)
    if task == "anomaly":
        _check_anomaly_output(shape, spec, sample)
    elif shape != (1, outputs):
        count = "one a class of data.labels" if task == "classification" else "one a column of the labels"
        raise ModelError(
            f"for one sample the model returns the shape {shape}; the data needs (1, {outputs}), {count}",
            where=f"model.architecture: {spec.architecture}",
            to_do=f"let the last layer return {outputs} values (an architecture is given 'outputs'), or correct the labels",
        )
    elif not output.is_floating_point():
        raise ModelError(
            f"the model returns {output.dtype}",
            where="model.architecture",
            to_do="return floating point values, such as logits",
        )


def _check_anomaly_output(shape: Shape, spec: ModelSpec, sample: Shape) -> None:
    where = f"model.architecture: {spec.architecture}"
    if shape not in ((1,), (1, 1), (1, *sample)):
        raise ModelError(
            f"for one sample the model returns the shape {shape}; anomaly detection needs a score, (1,) or (1, 1), "
            f"or a reconstruction, {(1, *sample)}",
            where=where,
            to_do="use 'mlp', or return one of these shapes",
        )
    if shape in ((1,), (1, 1)) and spec.training is not None:
        raise ModelError(
            "a model that returns an anomaly score cannot be trained here: the training split holds no anomalies to learn from",
            where=where,
            to_do="give pretrained model.weights and 'training: null', or use a model that reconstructs its input ('mlp')",
        )
