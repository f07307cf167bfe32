# SPDX-License-Identifier: Apache-2.0
"""Architectures of any framework: found by name, called with what they take, their output held against the labels."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.errors import EdgewrightError, ModelError, nearest
from edgewright.plugins import load_object

Shape = tuple[int, ...]
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def call_architecture(spec: ModelSpec, shipped: Mapping[str, Callable[..., Any]], sample: Shape, outputs: int) -> Any:
    """Call the architecture with what it takes of ``sample``, ``outputs`` and the options; return what it returns.

    Raises:
        ModelError: there is no such architecture, it does not take an option, or it fails.
    """
    function = _architecture(spec.architecture, shipped)
    arguments = _arguments(function, spec, {"sample": sample, "outputs": outputs})
    try:
        return function(**arguments)
    except EdgewrightError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the architecture does not build: {type(error).__name__}: {error}",
            where=f"model.architecture: {spec.architecture}, model.options: {spec.options}",
            to_do="correct model.options, or the function",
        ) from error


def check_output(shape: Shape, spec: ModelSpec, task: Task, sample: Shape, outputs: int) -> None:
    """Make sure that an output for one sample, of this shape, answers the task.

    Raises:
        ModelError: it does not; both shapes are named.
    """
    if task == "anomaly":
        _check_anomaly_output(shape, spec, sample)
    elif shape != (1, outputs):
        count = "one a class of data.labels" if task == "classification" else "one a column of the labels"
        raise ModelError(
            f"for one sample the model returns the shape {shape}; the data needs (1, {outputs}), {count}",
            where=f"model.architecture: {spec.architecture}",
            to_do=f"let the last layer return {outputs} values (an architecture is given 'outputs'), or correct the labels",
        )


def _architecture(name: str, shipped: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    if ":" in name:
        found: Callable[..., Any] = load_object(name, asked_for="model.architecture")
        return found
    if name not in shipped:
        raise ModelError(
            f"no shipped model is called {name!r}",
            where="model.architecture",
            to_do=nearest(name, shipped) + " (or 'module:function' of your own)",
        )
    return shipped[name]


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
