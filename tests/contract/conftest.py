# SPDX-License-Identifier: Apache-2.0
"""What tests of several integrations begin with: files written once by each worker, and toolkits without their own process."""

import ctypes
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
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


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread: sums are the same each time, and idle threads do not spin beside other tests."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def gpu_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A GPU and TensorRT that are none, here and in processes that are started; the file has a line for each engine built."""
    monkeypatch.setattr(ctypes, "CDLL", ctypes.CDLL)  # put back what the stand-in replaces
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "support" / "tensorrt_stand_in"))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    importlib.import_module("tensorrt")
    yield tmp_path / "builds"
    sys.modules.pop("tensorrt", None)


@pytest.fixture
def report_files(tmp_path: Path) -> Path:
    """A folder with a report, and with something that is none of it."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "report.html").write_text("<p>report</p>")
    (folder / "release.json").write_text("{}")
    (folder / "mlflow.db").write_text("not part of the report")
    return folder
