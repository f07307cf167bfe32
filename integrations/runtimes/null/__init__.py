# SPDX-License-Identifier: Apache-2.0
"""The reference runtime: affine models in numpy. Complete and small, to learn from and to test with.

It exports y = W x + b: a linear layer, or several with nothing between them. The file is a .npz; its int8 pass is what
int8 runtimes do (Jacob et al., 2018, arXiv:1712.05877, eq. 1-5), with integer sums and one rescaling.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgewright.artifact import TensorSpec
from edgewright.calibration import CLIPPING, Histogram
from edgewright.config.base import Config
from edgewright.config.file_passes import Float16, PtqW8A8
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.null.session import NullSession, open_session, read
from edgewright.quantize import answers, quantize
from edgewright.runtime import Array, FilePass, Onboard, PassRequest, Runtime, Signature

_LAYOUTS = {4: "NCHW", 3: "NCL", 2: "NF"}


class NullRuntime(Runtime):
    """Executes affine models with numpy."""

    name: ClassVar[str] = "null"
    format: ClassVar[str] = "npz"
    suffix: ClassVar[str] = ".npz"
    requires: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = "pip install edgewright"
    onboard: ClassVar[Onboard] = Onboard((open_session.__module__,), "pip install numpy")

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Static int8 quantization with int8 inputs and outputs, and float16 weights."""
        return {PtqW8A8: _quantize, Float16: _to_float16}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Recover W and b by running zeros and the unit vectors through the model.

        Raises:
            ExportError: the model is not affine.
        """
        axes = np.eye(example[0].size, dtype=np.float32)
        nothing = _run(model, np.zeros_like(example))
        bias = nothing.reshape(-1)
        weight = _run(model, axes.reshape(-1, *example.shape[1:])).reshape(len(axes), -1).T - bias[:, None]
        probe = np.random.default_rng(0).normal(size=(8, *example.shape[1:])).astype(np.float32)
        expected = _run(model, probe).reshape(len(probe), -1)
        if not np.allclose(probe.reshape(len(probe), -1) @ weight.T + bias, expected, atol=1e-3 * np.abs(expected).max()):
            raise ExportError(
                "the null runtime exports affine models alone, and this one is not",
                where=str(out),
                to_do="take model.architecture 'mlp' with options {hidden: []}, or another runtime",
            )
        _save(out, weight=weight, bias=bias, input_shape=np.array(example.shape), output_shape=np.array(nothing.shape))

    def inspect(self, file: Path) -> Signature:
        """Read shapes and quantization.

        Raises:
            ExportError: the file is not a whole .npz file of this runtime.
        """
        return _signature(read(file))

    def load(self, file: Path, threads: int) -> NullSession:
        """Load a file once.

        Raises:
            ExportError: the file is not a whole .npz file of this runtime.
        """
        return open_session(file, threads)


def _quantize(request: PassRequest) -> dict[str, Any]:
    return quantize(request, _Quantizer(request))


class _Quantizer:
    """Weights to symmetric int8, inputs and outputs to asymmetric int8 by the range they have on the calibration inputs."""

    layers = ()
    """The one layer is all there is: kept in float, nothing would be quantized."""

    def __init__(self, request: PassRequest) -> None:
        self._arrays, self._inputs, self._options = read(request.parent), request.calibration, request.options

    def write(self, calibration: str, kept: frozenset[str], out: Path) -> None:  # noqa: ARG002
        arrays, options = self._arrays, self._options
        weight, bias = arrays["weight"].astype(np.float32), arrays["bias"].astype(np.float32)
        flat = self._inputs.reshape(len(self._inputs), -1)
        largest = np.abs(weight).max(axis=1) if options.per_channel else np.full(len(weight), np.abs(weight).max())
        weight_scale = np.maximum(largest, np.finfo(np.float32).tiny) / 127
        input_scale, input_zero = _scale(flat, calibration)
        output_scale, output_zero = _scale(flat @ weight.T + bias, calibration)
        _save(
            out,
            weight=np.round(weight / weight_scale[:, None]).astype(np.int8),
            weight_scale=weight_scale,
            bias=bias,
            input_shape=arrays["input_shape"],
            output_shape=arrays["output_shape"],
            input_scale=input_scale,
            input_zero=input_zero,
            output_scale=output_scale,
            output_zero=output_zero,
        )

    def run(self, file: Path, inputs: Array) -> Array:
        arrays = read(file)
        return answers(NullSession(arrays), _signature(arrays), inputs)


def _to_float16(request: PassRequest) -> None:
    arrays = read(request.parent)
    _save(request.out, **arrays | {name: arrays[name].astype(np.float16) for name in ("weight", "bias")})


def _scale(values: Array, calibration: str) -> tuple[np.float32, np.int32]:
    """Scale and zero point of int8 for a range that always holds 0, so that 0 is exact."""
    seen = Histogram()
    seen.add(values)
    low, high = CLIPPING[calibration](seen) if calibration in CLIPPING else (seen.low, seen.high)
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, float(np.finfo(np.float32).tiny)) / 255
    return np.float32(scale), np.int32(round(-128 - low / scale))


def _signature(arrays: dict[str, Array]) -> Signature:
    layout = _LAYOUTS.get(len(arrays["input_shape"]), "")
    return Signature(inputs=(_spec("input", layout, arrays),), outputs=(_spec("output", "", arrays),))


def _spec(name: str, layout: str, arrays: dict[str, Array]) -> TensorSpec:
    shape = tuple(int(axis) for axis in arrays[f"{name}_shape"])
    if "input_scale" not in arrays:
        return TensorSpec(name=name, shape=shape, dtype="float32", layout=layout)
    scale, zero = float(arrays[f"{name}_scale"]), int(arrays[f"{name}_zero"])
    return TensorSpec(name=name, shape=shape, dtype="int8", layout=layout, scale=scale, zero_point=zero, lsb=scale)


def _run(model: Any, inputs: Array) -> Array:
    import torch

    with torch.no_grad():
        outputs: Array = model(torch.from_numpy(inputs)).numpy()
    return outputs


def _save(out: Path, **arrays: Any) -> None:
    with out.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
