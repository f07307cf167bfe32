# SPDX-License-Identifier: Apache-2.0
"""What is counted of a model's inputs and outputs: sketches and class counts, or randomized answers instead of both."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import ConfigError, DataError
from edgewright.monitor.features import answers, of_inputs, of_outputs
from edgewright.monitor.privacy import buckets_of, edges_of, randomized
from edgewright.monitor.sketch import Sketch

Array = NDArray[Any]
Values = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Watched:
    """What is watched of samples and outputs, as a reference says."""

    inputs: tuple[str, ...]
    sample_size: int
    outputs: tuple[str, ...]
    output_size: int
    logits: bool
    classes: int
    """Length of the list of class counts; 0 where the model is no classifier."""
    own: dict[str, Callable[[Array], Array]]
    edges: dict[str, NDArray[np.float32]]

    @classmethod
    def of(cls, reference: Mapping[str, Any], own: Mapping[str, Callable[[Array], Array]]) -> Watched:
        """Read what is watched from a reference.

        Raises:
            ConfigError: the functions given are not those of the reference's own features.
        """
        if set(own) != set(reference["own"]):
            wrong = ", ".join(sorted(set(own) ^ set(reference["own"])))
            raise ConfigError(
                f"the reference's own features and the functions given differ: {wrong}",
                where="Monitor(own=…)",
                to_do="give the functions that the reference was made with",
            )
        return cls(
            tuple(reference["inputs"]),
            int(reference["sample_size"]),
            tuple(reference["outputs"]),
            int(reference["output_size"]),
            bool(reference["logits"]),
            len(reference["classes"] or ()),
            dict(own),
            {name: edges_of(feature["quantiles"]) for name, feature in reference["features"].items()},
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Every number that is watched."""
        return (*self.inputs, *self.own, *self.outputs)

    def values(self, inputs: Array, outputs: Array) -> tuple[Values, NDArray[np.int64]]:
        """Values (N,) of every number that is watched, and the class each sample was given (-1: none).

        Raises:
            DataError: the two do not belong together, or are not what the reference was made of.
        """
        sizes = {len(inputs), len(outputs)}
        for what, array, size in (("sample", inputs, self.sample_size), ("output", outputs, self.output_size)):
            if len(sizes) != 1 or array[0:1].size != min(1, len(array)) * size:
                raise DataError(
                    f"inputs have the shape {inputs.shape}, outputs {outputs.shape}; a {what} has {size} numbers",
                    where="Monitor.observe",
                    to_do="give a batch (N, …) of both, samples as the training data stores them",
                )
        found = of_inputs(inputs, self.inputs)
        found.update({name: _vector(function(inputs), len(inputs), name) for name, function in self.own.items()})
        found.update(of_outputs(outputs, self.outputs, logits=self.logits))
        return found, answers(outputs) if self.classes else np.full(len(outputs), -1)


class Counts:
    """Sketches of every number, and how often each class was answered."""

    def __init__(self, watched: Watched, kept: dict[str, Any] | None) -> None:
        self._sketches = {name: Sketch(kept and kept["features"][name]) for name in watched.names}
        self._classes = np.array(kept["classes"] or [] if kept else [0] * watched.classes, np.int64)

    def add(self, values: Values, classes: NDArray[np.int64]) -> None:
        """Count a batch."""
        for name, sketch in self._sketches.items():
            sketch.add(values[name])
        if len(self._classes):
            self._classes += np.bincount(classes[classes >= 0], minlength=len(self._classes))

    def to_json(self) -> dict[str, Any]:
        """Return features and classes as a report holds them."""
        features = {name: sketch.to_json() for name, sketch in self._sketches.items()}
        return {"features": features, "classes": self._classes.tolist() or None}


class PrivateCounts:
    """Randomized answers: of each sample one, about one of its numbers or its class (`edgewright.monitor.privacy`)."""

    def __init__(self, watched: Watched, epsilon: float, chance: random.Random, kept: dict[str, Any] | None) -> None:
        self._watched, self._epsilon, self._chance = watched, epsilon, chance
        sizes = [len(watched.edges[name]) + 2 for name in watched.names]
        held = [kept["features"][name]["buckets"] for name in watched.names] if kept else [[0] * size for size in sizes]
        if watched.classes:  # one more for outputs that name no class
            held.append(kept["classes"] if kept else [0] * (watched.classes + 1))
        self._answers = held

    def add(self, values: Values, classes: NDArray[np.int64]) -> None:
        """Count a batch."""
        edges, count = self._watched.edges, self._watched.classes
        columns = [buckets_of(values[name], edges[name]) for name in self._watched.names]
        if count:
            columns.append(np.where(classes >= 0, classes, count))
        for row in range(len(classes)):
            which = self._chance.randrange(len(columns))
            told = self._answers[which]
            told[randomized(int(columns[which][row]), len(told), self._epsilon, self._chance)] += 1

    def to_json(self) -> dict[str, Any]:
        """Return features and classes as a report holds them."""
        names = self._watched.names
        features = {name: {"buckets": told} for name, told in zip(names, self._answers)}
        return {"features": features, "classes": self._answers[-1] if self._watched.classes else None}


def _vector(values: Array, count: int, name: str) -> NDArray[np.float32]:
    vector = np.asarray(values, np.float32)
    if vector.shape != (count,):
        raise DataError(f"feature {name!r} gives {vector.shape} for {count} samples", to_do="return one number a sample")
    return vector
