# SPDX-License-Identifier: Apache-2.0
"""The runtime of docs/how-to/new-runtime.md, as a user would write it: in one file of their own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgewright import plugins
from edgewright.errors import ExportError

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "new-runtime.md"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    runtime, contract = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "my_runtime.py").write_text(runtime, encoding="utf-8")
    (tmp_path / "test_my_runtime.py").write_text(contract, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_passes_its_own_contract_test(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_runtime.py"]
    ran = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^\d+ passed", ran.stdout, re.MULTILINE)


def test_it_is_found_by_module_and_class(project: Path) -> None:
    found = plugins.create("runtimes", "my_runtime:OnnxReference")
    (project / "page.onnx").write_text("<html>", encoding="utf-8")
    with pytest.raises(ExportError, match="not a readable ONNX file"):
        found.inspect(project / "page.onnx")
