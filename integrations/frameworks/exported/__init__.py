# SPDX-License-Identifier: Apache-2.0
"""Releases that start from an exported float file, ONNX or TFLite: nothing is trained, and passes work on files alone."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.bundle import copy_whole
from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.data.dataset import Dataset
from edgewright.exported_model import ExportedModel
from edgewright.framework import Array, Framework
from edgewright.integrations.frameworks.exported import contents
from edgewright.integrations.frameworks.exported.open import check_model, open_model, run
from edgewright.onboard.preprocess import to_layout
from edgewright.onboard.tensors import anomaly_score
from edgewright.plugins import create


class ExportedFile(Framework):
    """Takes over and runs float files of one format, with the runtime that executes them."""

    runtime: ClassVar[str]
    """Name of that runtime."""
    architectures: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def contents(self, file: Path) -> contents.Contents:
        """Count a file's weights, and find what is quantized in it."""

    def files(self, spec: ModelSpec) -> tuple[Path, ...]:
        """Return the file, and those beside it that hold its weights.

        Raises:
            ExportError: the file is not readable, or one with its weights is not there.
        """
        found: tuple[Path, ...] = create("runtimes", self.runtime).files(_file(spec))
        return found

    def check(self, spec: ModelSpec, task: Task, sample: tuple[int, ...], outputs: int) -> None:
        """Open the file and run one sample of zeros through it.

        Raises:
            ModelError: there is no such file, it is quantized already, or data and labels do not fit it.
            ExportError: it is not readable, or its runtime refuses it.
        """
        layout = self.layouts[len(sample)]
        model = self._open(_file(spec), sample, finds_anomalies=task == "anomaly")
        check_model(model, self.contents(model.file), task, layout, sample, outputs)

    def train(
        self,
        spec: ModelSpec,
        data: Dataset,
        seed: int,  # noqa: ARG002 - nothing is trained
        metric: str,  # noqa: ARG002
        out: Path,
        checkpoints: Path,  # noqa: ARG002
    ) -> CandidateFacts:
        """Take the file over as it is.

        Raises:
            ModelError: it does not fit the data.
            ExportError: it is not readable.
        """
        sample = data.sample_in(self.layouts)
        self.check(spec, data.card.task, sample, data.outputs)
        main, *beside = self.files(spec)
        copy_whole(main, out / _name(main))
        for part in beside:
            copy_whole(part, out / part.name)
        return CandidateFacts(
            framework=self.name,
            model=spec,
            input_shape=sample,
            outputs=data.outputs,
            parameters=self.contents(main).parameters,
        )

    def load(self, candidate: Candidate) -> ExportedModel:
        """Return the file, ready to be run.

        Raises:
            ExportError: it is not readable.
        """
        facts = candidate.facts
        file = candidate.path / _name(_file(facts.model))
        return self._open(file, facts.input_shape, finds_anomalies=facts.outputs == 0)

    def predict(self, model: Any, inputs: Array) -> Array:
        """Run float32 inputs (N, …) one by one: class scores (N, C), values (N, K), or one anomaly score a sample (N,)."""
        assert isinstance(model, ExportedModel)  # noqa: S101 - narrows the type: `load` returned it
        ready = to_layout(inputs, self.layouts[inputs.ndim - 1], model.entry.layout)
        outputs = run(model, ready)
        return anomaly_score(outputs, ready) if model.finds_anomalies else outputs

    def _open(self, file: Path, sample: tuple[int, ...], *, finds_anomalies: bool) -> ExportedModel:
        executing = create("runtimes", self.runtime)
        return open_model(file, executing, self.layouts[len(sample)], sample, finds_anomalies=finds_anomalies)


class Onnx(ExportedFile):
    """Float ONNX files."""

    name: ClassVar[str] = "onnx"
    runtime: ClassVar[str] = "onnxruntime"
    requires: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    install: ClassVar[str] = "pip install 'edgewright[onnxruntime]'"
    layouts: ClassVar[Mapping[int, str]] = {3: "NCHW", 2: "NCL", 1: "NF"}

    def contents(self, file: Path) -> contents.Contents:
        """Count a file's weights, and find what is quantized in it."""
        return contents.of_onnx(file)


class TFLite(ExportedFile):
    """Float .tflite files."""

    name: ClassVar[str] = "tflite"
    runtime: ClassVar[str] = "litert"
    requires: ClassVar[tuple[str, ...]] = ("ai_edge_litert.interpreter",)
    install: ClassVar[str] = "pip install 'edgewright[litert]'"
    layouts: ClassVar[Mapping[int, str]] = {3: "NHWC", 2: "NLC", 1: "NF"}

    def contents(self, file: Path) -> contents.Contents:
        """Count a file's weights, and find what is quantized in it."""
        return contents.of_tflite(file)


def _file(spec: ModelSpec) -> Path:
    assert spec.file is not None  # noqa: S101 - the configuration names this framework for a file alone
    return Path(spec.file)


def _name(file: Path) -> str:
    return f"model{file.suffix}"
