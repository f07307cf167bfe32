# SPDX-License-Identifier: Apache-2.0
"""A linear classifier of scikit-learn's digits as files of the null runtime, in float and int8, with the data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewright.artifact import Artifact
from edgewright.bench import bench_of
from edgewright.config import Measuring, Target
from edgewright.config.data import DataSpec, Preprocessing
from edgewright.config.file_passes import PtqW8A8
from edgewright.data.dataset import Dataset
from edgewright.data.load import load_test
from edgewright.foreign import describe
from edgewright.integrations.runtimes.null import NullRuntime
from edgewright.runtime import Array, PassRequest
from edgewright.validate import validate_artifact
from edgewright.validation import ValidationRun

FEW = Measuring(warmup=0, invocations=60, processes=1)


@dataclass(frozen=True)
class Digits:
    """The data, the file and its float parent, and what the parent answers."""

    dataset: Dataset
    artifact: Artifact
    parent: Artifact
    expected: Array

    def validate(self, target: Target, out: Path, measuring: Measuring = FEW, *, with_parent: bool = True) -> ValidationRun:
        """Validate the file on a target's device over all the data."""
        out.mkdir(parents=True)
        parent = self.parent if with_parent else None
        return validate_artifact(self.artifact, parent, self.dataset, "test", self.expected, target, "top1", measuring, 0, out)


def digits_files(folder: Path) -> Digits:
    """Make the files."""
    (folder / "data").mkdir()
    spec = DataSpec(source="digits", preprocessing=Preprocessing(scale=0.0625, layout="HW"))
    dataset = load_test(spec, "classification", folder / "data")
    labels, samples = dataset.labels("test"), dataset.inputs("test", "NCHW")
    design = np.hstack([samples.reshape(len(labels), -1), np.ones((len(labels), 1), np.float32)])
    solution = np.linalg.lstsq(design, np.eye(10)[labels], rcond=None)[0].T.astype(np.float32)
    shapes = {"input_shape": np.array([1, 1, 8, 8]), "output_shape": np.array([1, 10])}
    np.savez(folder / "float.npz", weight=solution[:, :-1], bias=solution[:, -1], **shapes)
    NullRuntime().passes[PtqW8A8](PassRequest(folder / "float.npz", folder / "int8.npz", samples[:200], PtqW8A8()))
    made = {}
    for name in ("int8", "float"):
        (folder / name).mkdir()
        made[name] = describe(folder / f"{name}.npz", "null", dataset, folder / name)
    here = bench_of(Target(name="here", runtime="null", device="null"), FEW)
    expected = here.probe(made["float"], dataset.stored("test"), timing=False)[1]
    assert expected is not None
    return Digits(dataset, made["int8"], made["float"], expected)
