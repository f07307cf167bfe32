# SPDX-License-Identifier: Apache-2.0
"""Digests of what a result depends on: code, plugins, toolkits, files. They keep caches honest.

ZenML's cache key sees a step's own source and not the helpers it calls; ``of_code`` follows every import of a module
that is not installed from elsewhere, so that a changed helper invalidates exactly the steps that reach it.
"""

import ast
import hashlib
import importlib.util
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path
from typing import Any

from edgewright.errors import DataError
from edgewright.onboard.digest import sha256_of
from edgewright.plugins import working_folder_on_path


def of_code(module: str) -> str:
    """Digest the source of a module and of all it imports, however deep: its own package, modules beside it, edgewright."""
    sources: dict[str, bytes] = {}
    top = module.partition(".")[0]
    with working_folder_on_path():  # where `plugins.load_object` finds a user's own modules
        _collect(module, frozenset({top, "edgewright"}), None if top == "edgewright" else _home(top), sources)
    return _digest(name.encode() + b"\0" + sources[name] for name in sorted(sources))


def of_plugin(plugin: type[Any]) -> str:
    """Digest a plugin's code and the versions of the toolkits it needs."""
    versions = [f"{name}=={found}".encode() for name, found in sorted(toolchain(plugin.requires).items())]
    return _digest([of_code(plugin.__module__).encode(), *versions])


def of_path(path: Path) -> str:
    """Digest a file, or all files below a folder with their names.

    Raises:
        DataError: there is nothing at the path.
    """
    if path.is_file():
        return sha256_of(path)
    if not path.is_dir():
        raise DataError(f"no file or folder {path.name!r}", where=str(path), to_do="check the path in release.yaml")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return _digest(f"{file.relative_to(path)}\0{sha256_of(file)}".encode() for file in files)


def toolchain(modules: tuple[str, ...]) -> dict[str, str]:
    """Distribution name to installed version, for importable modules."""
    found = {}
    for module in modules:
        for name in _distributions(module.partition(".")[0]):
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
    return found


@cache
def _distributions(package: str) -> list[str]:
    """Names of the distributions that hold a package: most bear its name, and asking all that are installed is slow."""
    try:
        return [distribution(package).metadata["Name"]]
    except PackageNotFoundError:
        return _all_distributions().get(package, [])


@cache
def _all_distributions() -> dict[str, list[str]]:
    return {package: list(names) for package, names in packages_distributions().items()}


def _collect(module: str, packages: frozenset[str], home: Path | None, sources: dict[str, bytes]) -> None:
    if module in sources or _is_attribute(module):
        return
    file = _source_file(module)
    if file is None:
        return
    sources[module] = file.read_bytes()
    is_package = file.name == "__init__.py"
    for name in _imports(sources[module], module if is_package else module.rpartition(".")[0]):
        top = name.partition(".")[0]
        if top in packages or (home is not None and _home(top) == home):
            _collect(name, packages, home, sources)


@cache
def _imports(source: bytes, package: str) -> frozenset[str]:
    """Names that a module's source imports; kept by its content, so that what was edited meanwhile is parsed anew."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # said by whoever imports it; a digest has no place in a message
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                base = f"{anchor}.{base}".rstrip(".")
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(names)


def _home(top: str) -> Path | None:
    """Folder that a top-level module or package lies in; None for what is built in or installed."""
    file = _source_file(top)
    if file is None or {"site-packages", "dist-packages"} & set(file.parts):
        return None
    return file.parent.parent if file.name == "__init__.py" else file.parent


def _is_attribute(name: str) -> bool:
    """Whether a dotted name is something inside a module: looking for it as a module would import that, toolkits and all."""
    parent = name.rpartition(".")[0]
    file = _source_file(parent) if parent else None
    return file is not None and file.name != "__init__.py"


def _source_file(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # finding a submodule imports its package, which may raise anything
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _digest(parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
