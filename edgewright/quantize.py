# SPDX-License-Identifier: Apache-2.0
"""Static quantization that chooses by itself: the flow that runtimes share, told how to make and to run one file.

Calibration is chosen first, then the layers to take back from it: ranges that fit make most fallbacks unnecessary.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgewright.bundle import copy_whole
from edgewright.errors import ExportError
from edgewright.runtime import Array, PassRequest, Session, Signature, dequantize_output, quantize_input
from edgewright.sensitivity import Closeness, ErrorOf, Kept, closeness, fewest_kept

#: what `calibration: auto` tries; of equals the first is taken
CALIBRATIONS = ("minmax", "entropy", "percentile")


class Quantizer(Protocol):
    """One float file and its calibration inputs, in the hands of a toolkit."""

    @property
    def layers(self) -> Sequence[str]:
        """Names of the layers with weights, in the order they are executed."""

    def write(self, calibration: str, kept: frozenset[str], out: Path) -> None:
        """Write the file for ranges by ``calibration``; the layers in ``kept`` go where the pass's ``fallback`` says."""

    def run(self, file: Path, inputs: Array) -> Array:
        """Return the float32 outputs of a file for preprocessed float32 inputs (N, …)."""


def quantize(request: PassRequest, quantizer: Quantizer) -> dict[str, Any]:
    """Write the quantized file, and return what was chosen, for the manifest; nothing where nothing was to choose.

    Raises:
        ExportError: no fallback reaches the agreement, or nothing was held back to choose on.
    """
    options = request.options
    if not options.chooses:
        quantizer.write(options.calibration, frozenset(), request.out)
        return {}
    if request.held_back is None:
        raise ExportError(
            f"{options.name} chooses on held-back calibration samples, and there are none",
            where=str(request.parent),
            to_do="give PassRequest.held_back",
        )
    with tempfile.TemporaryDirectory(prefix="edgewright-choice-") as folder:
        trials = _Trials(request, quantizer, Path(folder))
        chosen: dict[str, Any] = {"held_back_samples": len(request.held_back)}
        calibration, kept = options.calibration, frozenset[str]()
        if calibration == "auto":
            errors = {each: trials.closeness(each, frozenset()) for each in CALIBRATIONS}
            calibration = max(errors, key=lambda each: errors[each].order)
            chosen |= {"calibration": calibration, "errors": {each: found.facts() for each, found in errors.items()}}
        if options.fallback is not None:
            found = _fewest_kept(request, quantizer.layers, lambda layers: trials.closeness(calibration, layers))
            kept = frozenset(found.layers)
            chosen |= {
                "reached": found.reached.facts(),
                "sensitivity": {layer: alone.facts() for layer, alone in found.sensitivity.items()},
                f"kept_{options.fallback}": list(found.layers),
            }
        _copy(trials.file(calibration, kept), request.out)
    return chosen


def answers(session: Session, signature: Signature, inputs: Array) -> Array:
    """Run float32 inputs (N, …) one by one through a loaded file; return its float32 outputs (N, …)."""
    entry, output = signature.inputs[0], signature.outputs[0]
    ready = quantize_input(inputs, entry)
    raw = np.concatenate([session.run(np.ascontiguousarray(sample[None])) for sample in ready])
    return dequantize_output(raw, output)


@dataclass(frozen=True)
class Operator:
    """One operator of a file's graph: its name, and those of its tensors."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def with_followers(kept: Iterable[str], layers: Mapping[str, str], operators: Sequence[Operator]) -> set[str]:
    """Return the operators of kept layers, and those without weights that follow one of them before the next layer.

    A sum or a pooling behind a kept layer stays as exact as what it is given: quantized there, the layer would be kept
    for nothing.

    Args:
        kept: names of layers.
        layers: operator's name to layer's name.
        operators: of the whole graph, in the order they are executed.
    """
    wanted, found, exact = set(kept), set[str](), set[str]()
    for operator in operators:
        is_layer = operator.name in layers
        if layers[operator.name] in wanted if is_layer else not exact.isdisjoint(operator.inputs):
            found.add(operator.name)
            exact.update(operator.outputs)
    return found


def _fewest_kept(request: PassRequest, layers: Sequence[str], error_of: ErrorOf) -> Kept:
    try:
        return fewest_kept(layers, error_of, request.options.fallback_agreement)
    except ExportError as refused:
        raise ExportError(refused.what, where=str(request.parent), to_do=refused.to_do) from refused


def _copy(made: Path, out: Path) -> None:
    """Copy a file (of some formats a folder) and what lies beside it under its name: some formats take two files."""
    for part in made.parent.glob(f"{made.stem}.*"):
        copy_whole(part, out.with_suffix(part.suffix))


class _Trials:
    """Files made so far, each once, and how close they are to their float parent."""

    def __init__(self, request: PassRequest, quantizer: Quantizer, folder: Path) -> None:
        self._request, self._quantizer, self._folder = request, quantizer, folder
        self._files: dict[tuple[str, frozenset[str]], Path] = {}
        self._float_outputs = quantizer.run(request.parent, request.held_back)  # type: ignore[arg-type]

    def file(self, calibration: str, kept: frozenset[str]) -> Path:
        """Make the file, unless it is there."""
        if (calibration, kept) not in self._files:
            out = self._folder / f"{len(self._files)}{self._request.out.suffix}"
            self._quantizer.write(calibration, kept, out)
            self._files[calibration, kept] = out
        return self._files[calibration, kept]

    def closeness(self, calibration: str, kept: frozenset[str]) -> Closeness:
        """Make the file and compare its answers on the held-back inputs."""
        outputs = self._quantizer.run(self.file(calibration, kept), self._request.held_back)  # type: ignore[arg-type]
        return closeness(outputs, self._float_outputs, self._request.task)
