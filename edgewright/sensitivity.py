# SPDX-License-Identifier: Apache-2.0
"""Which layers quantization hurts, and the fewest to keep out of it. Pure: files are made and run by who asks.

A layer is judged by quantizing it alone. Keeping it alone in float costs as many files and tells less: while others
ruin the answers, and an outlier between two layers needs both of them in float, no single layer seems to help.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.data import Task
from edgewright.errors import ExportError

Array = NDArray[Any]


@dataclass(frozen=True)
class Closeness:
    """How close a file's answers are to its float parent's."""

    agreement: float
    """Share of samples on which both name the same class; of values: 1 minus ``rmse``, at least 0."""
    rmse: float
    """Root mean square error over the standard deviation of the float parent's outputs."""

    @property
    def order(self) -> tuple[float, float]:
        """Sorts the closest last: by agreement, then by error."""
        return self.agreement, -self.rmse

    def facts(self) -> dict[str, float | None]:
        """Both numbers, for a manifest; an error that is not finite is None."""
        return {"agreement": self.agreement, "rmse": self.rmse if np.isfinite(self.rmse) else None}


ErrorOf = Callable[[frozenset[str]], Closeness]
"""How close the file is in which these layers are kept, and all others are quantized."""


@dataclass(frozen=True)
class Kept:
    """What `fewest_kept` found."""

    layers: tuple[str, ...]
    """Most sensitive first; empty where the file was close enough with none."""
    reached: Closeness
    sensitivity: Mapping[str, Closeness]
    """How close the file is when a layer is quantized alone, most sensitive first; empty where nobody had to look."""


def closeness(outputs: Array, float_outputs: Array, task: Task) -> Closeness:
    """Compare float32 outputs (N, …) of a file with its float parent's on the same inputs."""
    got, wanted = (values.reshape(len(values), -1).astype(np.float64) for values in (outputs, float_outputs))
    if not np.isfinite(got).all():
        return Closeness(0.0, float("inf"))
    error, spread = float(np.sqrt(np.mean((got - wanted) ** 2))), float(wanted.std())
    rmse = error / spread if spread > 0 else (0.0 if error == 0 else float("inf"))
    if task == "classification" and wanted.shape[1] > 1:
        return Closeness(float(np.mean(got.argmax(axis=1) == wanted.argmax(axis=1))), rmse)
    return Closeness(max(0.0, 1 - rmse), rmse)


def fewest_kept(layers: Sequence[str], error_of: ErrorOf, wanted: float) -> Kept:
    """Find how many layers, most sensitive first, have to be kept for an agreement of ``wanted``.

    Source: Wu et al., 2020 (arXiv:2004.09602), partial quantization. Costs 1 evaluation where none has to
    be kept, and n + 1 + (layers kept) at most: one by one, because agreement need not grow with every layer kept.

    Args:
        layers: names; ties in sensitivity keep their order.
        error_of: makes and compares the file; is asked once for each set.
        wanted: agreement, 0 to 1.

    Raises:
        ExportError: keeping all layers is not enough.
    """
    answers: dict[frozenset[str], Closeness] = {}

    def asked(kept: frozenset[str]) -> Closeness:
        if kept not in answers:
            answers[kept] = error_of(kept)
        return answers[kept]

    nothing = asked(frozenset())
    if nothing.agreement >= wanted:
        return Kept((), nothing, {})
    everything = frozenset(layers)
    best = asked(everything)
    if best.agreement < wanted:
        raise ExportError(
            f"agreement with the float model on held-back samples is {nothing.agreement:.4g}, and {best.agreement:.4g} with "
            f"all {len(layers)} layers kept out of quantization; fallback_agreement is {wanted:g}",
            to_do="what stays quantized are inputs, outputs and operators without weights: lower fallback_agreement, "
            "calibrate on more typical samples, or train with quantization (qat_w8a8)",
        )
    alone = {layer: asked(everything - {layer}) for layer in layers}
    ranked = sorted(layers, key=lambda layer: alone[layer].order)
    count = next(count for count in range(1, len(ranked) + 1) if asked(frozenset(ranked[:count])).agreement >= wanted)
    kept = tuple(ranked[:count])
    return Kept(kept, asked(frozenset(kept)), {layer: alone[layer] for layer in ranked})
