# SPDX-License-Identifier: Apache-2.0
"""The hand-written package list is complete, and importing edgewright stays cheap."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAPPED = {"edgewright": "edgewright", "steps": "edgewright.steps", "pipelines": "edgewright.pipelines",
          "integrations": "edgewright.integrations", "stacks": "edgewright.stacks"}  # fmt: skip
HEAVY = {"zenml", "torch", "tensorflow", "mlflow", "pandas", "scipy", "sklearn", "great_expectations", "matplotlib", "onnx"}


def test_every_package_is_listed_in_pyproject() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {
        ".".join([package, *init.parent.relative_to(ROOT / folder).parts])
        for folder, package in MAPPED.items()
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert found == set(settings["packages"])


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from edgewright.cli import main;"
        "result = CliRunner().invoke(main, ['--help']); assert result.exit_code == 0, result.output;"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
