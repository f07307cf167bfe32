# SPDX-License-Identifier: Apache-2.0
"""Open a float file, and make sure that it is one that a release can start from: its input, its answer, its numbers."""

from pathlib import Path

import numpy as np

from edgewright.artifact import TensorSpec
from edgewright.config.data import Task
from edgewright.errors import ModelError
from edgewright.exported_model import ExportedModel
from edgewright.integrations.frameworks.exported.contents import Contents
from edgewright.onboard.preprocess import to_layout
from edgewright.quantize import answers
from edgewright.runtime import Array, Runtime, Signature

_WHERE = "model.file"
_LAYOUTS = {4: ("NCHW", "NHWC"), 3: ("NCL", "NLC"), 2: ("NF",)}


def open_model(file: Path, runtime: Runtime, layout: str, sample: tuple[int, ...], *, finds_anomalies: bool) -> ExportedModel:
    """Read what the file declares and find the layout that its input has.

    Args:
        file: ONNX or TFLite.
        runtime: what executes it.
        layout: of ``sample``, with the batch: 'NCHW'.
        sample: shape of one preprocessed sample, no batch.
        finds_anomalies: whether its answer is to be a score or a reconstruction.

    Raises:
        ModelError: there is no such file, or samples do not fit it.
        ExportError: it is not readable.
    """
    if not file.is_file():
        raise _wrong(f"there is no file {file.name!r}", f"{_WHERE}: {file}", "name an exported float file, .onnx or .tflite")
    signature = runtime.inspect(file)
    entry = _entry(signature, file, layout, sample)
    return ExportedModel(file, runtime.format, runtime, Signature((entry,), signature.outputs), finds_anomalies)


def check_model(
    model: ExportedModel, contents: Contents, task: Task, layout: str, sample: tuple[int, ...], outputs: int
) -> None:
    """Run one sample of zeros, and hold what comes back against the task.

    Raises:
        ModelError: the file is quantized already, or its answer does not fit the labels.
        ExportError: its runtime refuses it.
    """
    where = f"{_WHERE}: {model.file}"
    dtypes = {spec.dtype for spec in (model.entry, *model.signature.outputs)}
    if contents.quantized or dtypes != {"float32"}:
        why = contents.quantized or f"its inputs and outputs are {', '.join(sorted(dtypes))}"
        raise _wrong(
            f"the file is no float file: {why}",
            where,
            "start from the float32 file it was made from; to judge this one as it is: edgewright validate",
        )
    if len(model.signature.outputs) != 1:
        names = ", ".join(repr(one.name) for one in model.signature.outputs)
        raise _wrong(
            f"the file has {len(model.signature.outputs)} outputs ({names})", where, "export it with the one to be judged"
        )
    zeros = to_layout(np.zeros((1, *sample), np.float32), layout, model.entry.layout)
    shape = run(model, zeros).shape
    wanted = {(1,), (1, 1), zeros.shape} if task == "anomaly" else {(1, outputs)}
    if shape not in wanted:
        needs = "a score, (1,) or (1, 1), or a reconstruction of its input" if task == "anomaly" else f"(1, {outputs})"
        raise _wrong(
            f"for one sample the file answers the shape {shape}; the data needs {needs}",
            where,
            "name all classes in the order of the outputs: data.labels; or correct the task",
        )


def run(model: ExportedModel, inputs: Array) -> Array:
    """Run float32 inputs (N, …) in the file's own layout, one by one."""
    return answers(model.runtime.load(model.file, 1), model.signature, inputs)


def _entry(signature: Signature, file: Path, have: str, sample: tuple[int, ...]) -> TensorSpec:
    """The one input, in the layout in which a sample fits it; the format's usual one where several do."""
    where = f"{_WHERE}: {file}"
    if len(signature.inputs) != 1:
        names = ", ".join(repr(one.name) for one in signature.inputs)
        raise _wrong(
            f"the file takes {len(signature.inputs)} inputs ({names})", where, "export it with one; state belongs inside"
        )
    entry, zeros = signature.inputs[0], np.zeros((1, *sample), np.float32)
    for layout in (entry.layout, *_LAYOUTS.get(zeros.ndim, ())):
        if sorted(layout) != sorted(have):
            continue
        if _fits(to_layout(zeros, have, layout).shape, entry.shape):
            return entry.model_copy(update={"layout": layout})
    raise _wrong(
        f"the file's input {entry.name!r} wants the shape {entry.shape}; a sample is {sample} in layout {have[1:]}",
        where,
        "check that these are its data, and data.preprocessing.layout: height, width and channels may be swapped",
    )


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(want in (-1, have) for have, want in zip(shape, wanted, strict=True))


def _wrong(what: str, where: str, to_do: str) -> ModelError:
    return ModelError(what, where=where, to_do=to_do)
