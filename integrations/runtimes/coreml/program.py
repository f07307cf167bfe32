# SPDX-License-Identifier: Apache-2.0
"""An ML program, read and executed operator by operator: a small MIL interpreter of our own.

It computes what the file says, with nothing of coremltools' own optimizer in between, so that a program that was
converted wrongly answers wrongly here too. It says nothing of Apple's kernels, of their speed or their memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.coreml.operators import OPERATORS
from edgewright.integrations.runtimes.coreml.package import read_model
from edgewright.integrations.runtimes.coreml.values import DTYPES, Values, type_name
from edgewright.integrations.runtimes.coreml.weights import WEIGHTS
from edgewright.runtime import Array, refusals, said

_UNKNOWN = -1


@dataclass(frozen=True)
class Tensor:
    """A value of the program: name, shape (-1 where it is free) and the name of its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Operator:
    """One operator: what it is called, what it takes and what it returns."""

    kind: str
    layer: str
    parameters: dict[str, Any]
    """A constant; or the names of the values that stand there."""
    live: dict[str, tuple[str, ...]]
    """Parameters that are values of the program, by name; several where the operator takes a list."""
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Weight:
    """A constant of one dimension or more: its name, and how it is stored: 'float16', or by the operator that widens it."""

    name: str
    stored: str


@dataclass(frozen=True)
class Program:
    """A whole program."""

    file: Path
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    """In the order they are executed; those that only make constants are done."""
    constants: dict[str, Any]
    weights: tuple[Weight, ...]

    def run(self, inputs: dict[str, Array], observe: Callable[[str, Array], None] | None = None) -> list[Array]:
        """Return the outputs.

        Args:
            inputs: by name.
            observe: told the name of each value and the value, the inputs too.

        Raises:
            ExportError: an operator cannot be executed on these values; it is named, with its layer.
        """
        values = {**self.constants, **inputs}
        for operator in self.operators:
            for tensor, found in zip(operator.outputs, self._execute(operator, values), strict=True):
                values[tensor.name] = found
        if observe is not None:
            for name in values.keys() - self.constants.keys():
                observe(name, values[name])
        return [values[tensor.name] for tensor in self.outputs]

    def _execute(self, operator: Operator, values: dict[str, Any]) -> list[Array]:
        given = operator.parameters | {
            name: [_widened(values[one]) for one in names] if name == "values" else _widened(values[names[0]])
            for name, names in operator.live.items()
        }
        with np.errstate(all="ignore"):  # NaN and infinity are found where outputs are judged
            found = _compute(OPERATORS[operator.kind], operator, given, self.file)
        results = list(found) if isinstance(found, tuple) else [found]
        return [
            _as_declared(result, tensor, operator, self.file) for result, tensor in zip(results, operator.outputs, strict=True)
        ]


def open_program(package: Path) -> Program:
    """Read a .mlpackage and check that all in it can be executed.

    Raises:
        ExportError: it is damaged, or has something that is not supported; an operator is named, with its layer.
    """
    model, root = read_model(package)
    with refusals("not a readable ML program", package, "export it again"):
        functions = model.mlProgram.functions
        if list(functions) != ["main"] or model.description.state:
            raise ExportError(
                "programs with several functions or with state are not supported", where=str(package), to_do="export one model"
            )
        function = functions["main"]
        block = function.block_specializations[function.opset]
        return _Reader(package, Values(package, root)).program(function, block)


class _Reader:
    """Turns operators of the file into ours; makes the constants on the way."""

    def __init__(self, package: Path, values: Values) -> None:
        self._package, self._values = package, values
        self._constants: dict[str, Any] = {}
        self._tensors: dict[str, Tensor] = {}
        self._weights: list[Weight] = []

    def program(self, function: Any, block: Any) -> Program:
        inputs = tuple(_tensor(value) for value in function.inputs)
        self._tensors = {tensor.name: tensor for tensor in inputs}
        operators = [made for operation in block.operations if (made := self._operator(operation)) is not None]
        outputs = tuple(self._tensors[name] for name in block.outputs)
        return Program(self._package, inputs, outputs, tuple(operators), self._constants, tuple(self._weights))

    def _operator(self, operation: Any) -> Operator | None:
        """Return an operator that is executed each time; None for one whose outputs are constants, which is done here."""
        outputs = tuple(_tensor(value) for value in operation.outputs)
        attributes = {name: self._values.read(value) for name, value in operation.attributes.items()}
        layer = str(attributes.pop("name", outputs[0].name))
        if operation.type == "const":
            self._constants[outputs[0].name] = attributes["val"]
            if np.ndim(attributes["val"]):
                self._weights.append(Weight(outputs[0].name, outputs[0].dtype.lower()))
            return None
        live: dict[str, tuple[str, ...]] = {}
        for name, argument in operation.inputs.items():
            names = tuple(one.name for one in argument.arguments)
            known = [
                self._values.read(one.value) if not one.name else self._constants.get(one.name) for one in argument.arguments
            ]
            if any(value is None for value in known):
                live[name] = names
            else:
                attributes[name] = known if name == "values" else known[0]
        attributes = {name: _widened(value) for name, value in attributes.items()}
        operator = Operator(operation.type, layer, attributes, live, outputs)
        if operation.type in WEIGHTS:
            widened = _compute(WEIGHTS[operation.type], operator, attributes, self._package)
            self._constants[outputs[0].name] = _as_declared(widened, outputs[0], operator, self._package)
            self._weights.append(Weight(outputs[0].name, operation.type))
            return None
        if operation.type not in OPERATORS or operation.blocks:
            raise _unsupported(operator, "", self._package)
        self._tensors |= {tensor.name: tensor for tensor in outputs}
        return operator


def _compute(function: Callable[..., Any], operator: Operator, given: dict[str, Any], file: Path) -> Any:
    try:
        return function(**given)
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise _unsupported(operator, f" as it is used here ({said(error)})", file) from error


def _widened(value: Any) -> Any:
    """Compute float16 in float32: the result is rounded once, to the type that the program declares."""
    if isinstance(value, list):
        return [_widened(one) for one in value]
    return value.astype(np.float32) if getattr(value, "dtype", None) == np.float16 else value


def _as_declared(found: Any, tensor: Tensor, operator: Operator, file: Path) -> Array:
    result = np.asarray(found).astype(DTYPES[tensor.dtype], copy=False)
    if len(result.shape) != len(tensor.shape) or any(
        want not in (_UNKNOWN, have) for have, want in zip(result.shape, tensor.shape, strict=True)
    ):
        raise ExportError(
            f"operator {operator.kind} makes a value of shape {result.shape}, and the program says {tensor.shape}",
            where=f"{file}: layer {operator.layer!r}",
            to_do="export it again; the file contradicts itself",
        )
    return result


def _unsupported(operator: Operator, how: str, file: Path) -> ExportError:
    return ExportError(
        f"operator {operator.kind} is not supported{how}",
        where=f"{file}: layer {operator.layer!r}",
        to_do="replace the operator in the model, or take another runtime",
    )


def _tensor(value: Any) -> Tensor:
    declared = value.type.tensorType
    shape = tuple(
        int(dimension.constant.size) if dimension.WhichOneof("dimension") == "constant" else _UNKNOWN
        for dimension in declared.dimensions
    )
    return Tensor(value.name, shape, type_name(declared.dataType))
