# SPDX-License-Identifier: Apache-2.0
"""What tests of several integrations begin with: files written once by each worker, and toolkits without their own process."""

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from edgewright.artifact import Artifact
    from edgewright.data.dataset import Dataset


@pytest.fixture(scope="session")
def network_data(tmp_path_factory: pytest.TempPathFactory) -> "Dataset":
    """What the small network of tflite_artifacts takes."""
    from tflite_artifacts import SAMPLE

    from edgewright.testing.patterns import three_classes

    return three_classes(tmp_path_factory.mktemp("data") / "data", SAMPLE)


@pytest.fixture(scope="session")
def network_files(network_data: "Dataset", tmp_path_factory: pytest.TempPathFactory) -> "tuple[Artifact, Artifact]":
    """The small network's float file and its int8 file. Tests read them, and copy what they change."""
    from tflite_artifacts import Net, exported

    return exported(tmp_path_factory.mktemp("files"), Net(), network_data)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let toolkits work in this process, which has them imported; test_export.py gives each one of its own."""

    def call(function: str, *args: Any, label: str) -> Any:
        del label
        module, _, name = function.partition(":")
        given = json.loads(json.dumps(args, default=str))
        return json.loads(json.dumps(getattr(importlib.import_module(module), name)(*given)))

    monkeypatch.setattr("edgewright.isolate.call", call)
