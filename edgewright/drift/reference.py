# SPDX-License-Identifier: Apache-2.0
"""reference.json: what the training data and the artifact's own answers look like, as devices' reports are held against it.

Inputs are of the training split. Answers are of the test split, by the exported file: on what it was trained on a model is
surer of itself than it will ever be again. Exact quantiles, not a sketch: the same data give the same bytes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from edgewright.config.data import Task
from edgewright.data.dataset import Dataset
from edgewright.errors import StoreError
from edgewright.measure import Frozen
from edgewright.monitor.features import answers, are_logits, counted_classes, input_names, of_inputs, of_outputs, output_names
from edgewright.monitor.privacy import buckets_of, edges_of
from edgewright.report.atomic import write_text
from edgewright.trust import archive
from edgewright.trust.signed import REFERENCE as NAME
from edgewright.trust.signed import SUFFIX

Array = NDArray[Any]
Own = Mapping[str, Callable[[Array], Array]]
#: quantiles kept of a feature: 257 at ranks 0, 1/256, …, 1; a rank is off by at most 1/256
STEPS = 256
#: bytes of a reference; what is longer is not parsed
LONGEST = 16_000_000
_BLOCK = 4096


class ReferenceFeature(Frozen):
    """One number of every sample."""

    n: int = Field(description="Finite values.")
    missing: int = Field(description="Samples without one: NaN or infinite.")
    quantiles: tuple[float, ...] = Field(min_length=1, description="At evenly spaced ranks, from the minimum to the maximum.")
    buckets: tuple[int, ...] = Field(
        description="Values in each of at most 16 buckets of equal share; the last one is 'missing'."
    )


class Reference(Frozen):
    """What is watched of one artifact, and how it was when the artifact was released."""

    schema_version: Literal[1] = 1
    model: str = Field(pattern=r"^[0-9a-f]{64}$", description="Digest of the artifact.")
    target: str
    data: str = Field(description="Digest of the dataset.")
    task: Task
    labels: tuple[str, ...]
    sample_size: int = Field(description="Numbers of one sample.")
    output_size: int = Field(description="Numbers of one answer.")
    logits: bool = Field(description="Whether softmax makes the outputs probabilities.")
    inputs: tuple[str, ...] = Field(description="What is watched of samples, in order.")
    own: tuple[str, ...] = Field(description="Features of the user's own functions.")
    outputs: tuple[str, ...] = Field(description="What is watched of answers, in order.")
    features: dict[str, ReferenceFeature]
    classes: tuple[int, ...] | None = Field(description="How often each class was answered; None without classes.")


def make_reference(model: str, target: str, data: Dataset, outputs: Array, own: Own | None = None) -> Reference:
    """Describe what an artifact was trained on and answers.

    Args:
        model: digest of the artifact.
        target: its name.
        data: its training split is read, block by block.
        outputs: the artifact's on the test split (N, …).
        own: features of the user's own: samples (N, …) to values (N,).
    """
    card, own = data.card, own or {}
    names = input_names(card.sample_shape, card.features)
    size, classifies = int(np.prod(outputs.shape[1:])), card.task == "classification"
    answered, logits = output_names(card.task, size), classifies and are_logits(outputs)
    values = _of_training(data, names, own) | of_outputs(outputs, answered, logits=logits)
    classes = np.bincount(answers(outputs).clip(min=0), minlength=counted_classes(len(card.labels))) if classifies else None
    return Reference(
        model=model,
        target=target,
        data=data.digest,
        task=card.task,
        labels=card.labels,
        sample_size=int(np.prod(card.sample_shape)),
        output_size=size,
        logits=logits,
        inputs=names,
        own=tuple(own),
        outputs=answered,
        features={name: describe(one) for name, one in values.items()},
        classes=None if classes is None else tuple(int(count) for count in classes),
    )


def write(reference: Reference, path: Path) -> None:
    """Write a reference, whole or not at all; the same reference gives the same bytes.

    Raises:
        StoreError: the folder cannot be written.
    """
    write_text(path, reference.model_dump_json(indent=None) + "\n")


def read(path: Path) -> Reference:
    """Read a reference: the file, the folder that holds reference.json, or a signed bundle, whose signature is not looked at.

    Raises:
        StoreError: there is none, or it is no reference of this version.
    """
    file = path / NAME if path.is_dir() else path
    try:
        return Reference.model_validate_json(_of_bundle(file) if file.suffix == SUFFIX else _short_page(file))
    except OSError as error:
        raise StoreError(
            f"the reference cannot be read: {error.strerror}", where=str(file), to_do="name reference.json of the release"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise StoreError(
            f"this is no reference: {said}", where=str(file), to_do="name reference.json of the release"
        ) from error
    except ValueError as error:
        raise StoreError(f"this is no reference: {error}", where=str(file)) from error


def _short_page(file: Path) -> bytes:
    if file.stat().st_size > LONGEST:
        raise ValueError(f"more than {LONGEST} bytes")
    return file.read_bytes()


def _of_bundle(file: Path) -> bytes:
    entries = archive.read(file)
    if NAME not in entries:
        raise ValueError(f"the bundle has no {NAME}")
    return archive.content(file, entries[NAME], LONGEST)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of reference.json."""
    return Reference.model_json_schema(mode="serialization")


def _of_training(data: Dataset, names: tuple[str, ...], own: Own) -> dict[str, NDArray[np.float32]]:
    stored = data.stored("train")
    blocks = []
    for start in range(0, len(stored), _BLOCK):
        block = np.asarray(stored[start : start + _BLOCK])
        blocks.append(of_inputs(block, names) | {name: np.asarray(make(block), np.float32) for name, make in own.items()})
    return {name: np.concatenate([block[name] for block in blocks]) for name in (*names, *own)}


def describe(values: NDArray[np.float32]) -> ReferenceFeature:
    """Describe the values (N,) of one feature."""
    finite = np.sort(values[np.isfinite(values)])
    quantiles = [0.0]  # of nothing: all of it is missing
    if len(finite):
        ranks = np.arange(STEPS + 1) * len(finite)  # exact, in integers
        quantiles = [_short(value) for value in finite[np.maximum(-(-ranks // STEPS) - 1, 0)]]
    edges = edges_of(quantiles)
    buckets = np.bincount(buckets_of(values, edges), minlength=len(edges) + 2)
    return ReferenceFeature(
        n=len(finite),
        missing=len(values) - len(finite),
        quantiles=tuple(quantiles),
        buckets=tuple(int(count) for count in buckets),
    )


def _short(value: np.float32) -> float:
    """The shortest decimal that is this float32."""
    return float(str(value))
