# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S101 - these are tests
"""What every device must do. Subclass DeviceContract in a test file of your own, and pytest runs it.

class TestMyDevice(DeviceContract):
    def device(self) -> Device:
        return MyDevice()
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from edgewright.artifact import ArtifactManifest, TensorSpec
from edgewright.config.base import Config
from edgewright.config.data import Preprocessing, Task
from edgewright.device import Device, ProbePlan
from edgewright.errors import DeviceError
from edgewright.onboard.preprocess import prepare
from edgewright.runtime import FilePass, Onboard, Runtime, Signature, dequantize_output, quantize_input
from edgewright.testing.adding import AddingSession, open_session

Array = NDArray[Any]
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 4, 6, 3), dtype=np.uint8)
BYTES = Preprocessing(scale=1 / 255, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), layout="HWC")
FLOAT = TensorSpec(name="x", shape=(1, 3, 4, 6), dtype="float32", layout="NCHW")
INT8 = TensorSpec(name="x", shape=(1, 4, 6, 3), dtype="int8", layout="NHWC", scale=0.05, zero_point=-3)


class AddingRuntime(Runtime):
    """The simplest runtime whose answers are known: the file is JSON, and says what is added to the input."""

    name: ClassVar[str] = "adding"
    format: ClassVar[str] = "json"
    suffix: ClassVar[str] = ".json"
    requires: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = ""
    onboard: ClassVar[Onboard] = Onboard((open_session.__module__,), "pip install numpy")

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """None."""
        return {}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002 - the port's signature
        """Write the number that is the model."""
        out.write_text(json.dumps(model), encoding="utf-8")

    def inspect(self, file: Path) -> Signature:
        """Nothing is declared."""
        self.load(file, 1)
        return Signature((), ())

    def load(self, file: Path, threads: int) -> AddingSession:
        """Read the number."""
        return open_session(file, threads)


class DeviceContract:
    """Tests every device integration passes."""

    runtime: ClassVar[str] = "edgewright.testing.device_contract:AddingRuntime"

    def device(self) -> Device:
        """Return the device under test."""
        raise NotImplementedError

    def options(self) -> Config:
        """Return its options; a device that needs some (an address) says them here."""
        return self.device().Options()

    def probe(self, folder: Path, manifest: ArtifactManifest, stored: Array = IMAGES, **plan: Any) -> Any:
        """Run one probe of a file that adds 1."""
        file = folder / manifest.file
        if not file.exists():
            AddingRuntime().export(1.0, stored, file, Config())
        asked = ProbePlan.model_validate({"runtime": self.runtime, "outputs": True} | plan)
        return self.device().probe(file, manifest, stored, asked, self.options())

    def test_facts_say_what_it_is(self) -> None:
        """Every measurement carries them."""
        facts = self.device().facts(2, self.options())
        assert facts.kind == self.device().name
        assert facts.threads == 2
        assert facts.cores >= 1
        assert facts.machine
        assert facts.os

    def test_outputs_of_every_sample_come_back_in_order(self, tmp_path: Path) -> None:
        """Raw samples are prepared on the device, by the manifest; a second probe agrees, and nothing is timed unasked."""
        facts, outputs = self.probe(tmp_path, adding(FLOAT))
        np.testing.assert_allclose(outputs, prepare(IMAGES, BYTES, "NCHW").reshape(7, -1) + 1, rtol=1e-6)
        assert outputs.dtype == np.float32
        assert facts.latencies_ms == ()
        assert facts.cold_start_ms is None
        assert facts.peak_memory_bytes is None
        np.testing.assert_array_equal(self.probe(tmp_path, adding(FLOAT))[1], outputs)

    def test_quantized_inputs_and_outputs_are_converted(self, tmp_path: Path) -> None:
        """The file sees integers, the caller sees real values."""
        outputs = self.probe(tmp_path, adding(INT8))[1]
        stored = quantize_input(prepare(IMAGES, BYTES, "NHWC"), INT8)
        np.testing.assert_array_equal(outputs, dequantize_output(stored + np.int8(1), INT8).reshape(7, -1))

    def test_reconstructions_come_back_as_one_score_a_sample(self, tmp_path: Path) -> None:
        """Anomaly detection: the file is off by 1 everywhere, so the mean squared error is 1."""
        outputs = self.probe(tmp_path, adding(FLOAT, task="anomaly"))[1]
        np.testing.assert_allclose(outputs, np.ones(7), rtol=1e-4)

    def test_every_timed_run_is_reported(self, tmp_path: Path) -> None:
        """More runs than samples go round and round; warm-up does not count."""
        facts, outputs = self.probe(tmp_path, adding(FLOAT), warmup=3, invocations=20, outputs=False)
        assert len(facts.latencies_ms) == 20
        assert min(facts.latencies_ms) > 0
        assert outputs is None

    def test_what_lasts_is_run_or_is_not_there(self, tmp_path: Path) -> None:
        """A device that cannot soak brings no number of it; what is asked for is seconds, and they are taken."""
        facts, outputs = self.probe(tmp_path, adding(FLOAT), soak_s=0.3, outputs=False)
        assert outputs is None
        assert facts.soak is None or len(facts.soak.medians_ms) > 1

    def test_a_file_the_runtime_refuses_is_a_device_error_in_its_words(self, tmp_path: Path) -> None:
        """The cause must reach the person who asked."""
        (tmp_path / "model.json").write_text("not a number", encoding="utf-8")
        with pytest.raises(DeviceError, match=r"model\.json is not a number"):
            self.probe(tmp_path, adding(FLOAT))

    def test_a_runtime_that_is_not_there_is_a_device_error(self, tmp_path: Path) -> None:
        """The device may have other integrations installed than the host."""
        with pytest.raises(DeviceError, match="no runtime is called 'onnxruntme'"):
            self.probe(tmp_path, adding(FLOAT), runtime="onnxruntme")


def adding(tensor: TensorSpec, task: Task = "regression") -> ArtifactManifest:
    """Manifest of a file whose output is like its input."""
    return ArtifactManifest(
        format="json",
        file="model.json",
        size_bytes=3,
        recipe="float32",
        task=task,
        inputs=(tensor,),
        outputs=(tensor,),
        preprocessing=BYTES,
        toolchain={},
        parent="0" * 64,
    )
