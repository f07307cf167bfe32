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
from edgewright.bundle import size_of
from edgewright.config.base import Config
from edgewright.config.data import Task
from edgewright.config.recipe import PASSES, Rung
from edgewright.data.calibration import calibration_inputs
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError, ExportError, nearest
from edgewright.exported_model import ExportedModel
from edgewright.fingerprint import toolchain
from edgewright.framework import Framework
from edgewright.ladder import able
from edgewright.runtime import PassRequest, Runtime, Signature

_Tensors = dict[str, list[dict[str, Any]]]


def export_model(candidate: Candidate, dataset: Dataset, runtime: str, options: Mapping[str, Any], out: Path) -> Artifact:
    """Export a candidate's live model as a file of the runtime's format: float, or integer where it was trained to be.

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
    parse_options(executing, options)
    file = _main_file(out, writing)
    tensors: _Tensors = isolate.call(
        "edgewright.export:write_model", candidate.path, runtime, dict(options), file, label=f"export for {executing.name}"
    )
    card = dataset.card
    return Artifact.seal(
        out,
        ArtifactManifest(
            format=executing.format,
            file=file.name,
            size_bytes=size_of(out),
            recipe=candidate.facts.recipe,
            task=card.task,
            inputs=_specs(tensors["inputs"]),
            outputs=_specs(tensors["outputs"]),
            quantization={step.name: step.options for step in candidate.facts.passes} if candidate.facts.quantized else {},
            preprocessing=card.preprocessing,
            labels=card.labels,
            toolchain=_versions(executing, writing, framework),
            parent=candidate.digest,
        ),
    )


def require_loadable(artifact: Artifact, runtime: str) -> None:
    """Make sure that a runtime loads a file which another one wrote.

    Raises:
        ExportError: it does not; the operator is named where it is known.
    """
    isolate.call("edgewright.export:load_file", artifact.main_file, runtime, label=f"{runtime} loads the file")


def apply_pass(
    parent: Artifact, dataset: Dataset, runtime: str, rung: Rung, out: Path, candidate: Candidate | None = None
) -> Artifact:
    """Apply a recipe's pass on files to an exported file, and describe the file that comes out.

    Args:
        parent: the float file.
        dataset: where calibration samples come from.
        runtime: name of what executes the files.
        rung: the recipe; its one file pass is applied.
        out: folder to fill and seal.
        candidate: what the parent was exported from; only runtimes that convert models need it.

    Raises:
        ConfigError: the calibration split is too small for the pass.
        ExportError: the runtime cannot execute the pass, the toolkit refused or crashed, or the file is not what it claims.
    """
    executing = plugins.create("runtimes", runtime)
    writing = _writer(executing)
    step: Any = rung.file_passes[0]
    if not executing.supports(step.kind):
        raise ExportError(
            f"{executing.name} cannot execute {step.kind}", where=f"recipe {rung.name}", to_do=f"it can: {able(executing)}"
        )
    file = _main_file(out, writing)
    inputs, held_back = calibration_inputs(dataset, step, parent.facts.inputs[0].layout)
    with tempfile.TemporaryDirectory(prefix="edgewright-pass-") as folder:
        samples = Path(folder) / "samples.npz"
        np.savez(samples, calibration=inputs, held_back=inputs[:0] if held_back is None else held_back)
        told = isolate.call(
            "edgewright.export:write_pass",
            *(parent.main_file, runtime, step.model_dump(mode="json"), samples, file, parent.facts.task),
            candidate.path if candidate and writing.converts_models else None,
            label=f"{step.name} for {executing.name}",
        )
    options = {**step.model_dump(mode="json"), **_calibration_facts(inputs), **told["chosen"]}
    return Artifact.seal(
        out,
        parent.facts.model_copy(
            update={
                "file": file.name,
                "size_bytes": size_of(out),
                "recipe": rung.name,
                "inputs": _laid_out_as(parent.facts.inputs, _specs(told["inputs"])),
                "outputs": _specs(told["outputs"]),
                "quantization": {step.name: options},
                "toolchain": {**parent.facts.toolchain, **_versions(executing, writing)},
                "parent": parent.digest,
            }
        ),
    )


def write_model(candidate_path: str, runtime: str, options: dict[str, Any], out: str) -> _Tensors:
    """Child process: load the candidate, export it, and return the tensors that the file declares."""
    candidate = Candidate.open(Path(candidate_path))
    executing = plugins.create("runtimes", runtime)
    writing = _writer(executing)
    model = _load(candidate)
    example = np.zeros((1, *candidate.facts.input_shape), np.float32)
    given = parse_options(executing, options)
    export = writing.export_quantized if candidate.facts.quantized else writing.export
    export(model, example, Path(out), given if writing is executing else writing.Options())
    tensors = _read_back(executing, Path(out), runs_here=not executing.why_not_here(given))
    if isinstance(model, ExportedModel):  # most formats declare no layout, and not everybody's files have the usual one
        tensors["inputs"][0]["layout"] = model.entry.layout
    return tensors


def write_pass(
    parent: str, runtime: str, options: dict[str, Any], samples: str, out: str, task: Task, candidate_path: str | None = None
) -> dict[str, Any]:
    """Child process: apply one pass to a file; return the tensors that the new file declares, and what the pass chose."""
    executing = plugins.create("runtimes", runtime)
    step: Any = PASSES[options["kind"]].model_validate(options)
    with np.load(samples, allow_pickle=False) as stored:
        given = {name: stored[name] for name in stored.files}
    held_back = given["held_back"] if len(given["held_back"]) else None
    model = _load(Candidate.open(Path(candidate_path))) if candidate_path else None
    request = PassRequest(Path(parent), Path(out), given["calibration"], step, held_back, task, model)
    chosen = executing.passes[type(step)](request)
    return {**_read_back(executing, Path(out)), "chosen": chosen or {}}


def load_file(file: str, runtime: str) -> None:
    """Child process: load a file in the runtime that will execute it."""
    _read_back(plugins.create("runtimes", runtime), Path(file))


def _load(candidate: Candidate) -> Any:
    return plugins.create("frameworks", candidate.facts.framework).load(candidate)


def parse_options(runtime: Runtime, options: Mapping[str, Any]) -> Config:
    """Return a runtime's options, as release.yaml has them, in its own type.

    Raises:
        ConfigError: it takes no such option.
    """
    try:
        return runtime.Options.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        valid = runtime.Options.model_fields
        to_do = nearest(key, valid) if valid else f"{runtime.name} has no options: remove it"
        raise ConfigError(first["msg"], where=f"options of {runtime.name}: {key}", to_do=to_do) from error


def _read_back(executing: Runtime, file: Path, *, runs_here: bool = True) -> _Tensors:
    """Read what the file declares, and load it where it will run, so that a refusal is known now."""
    signature: Signature = executing.inspect(file)
    if runs_here:
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


def _main_file(out: Path, writing: Runtime) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    return out.resolve() / f"model{writing.suffix}"


def _calibration_facts(inputs: NDArray[np.float32]) -> dict[str, Any]:
    if not len(inputs):
        return {}
    return {"calibration_samples": len(inputs), "calibration_digest": hashlib.sha256(inputs.tobytes()).hexdigest()}


def _versions(*parts: Runtime | Framework) -> dict[str, str]:
    return toolchain(tuple(module for part in parts for module in part.requires))


def _specs(tensors: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec.model_validate(tensor) for tensor in tensors)


def _laid_out_as(before: tuple[TensorSpec, ...], after: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """A pass leaves the order of axes as it is; read from the new file it would be what the format usually has."""
    return tuple(new.model_copy(update={"layout": old.layout}) for old, new in zip(before, after, strict=True))
