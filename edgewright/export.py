# SPDX-License-Identifier: Apache-2.0
"""From a candidate to an exported file, and from a file to a compressed one, each toolkit in a process of its own.

The child writes the file, reads it back and loads it in the runtime that will execute it; only what it then declares
goes into the manifest.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edgewright import isolate, plugins
from edgewright.artifact import Artifact, ArtifactManifest, Candidate, TensorSpec
from edgewright.config.base import Config
from edgewright.config.recipe import PASSES, Pass, PtqW8A8, Rung
from edgewright.data.dataset import Dataset
from edgewright.data.preprocess import prepare
from edgewright.errors import ConfigError, ExportError, nearest
from edgewright.fingerprint import toolchain
from edgewright.framework import Framework
from edgewright.ladder import able, why_not
from edgewright.runtime import PassRequest, Runtime, Signature

FLOAT = "float32"
_Tensors = dict[str, list[dict[str, Any]]]


def export_float(candidate: Candidate, dataset: Dataset, runtime: str, options: Mapping[str, Any], out: Path) -> Artifact:
    """Export a candidate's live model as a float file of the runtime's format.

    Args:
        candidate: weights, and the framework that loads them.
        dataset: its card gives task, labels and preprocessing.
        runtime: name of what will execute the file.
        options: the runtime's options, as release.yaml has them.
        out: folder to fill and seal.

    Raises:
        ConfigError: the runtime takes no such option.
        ExportError: the toolkit refused the model or crashed, or wrote a file the runtime does not load.
    """
    executing = plugins.create("runtimes", runtime)
    writing = _writer(executing)
    framework: Framework = plugins.create("frameworks", candidate.facts.framework)
    if framework.name not in writing.frameworks:
        raise ExportError(
            f"{executing.name} cannot export models of {framework.name}",
            where=f"model.framework: {framework.name}",
            to_do=f"it can export: {', '.join(writing.frameworks)}",
        )
    _parse_options(executing, options)
    file = _main_file(out, writing)
    tensors: _Tensors = isolate.call(
        "edgewright.export:write_float", candidate.path, runtime, dict(options), file, label=f"export for {executing.name}"
    )
    card = dataset.card
    return Artifact.seal(
        out,
        ArtifactManifest(
            format=executing.format,
            file=file.name,
            size_bytes=_size(out),
            recipe=FLOAT,
            task=card.task,
            inputs=_specs(tensors["inputs"]),
            outputs=_specs(tensors["outputs"]),
            preprocessing=card.preprocessing,
            labels=card.labels,
            toolchain=_versions(executing, writing, framework),
            parent=candidate.digest,
        ),
    )


def apply_passes(parent: Artifact, dataset: Dataset, runtime: str, rung: Rung, out: Path) -> Artifact:
    """Apply a recipe's passes to a float file, one after another, and describe the file that comes out.

    Raises:
        ExportError: the runtime cannot execute a pass, the toolkit refused or crashed, or the file is not what it claims.
    """
    executing = plugins.create("runtimes", runtime)
    writing = _writer(executing)
    refusal = why_not(rung, executing)
    if refusal:
        raise ExportError(refusal, where=f"recipe {rung.name}", to_do=f"take a recipe of: {able(executing)}")
    file = _main_file(out, writing)
    quantization: dict[str, Any] = {}
    tensors: _Tensors = {}
    with tempfile.TemporaryDirectory(prefix="edgewright-passes-") as folder:
        current = parent.main_file
        for number, step in enumerate(rung.passes):
            inputs = _calibration(dataset, step, parent.facts.inputs[0].layout)
            samples = Path(folder) / f"{number}.npy"
            np.save(samples, inputs, allow_pickle=False)
            written = file if number == len(rung.passes) - 1 else Path(folder) / f"{number}{writing.suffix}"
            tensors = isolate.call(
                "edgewright.export:write_pass",
                *(current, runtime, step.model_dump(mode="json"), samples, written),
                label=f"{step.name} for {executing.name}",
            )
            quantization[step.name] = {**step.model_dump(mode="json"), **_calibration_facts(inputs)}
            current = written
    return Artifact.seal(
        out,
        parent.facts.model_copy(
            update={
                "file": file.name,
                "size_bytes": _size(out),
                "recipe": rung.name,
                "inputs": _specs(tensors["inputs"]),
                "outputs": _specs(tensors["outputs"]),
                "quantization": quantization,
                "toolchain": {**parent.facts.toolchain, **_versions(executing, writing)},
                "parent": parent.digest,
            }
        ),
    )


def write_float(candidate_path: str, runtime: str, options: dict[str, Any], out: str) -> _Tensors:
    """Child process: load the candidate, export it, and return the tensors that the file declares."""
    candidate = Candidate.open(Path(candidate_path))
    executing = plugins.create("runtimes", runtime)
    writing = _writer(executing)
    model = plugins.create("frameworks", candidate.facts.framework).load(candidate)
    example = np.zeros((1, *candidate.facts.input_shape), np.float32)
    given = _parse_options(executing, options)
    writing.export(model, example, Path(out), given if writing is executing else writing.Options())
    return _read_back(executing, Path(out))


def write_pass(parent: str, runtime: str, options: dict[str, Any], samples: str, out: str) -> _Tensors:
    """Child process: apply one pass to a file, and return the tensors that the new file declares."""
    executing = plugins.create("runtimes", runtime)
    step = PASSES[options["kind"]].model_validate(options)
    inputs = np.load(samples, mmap_mode="r", allow_pickle=False)
    executing.passes[type(step)](PassRequest(Path(parent), Path(out), inputs, step))
    return _read_back(executing, Path(out))


def _read_back(executing: Runtime, file: Path) -> _Tensors:
    """Load the file where it will run, so that a refusal is known now, and read what it declares."""
    signature: Signature = executing.inspect(file)
    executing.load(file, threads=1)
    return {
        "inputs": [spec.model_dump(mode="json") for spec in signature.inputs],
        "outputs": [spec.model_dump(mode="json") for spec in signature.outputs],
    }


def _writer(executing: Runtime) -> Runtime:
    """Return the runtime that writes the files which this one executes."""
    if executing.exports_with is None:
        return executing
    writing: Runtime = plugins.create("runtimes", executing.exports_with)
    return writing


def _parse_options(runtime: Runtime, options: Mapping[str, Any]) -> Config:
    try:
        return runtime.Options.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        valid = runtime.Options.model_fields
        to_do = nearest(key, valid) if valid else f"{runtime.name} has no options: remove it"
        raise ConfigError(first["msg"], where=f"options of {runtime.name}: {key}", to_do=to_do) from error


def _main_file(out: Path, writing: Runtime) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    return out.resolve() / f"model{writing.suffix}"


def _calibration(dataset: Dataset, step: Pass, layout: str) -> NDArray[np.float32]:
    """Prepared inputs for a pass: as many as it asks for, spread evenly over the calibration split; none if it needs none."""
    stored = dataset.stored("calibration")
    wanted = min(step.samples or len(stored), len(stored)) if isinstance(step, PtqW8A8) else 0
    # a split that a user gives whole may be sorted by class: the first n would be of one class
    chosen = np.linspace(0, len(stored) - 1, wanted).round().astype(np.int64)
    return prepare(np.asarray(stored[chosen]), dataset.card.preprocessing, layout)


def _calibration_facts(inputs: NDArray[np.float32]) -> dict[str, Any]:
    if not len(inputs):
        return {}
    return {"calibration_samples": len(inputs), "calibration_digest": hashlib.sha256(inputs.tobytes()).hexdigest()}


def _versions(*parts: Runtime | Framework) -> dict[str, str]:
    return toolchain(tuple(module for part in parts for module in part.requires))


def _specs(tensors: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec.model_validate(tensor) for tensor in tensors)


def _size(out: Path) -> int:
    return sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
