# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S101 - these are tests
"""RuntimeContract: what every runtime must keep.

Subclass it in a test file and name the class:

    class TestMyRuntime(RuntimeContract):
        runtime = MyRuntime

A small real model is trained, exported, compressed by each pass the runtime declares, and run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from edgewright import plugins
from edgewright.artifact import Candidate
from edgewright.bundle import copy_whole, size_of
from edgewright.config.file_passes import DynamicW8, Float16, Palettize, PtqW8A8, PtqW8A16, WeightOnlyW4, WeightOnlyW8
from edgewright.config.model import ModelSpec, Training
from edgewright.config.model_passes import QatW8A8
from edgewright.data.dataset import Dataset
from edgewright.errors import ExportError
from edgewright.fingerprint import of_path
from edgewright.framework import Framework, ModelPassRequest
from edgewright.onboard.batch import in_batches
from edgewright.onboard.machine import saturates
from edgewright.onboard.preprocess import to_layout
from edgewright.runtime import Array, PassRequest, Runtime, Session, dequantize_output, quantize_input
from edgewright.testing.patterns import three_classes

#: what each pass is tried with
_TRIED: dict[type[Any], tuple[Any, ...]] = {
    PtqW8A8: (
        PtqW8A8(),
        PtqW8A8(per_channel=False),
        PtqW8A8(calibration="entropy"),
        PtqW8A8(calibration="percentile"),
        PtqW8A8(calibration="auto"),
    ),
    PtqW8A16: (PtqW8A16(),),
    DynamicW8: (DynamicW8(),),
    WeightOnlyW8: (WeightOnlyW8(),),
    WeightOnlyW4: (WeightOnlyW4(),),
    Palettize: (Palettize(bits=4), Palettize(bits=6)),
    Float16: (Float16(),),
}
#: largest difference of any output from the framework's, as a share of the range of the outputs
_FLOAT_TOLERANCE = 1e-4
_TOLERANCE: dict[type[Any], float] = {PtqW8A8: 0.15, PtqW8A16: 0.1, DynamicW8: 0.1, Float16: 0.01}
_TOLERANCE |= {WeightOnlyW8: 0.05, WeightOnlyW4: 0.3, Palettize: 0.3}
#: of a file of integers from the graph it was trained as: a few steps of 256
_ROUNDING_TOLERANCE = 0.02
#: what wo_w4 is tried with: it leaves convolutions alone
_MATRICES = ModelSpec(architecture="mlp", options={"hidden": [64, 64]}, training=Training(epochs=4, batch_size=16))


@dataclass(frozen=True)
class Exported:
    """A live model, what it was trained on, what it answers, and its file."""

    candidate: Candidate
    data: Dataset
    model: Any
    example: Array
    layout: str
    inputs: Array
    outputs: Array
    file: Path


@dataclass(frozen=True)
class Compressed:
    """A file that a pass made (`request.out`): what it was made from, and what the pass says it chose."""

    source: Exported
    request: PassRequest
    chosen: Mapping[str, Any]


class RuntimeContract:
    """Tests of one runtime."""

    runtime: ClassVar[type[Runtime]]
    model: ClassVar[ModelSpec] = ModelSpec(
        architecture="resnet8", options={"width": 8}, training=Training(epochs=4, batch_size=16)
    )
    """A model that the runtime can export; three classes, and samples of `sample` to train it on."""
    sample: ClassVar[tuple[int, ...]] = (12, 10, 3)
    """Shape of one stored sample. All axes differ, so that two of them swapped are found."""
    quantizes_outputs: ClassVar[bool] = True
    """Whether static quantization rounds the outputs too, so that the file knows their step; OpenVINO leaves them as summed."""

    @pytest.fixture(scope="class")
    @classmethod
    def subject(cls) -> Runtime:
        """The runtime, with all its toolkits installed."""
        return plugins.create("runtimes", f"{cls.runtime.__module__}:{cls.runtime.__qualname__}")  # type: ignore[no-any-return]

    @pytest.fixture(scope="class")
    @classmethod
    def exported(cls, subject: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Exported:
        """The float file of a small trained model."""
        return _export(subject, cls.model, cls.sample, tmp_path_factory.mktemp("contract"))

    @pytest.fixture(scope="class")
    @classmethod
    def compressed(cls, subject: Runtime, exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> list[Compressed]:
        """The files that the declared passes make, each with what it was made from."""
        folder = tmp_path_factory.mktemp("passes")
        made = []
        for number, options in enumerate(_tried(subject)):
            source = exported
            if isinstance(options, WeightOnlyW4):
                source = _export(subject, _MATRICES, cls.sample, tmp_path_factory.mktemp("matrices"))
            request = _request(subject, source, options, folder / f"{number}{subject.suffix}")
            made.append(Compressed(source, request, subject.passes[type(options)](request) or {}))
        return made

    def test_says_what_it_is_and_what_it_needs(self, subject: Runtime) -> None:
        """Name, format, suffix, modules and the pip line are there."""
        assert subject.name
        assert subject.format
        assert subject.suffix.startswith(".")
        assert isinstance(subject.requires, tuple)
        assert set(subject.runs_with) <= set(subject.requires)
        assert subject.install.startswith("pip install ")

    def test_options_refuse_unknown_keys(self, subject: Runtime) -> None:
        """A misspelt option is an error."""
        with pytest.raises(ValidationError):
            subject.Options.model_validate({"no_such_option": 1})

    def test_float_file_declares_its_tensors(self, subject: Runtime, exported: Exported) -> None:
        """One float32 input in a layout that the data can be brought to, with a batch of one or a free one."""
        spec = subject.inspect(exported.file).inputs[0]
        assert spec.dtype == "float32"
        expected = to_layout(exported.example, exported.layout, spec.layout).shape
        assert spec.shape[1:] == expected[1:]
        assert spec.shape[0] in (1, -1)
        assert len(subject.inspect(exported.file).outputs) >= 1

    def test_float_file_agrees_with_the_framework(self, subject: Runtime, exported: Exported) -> None:
        """The float file answers what the live model answers."""
        assert _difference(subject, exported.file, exported) <= _FLOAT_TOLERANCE

    def test_a_batch_is_answered_as_its_samples_or_refused_in_words(self, subject: Runtime, exported: Exported) -> None:
        """Throughput is taken only where a batch is answered rightly; a runtime that cannot says why, and does not crash."""
        session, spec = subject.load(exported.file, 1), subject.inspect(exported.file).inputs[0]
        samples = to_layout(exported.inputs[:3], exported.layout, spec.layout)
        batches, why_not = in_batches(session, [quantize_input(one[None], spec) for one in samples], 3)
        assert bool(batches) != bool(why_not)
        if batches:
            assert session.run(batches[0]).shape[0] == 3

    def test_each_pass_writes_a_smaller_file_that_agrees(self, subject: Runtime, compressed: list[Compressed]) -> None:
        """Every declared pass gives a readable file, no larger than the float file, with nearly the same answers."""
        for made in compressed:
            request, source = made.request, made.source
            assert _size(subject, request.out) <= _size(subject, source.file), request.options
            assert _difference(subject, request.out, source) <= _TOLERANCE[type(request.options)], request.options

    def test_a_file_in_which_nothing_saturates_answers_the_same(
        self, subject: Runtime, compressed: list[Compressed], tmp_path: Path
    ) -> None:
        """It is for processors on which sums of 8-bit products saturate; elsewhere both files answer bit by bit the same."""
        for number, made in enumerate(compressed):
            request, source = made.request, made.source
            exact = tmp_path / f"{number}{subject.suffix}"
            if subject.without_saturation(request.out, exact):
                assert _difference(subject, exact, source) <= _TOLERANCE[type(request.options)], request.options
                if not saturates():
                    kept = _answers(subject, request.out, source)
                    np.testing.assert_array_equal(_answers(subject, exact, source), kept, str(request.options))

    def test_a_static_file_tells_its_quantization_step(self, subject: Runtime, compressed: list[Compressed]) -> None:
        """Parity is judged in steps of the output: a quantized file has to say how large one is."""
        for request in (made.request for made in compressed):
            if isinstance(request.options, PtqW8A8 | PtqW8A16):
                step = subject.inspect(request.out).outputs[0].lsb
                assert (step is not None) == self.quantizes_outputs, request.options
                assert step is None or step > 0, request.options

    @pytest.mark.parametrize("fallback", ["float", "int16"])
    def test_a_file_with_layers_kept_runs(
        self,
        subject: Runtime,
        exported: Exported,
        compressed: list[Compressed],
        fallback: Literal["float", "int16"],
        tmp_path: Path,
    ) -> None:
        """Asked for a little more than plain int8 reaches, it keeps layers and the file runs as well, or it refuses."""
        if PtqW8A8 not in subject.passes:
            return
        mixed = tmp_path / f"mixed{subject.suffix}"
        tried = next(one.chosen for one in compressed if one.request.options == PtqW8A8(calibration="auto"))
        reached = tried["errors"]["minmax"]["agreement"]
        strict = PtqW8A8(fallback=fallback, fallback_agreement=reached + 1e-6)
        try:
            chosen = subject.passes[PtqW8A8](_request(subject, exported, strict, mixed))
        except ExportError:
            return  # it has no such fallback, or no layer of it could be kept to any good
        assert chosen is not None
        assert chosen[f"kept_{fallback}"]
        assert _difference(subject, mixed, exported) <= _TOLERANCE[PtqW8A8]

    def test_the_same_input_gives_the_same_bytes(
        self, subject: Runtime, exported: Exported, compressed: list[Compressed], tmp_path: Path
    ) -> None:
        """Files are identified by their content: writing one twice must not make two, nor choosing how to write it."""
        again = tmp_path / f"again{subject.suffix}"
        subject.export(exported.model, exported.example, again, subject.Options())
        assert _content(subject, again) == _content(subject, exported.file)
        for number, made in enumerate(compressed):
            request, options = made.request, made.request.options
            if getattr(options, "chooses", False):  # its choice, asked for by name
                options = options.model_copy(update={"calibration": made.chosen["calibration"]})
            repeated = replace(request, out=tmp_path / f"{number}{subject.suffix}", options=options)
            subject.passes[type(options)](repeated)
            assert _content(subject, repeated.out) == _content(subject, request.out), request.options

    def test_a_model_trained_with_its_quantization_keeps_its_answers(
        self, subject: Runtime, exported: Exported, tmp_path: Path
    ) -> None:
        """The file answers what the trained graph answers, in the same bytes each time; or the runtime refuses in words."""
        file, again = (tmp_path / f"{name}{subject.suffix}" for name in ("trained", "again"))
        if not subject.takes_quantized:
            with pytest.raises(ExportError):
                subject.export_quantized(None, np.zeros((1, *self.sample), np.float32), file, subject.Options())
            return
        source = _train_quantized(subject, exported, file)
        for out in (file, again):
            subject.export_quantized(source.model, source.example, out, subject.Options())
        assert _difference(subject, file, source) <= _ROUNDING_TOLERANCE
        assert subject.inspect(file).outputs[0].lsb
        assert _content(subject, again) == _content(subject, file)
        exact = tmp_path / f"exact{subject.suffix}"
        if subject.without_saturation(file, exact):
            assert _difference(subject, exact, source) <= _ROUNDING_TOLERANCE

    def test_damaged_files_are_refused(self, subject: Runtime, exported: Exported, tmp_path: Path) -> None:
        """A file that is cut short, or something else altogether, raises ExportError and does not crash the process.

        Where the format is a folder, each file in it is damaged in turn.
        """
        damaged = tmp_path / exported.file.name
        for _ in _each_damage(subject, exported.file, damaged):
            for open_it in (subject.inspect, lambda file: subject.load(file, 1)):
                with pytest.raises(ExportError):
                    open_it(damaged)

    def test_sessions_do_not_disturb_each_other(self, subject: Runtime, exported: Exported) -> None:
        """Two sessions of one file, run in turn, answer as one does alone; an answer stays what it was."""
        first, second = subject.load(exported.file, 1), subject.load(exported.file, 1)
        one, other = _samples(subject, exported.file, exported)[:2]
        alone = first.run(one)
        kept = alone.copy()
        second.run(other)
        first.run(other)
        np.testing.assert_array_equal(alone, kept)
        np.testing.assert_array_equal(second.run(one), kept)

    def test_inputs_are_left_alone(self, subject: Runtime, exported: Exported) -> None:
        """Running a sample does not change it."""
        sample = _samples(subject, exported.file, exported)[0]
        before = sample.copy()
        session: Session = subject.load(exported.file, 1)
        session.run(sample)
        np.testing.assert_array_equal(sample, before)
        assert session.arena_bytes() is None or session.arena_bytes() > 0  # type: ignore[operator]


def _writer(subject: Runtime) -> Runtime:
    return plugins.create("runtimes", subject.exports_with) if subject.exports_with else subject


def _tried(subject: Runtime) -> Iterator[Any]:
    for kind in subject.passes:
        yield from _TRIED[kind]


def _export(subject: Runtime, model: ModelSpec, sample: tuple[int, ...], folder: Path) -> Exported:
    framework, data, candidate = _train(subject, model, sample, folder)
    file = folder / f"model{subject.suffix}"
    exported = _ask(framework, data, candidate, file)
    subject.export(exported.model, exported.example, file, subject.Options())
    return exported


def _train_quantized(subject: Runtime, exported: Exported, file: Path) -> Exported:
    """Train a model on with its quantization; its file is still to be written."""
    framework: Framework = plugins.create("frameworks", _writer(subject).frameworks[0])
    data, candidate, out = exported.data, exported.candidate, file.parent / "quantized"
    out.mkdir()
    request = ModelPassRequest(candidate, candidate, data, QatW8A8(epochs=1), "top1", 0, out, file.parent / "checkpoints")
    return _ask(framework, data, Candidate.seal(out, framework.passes[QatW8A8](request)), file)


def _train(subject: Runtime, model: ModelSpec, sample: tuple[int, ...], folder: Path) -> tuple[Framework, Dataset, Candidate]:
    framework: Framework = plugins.create("frameworks", _writer(subject).frameworks[0])
    data = three_classes(folder / "data", sample)
    weights = folder / "candidate"
    weights.mkdir()
    return framework, data, Candidate.seal(weights, framework.train(model, data, 0, "top1", weights, folder / "checkpoints"))


def _ask(framework: Framework, data: Dataset, candidate: Candidate, file: Path) -> Exported:
    live, layout = framework.load(candidate), framework.layouts[len(candidate.facts.input_shape)]
    inputs = data.inputs("calibration", layout)
    return Exported(candidate, data, live, inputs[:1], layout, inputs, framework.predict(live, inputs), file)


def _request(subject: Runtime, exported: Exported, options: Any, out: Path) -> PassRequest:
    """All samples to calibrate on; a pass that chooses holds every second one back, and compares values."""
    layout = subject.inspect(exported.file).inputs[0].layout
    inputs = to_layout(exported.inputs, exported.layout, layout)
    model = exported.model if _writer(subject).converts_models else None
    if not getattr(options, "chooses", False):
        return PassRequest(exported.file, out, inputs, options, model=model)
    return PassRequest(exported.file, out, inputs[::2], options, inputs[1::2], "regression", model)


def _samples(subject: Runtime, file: Path, exported: Exported) -> list[Array]:
    spec = subject.inspect(file).inputs[0]
    prepared = quantize_input(to_layout(exported.inputs, exported.layout, spec.layout), spec)
    return [np.ascontiguousarray(sample[None]) for sample in prepared]


def _difference(subject: Runtime, file: Path, exported: Exported) -> float:
    """Largest difference of any output from the framework's, as a share of the range of the framework's outputs."""
    return float(np.abs(_answers(subject, file, exported) - exported.outputs).max() / np.ptp(exported.outputs))


def _answers(subject: Runtime, file: Path, exported: Exported) -> Array:
    session = subject.load(file, 1)
    raw = np.concatenate([session.run(sample) for sample in _samples(subject, file, exported)])
    return dequantize_output(raw, subject.inspect(file).outputs[0]).reshape(exported.outputs.shape)


def _content(subject: Runtime, file: Path) -> list[str]:
    """Digests of all files that a main file is made of."""
    return [of_path(part) for part in subject.files(file)]


def _size(subject: Runtime, file: Path) -> int:
    return sum(size_of(part) for part in subject.files(file))


def _each_damage(subject: Runtime, file: Path, out: Path) -> Iterator[None]:
    """Copy the file to ``out``, with one damage a turn: in it, in a file of its folder, or a companion cut short or gone."""
    for part in subject.files(file):
        copy_whole(part, out.with_name(part.name))
    for part in [out] if out.is_file() else [inner for inner in out.rglob("*") if inner.is_file()]:
        whole = part.read_bytes()
        for content in _damaged(whole):
            part.write_bytes(content)
            yield
        part.write_bytes(whole)
    for companion in subject.files(out)[1:]:
        whole = companion.read_bytes()
        for share in (0, 50):
            companion.write_bytes(whole[: len(whole) * share // 100])
            yield
        companion.unlink()
        yield
        companion.write_bytes(whole)


def _damaged(whole: bytes) -> list[bytes]:
    cut = [whole[: len(whole) * share // 100] for share in (0, 1, 25, 50, 75, 99)]
    noise = np.random.default_rng(0).integers(0, 256, len(whole), np.uint8).tobytes()
    return [*cut, whole[:-1], noise, bytes(len(whole)), b"<html><body>404 Not Found</body></html>\n"]
