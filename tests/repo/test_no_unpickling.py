# SPDX-License-Identifier: Apache-2.0
"""Nothing is unpickled without consent: what ruff's S rules do not see (torch, numpy, Keras), and that none is silenced."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [
    file for folder in ("edgewright", "integrations", "pipelines", "stacks", "steps") for file in (ROOT / folder).rglob("*.py")
]
#: calls that unpickle unless they are given this
SAFE = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False), "load_model": ("safe_mode", True)}
#: the two places that `allow_pickle: true` leads to
WITH_CONSENT = {
    "integrations/frameworks/pytorch/weights.py:_torch_load",
    "integrations/frameworks/keras/weights.py:_stored_model",
}
#: pickle, marshal, extractall, yaml.load, exec, eval, shell=True
RULES = ("S301", "S302", "S202", "S506", "S102", "S307", "S602", "S604", "S605")


def test_files_are_unpickled_in_two_places_alone() -> None:
    found = {f"{file.relative_to(ROOT)}:{name}" for file in SOURCES for name in _unsafe(ast.parse(file.read_text()))}
    assert found == WITH_CONSENT


def test_no_rule_about_it_is_silenced() -> None:
    silenced = [file for file in SOURCES if re.search(rf"noqa.*\b({'|'.join(RULES)})\b", file.read_text())]
    assert not silenced


def _unsafe(module: ast.Module) -> Iterator[str]:
    """Names of the functions in which something may be unpickled."""
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef):
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            if any(ast.unparse(call.func) in ("joblib.load", "dill.load", "dill.loads") or _without(call) for call in calls):
                yield function.name


def _without(call: ast.Call) -> bool:
    """Whether a call lacks the argument that makes it safe."""
    for name, (argument, value) in SAFE.items():
        if ast.unparse(call.func) == name or ast.unparse(call.func).endswith(f".{name}"):
            given = [one.value for one in call.keywords if one.arg == argument]
            return not (given and isinstance(given[0], ast.Constant) and given[0].value is value)
    return False
