# SPDX-License-Identifier: Apache-2.0
"""Files that edgewright did not make: what they declare is read from them, what they do not declare is taken from the data.

No format says whether channels come first or last, which classes its outputs are, or how samples are prepared.
"""

from pathlib import Path

import numpy as np

from edgewright.artifact import Artifact, ArtifactManifest, TensorSpec
from edgewright.bundle import copy_whole, size_of
from edgewright.claims import takes
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError, ExportError
from edgewright.onboard.preprocess import sample_rank
from edgewright.plugins import create
from edgewright.runtime import Signature

#: what stands for the parent of a file that somebody else made
UNKNOWN = "unknown"
#: layouts of a batch by the number of its axes, where a format says nothing
_LAYOUTS = {4: ("NCHW", "NHWC"), 3: ("NCL", "NLC"), 2: ("NF",)}


def describe(file: Path, runtime: str, dataset: Dataset, out: Path) -> Artifact:
    """Make an artifact of a bare file: tensors as the file declares them, preprocessing and labels as the data's.

    Raises:
        ExportError: the runtime cannot read the file, or it takes or answers what the data does not have.
        ConfigError: samples that are no floats are to be given to it as they are.
    """
    executing, card = create("runtimes", runtime), dataset.card
    signature: Signature = executing.inspect(file)
    entry = _entry(signature, file, dataset)
    _must_answer_the_labels(signature.outputs[0], file, dataset)
    parts = executing.files(file)
    copies = [out / part.name for part in parts]
    for part, copy in zip(parts, copies, strict=True):
        copy_whole(part, copy)
    manifest = ArtifactManifest(
        format=executing.format,
        file=file.name,
        size_bytes=sum(size_of(copy) for copy in copies),
        recipe=file.stem,
        task=card.task,
        inputs=(entry,),
        outputs=signature.outputs,
        preprocessing=card.preprocessing,
        labels=card.labels,
        toolchain={},
        parent=UNKNOWN,
    )
    return Artifact.seal(out, manifest)


def classes_of(file: Path, runtime: str) -> int | None:
    """How many values the file answers for a sample; None where it does not declare that.

    Raises:
        ExportError: the runtime cannot read the file.
    """
    outputs = create("runtimes", runtime).inspect(file).outputs
    count = int(np.prod(outputs[0].shape[1:])) if outputs and outputs[0].shape else -1
    return count if count > 1 else None


def must_be_prepared(sample_dtype: str) -> None:
    """Refuse to give raw samples to a file as they are: nobody would see that they were never scaled.

    Raises:
        ConfigError: the samples are integers.
    """
    if np.dtype(sample_dtype).kind != "f":
        raise ConfigError(
            f"nothing says how samples are prepared for this file, and the data holds raw values ({sample_dtype})",
            to_do="say it: --preprocessing scale=0.00392 (also mean, std, layout; scale=1 for a file that takes them raw), or "
            "--config release.yaml, whose data.preprocessing counts",
        )


def _entry(signature: Signature, file: Path, dataset: Dataset) -> TensorSpec:
    """The one input, in the layout in which a sample of the data fits it."""
    if len(signature.inputs) != 1:
        names = ", ".join(repr(one.name) for one in signature.inputs)
        raise ExportError(
            f"the file takes {len(signature.inputs)} inputs ({names}), and a sample is one array",
            where=str(file),
            to_do="export it with one input; what is constant or state belongs inside the graph",
        )
    entry, preprocessing = signature.inputs[0], dataset.card.preprocessing
    first = np.asarray(dataset.stored("test")[:1])
    axes = sample_rank(first, preprocessing) + 1
    for layout in (entry.layout, *_LAYOUTS.get(axes, ())):
        tried = entry.model_copy(update={"layout": layout})
        if takes(tried, first, preprocessing):
            return tried
    raise ExportError(
        f"the file's input wants samples of shape {entry.shape[1:]}, and those of the data are {first.shape[1:]} "
        f"read as {preprocessing.layout}",
        where=f"{file}: input {entry.name!r}",
        to_do="check that these are its data; --preprocessing layout=… says which axis is which (HWC, CHW, HW, LC, CL, L, F)",
    )


def _must_answer_the_labels(output: TensorSpec, file: Path, dataset: Dataset) -> None:
    if dataset.card.task != "classification" or -1 in output.shape[1:]:
        return
    answers, names = int(np.prod(output.shape[1:])), dataset.card.labels
    if answers == len(names):
        return
    single = "a classifier with one output says yes or no: export it with one output a class; " if answers == 1 else ""
    raise ExportError(
        f"the file answers {answers} value{'' if answers == 1 else 's'}, and the data names {len(names)} classes: "
        f"{', '.join(names[:8])}{' …' if len(names) > 8 else ''}",
        where=f"{file}: output {output.name!r}",
        to_do=f"{single}name all classes in the order of the outputs: data.labels of a release.yaml (--config), or the array "
        "`labels` in the .npz; or say --task",
    )
