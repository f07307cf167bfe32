# SPDX-License-Identifier: Apache-2.0
"""The hand-written package list is complete, and importing edgewright stays cheap."""

import re
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


def test_what_is_installed_is_known_by_its_hash() -> None:
    """All but torch and torchao, whose files differ between the places they come from (Makefile, `lock`)."""
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    hashed = (ROOT / "constraints-sha256.txt").read_text().replace("\\\n", "").splitlines()
    known = dict(re.fullmatch(r"(\S+)==(\S+)(?: +--hash=sha256:[0-9a-f]{64})+", line).groups() for line in hashed)
    assert known == {name: version for name, version in pinned.items() if name not in ("torch", "torchao")}, "make lock"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from edgewright.cli import main;"
        "result = CliRunner().invoke(main, ['--help']); assert result.exit_code == 0, result.output;"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_every_core_module_is_held_to_the_import_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    core = {f"edgewright.{path.stem}" for path in (ROOT / "edgewright").iterdir() if path.name[:2] not in ("__", "py")}
    pure = next(contract for contract in contracts if contract["name"].startswith("the core is pure"))
    alone = next(contract for contract in contracts if contract["name"].startswith("the core stands alone"))
    assert set(pure["source_modules"]) == core
    assert set(alone["source_modules"]) == core - {"edgewright.cli"}
