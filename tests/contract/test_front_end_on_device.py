# SPDX-License-Identifier: Apache-2.0
"""A front end declared as preprocessing: training, the exported file and the device see the same features."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.artifact import Artifact, Candidate
from edgewright.claims import check_claims
from edgewright.config import DataSpec, ModelSpec, Preprocessing, Training
from edgewright.config.data import LogMel
from edgewright.data.dataset import Dataset
from edgewright.data.load import load_dataset
from edgewright.device import ProbePlan
from edgewright.export import export_model
from edgewright.plugins import create

RATE = 8000
FRONT_END = LogMel(sample_rate=RATE, frame_ms=32, hop_ms=20, bands=20)
TRAINING = Training(epochs=5, batch_size=8, learning_rate=0.01)


def spoken(folder: Path) -> Dataset:
    """Half a second of one of three tones under noise, as int16."""
    random = np.random.default_rng(0)
    y = np.arange(240) % 3
    tones = np.sin(2 * np.pi * np.array([[400], [900], [2000]]) * np.arange(RATE // 2) / RATE)
    x = 0.3 * tones[y] + random.normal(0, 0.1, (240, RATE // 2))
    np.savez(folder / "tones.npz", x=(x * 32767).round().astype(np.int16), y=y)
    preprocessing = Preprocessing(scale=1 / 32768, mean=(-2.0,), std=(3.0,), front_end=FRONT_END)
    return load_dataset(
        DataSpec(source=str(folder / "tones.npz"), preprocessing=preprocessing), "classification", 0, folder / "d"
    )


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Dataset, np.ndarray[Any, Any]]:
    """A keyword spotter exported for LiteRT, and the float model's own answers on test data."""
    folder = tmp_path_factory.mktemp("tones")
    data, framework = spoken(folder), create("frameworks", "pytorch")
    spec = ModelSpec(architecture="ds_cnn", options={"width": 8, "blocks": 1}, training=TRAINING)
    (folder / "weights").mkdir()
    facts = framework.train(spec, data, 0, "top1", folder / "weights", folder / "checkpoints")
    candidate = Candidate.seal(folder / "weights", facts)
    answers = framework.predict(framework.load(candidate), data.inputs("test", "NCHW"))
    return export_model(candidate, data, "litert", {}, folder / "exported"), data, answers


def test_the_device_prepares_raw_waveforms_as_training_did(
    artifact: tuple[Artifact, Dataset, np.ndarray[Any, Any]],
) -> None:
    """The probe gets int16 samples and the manifest, nothing else, and answers as the float model did."""
    exported, data, answers = artifact
    assert (data.stored("test").dtype, exported.facts.inputs[0].shape[1:]) == (np.int16, (24, 20, 1))
    device = create("devices", "local")
    plan = ProbePlan(runtime="litert", outputs=True)
    _, outputs = device.probe(exported.main_file, exported.facts, np.asarray(data.stored("test")), plan, device.Options())
    np.testing.assert_allclose(outputs, answers, atol=1e-4)
    assert (outputs.argmax(axis=1) == data.labels("test")).mean() > 0.9
    check_claims(exported, create("runtimes", "litert"), np.asarray(data.stored("test")))
