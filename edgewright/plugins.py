# SPDX-License-Identifier: Apache-2.0
"""Find integrations by name: entry points of the groups below, or 'module:Class' in a user's own file.

Discovery never imports what was not asked for, and a request for something that is not there fails.
"""

import importlib
import importlib.util
import inspect
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from edgewright.errors import ConfigError, EdgewrightError, ToolkitMissing, nearest

Kind = Literal["frameworks", "runtimes", "devices", "services"]
#: the port that an integration of a kind implements; services have one each
PORTS: dict[Kind, str] = {
    "frameworks": "edgewright.framework:Framework",
    "runtimes": "edgewright.runtime:Runtime",
    "devices": "edgewright.device:Device",
}


def names(kind: Kind) -> list[str]:
    """Names of all installed integrations of a kind, sorted; nothing is imported."""
    return sorted(_entries(kind))


def find(kind: Kind, name: str) -> type[Any]:
    """Return the class of an integration.

    Raises:
        ConfigError: no integration has this name, it cannot be imported, or it is not one of this kind.
    """
    if ":" in name:
        return _checked(load_object(name, asked_for=kind.removesuffix("s")), kind, name)
    entries = _entries(kind)
    if name not in entries:
        raise ConfigError(
            f"no {kind.removesuffix('s')} is called {name!r}",
            to_do=nearest(name, entries) + " (or 'module:Class' of your own)",
        )
    return _checked(load_object(f"{entries[name].module}:{entries[name].attr}", asked_for=kind.removesuffix("s")), kind, name)


def create(kind: Kind, name: str) -> Any:
    """Return an instance of an integration whose toolkits are installed.

    Raises:
        ConfigError: no integration has this name, or it is none.
        ToolkitMissing: a toolkit it needs is not installed; the message is the line that installs it.
    """
    plugin = find(kind, name)
    lacking = missing(plugin)
    if lacking:
        raise ToolkitMissing.of(f"{kind.removesuffix('s')} {name!r}", lacking, plugin.install)
    try:
        return plugin()
    except EdgewrightError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{kind.removesuffix('s')} {name!r} cannot be made: {type(error).__name__}: {error}",
            where=name,
            to_do="its class must be made without arguments, before any toolkit is used",
        ) from error


def missing(plugin: type[Any]) -> list[str]:
    """Modules and commands the plugin needs that are not installed; nothing is imported."""
    commands: tuple[str, ...] = getattr(plugin, "commands", ())  # devices alone have it
    found = not commands or any(shutil.which(command) for command in commands)
    return [module for module in plugin.requires if not _importable(module)] + ([] if found else [commands[0]])


def load_object(path: str, *, asked_for: str) -> Any:
    """Import 'module:attribute' for the config key ``asked_for``; the working folder is searched first, as python -m does.

    Raises:
        ConfigError: the module cannot be imported, or has no such attribute.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise ConfigError(f"{path!r} is not of the form 'module:attribute'", where=asked_for)
    with working_folder_on_path():
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:  # a script without `if __name__ == "__main__"` ends the process
            raise ConfigError(
                f"module {module_name!r} does not import: {type(error).__name__}: {error}",
                where=f"{asked_for}: {path}",
                to_do=f"try it: python -c 'import {module_name}' (in {Path.cwd()})",
            ) from error
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [name for name in vars(module) if not name.startswith("_")]
            raise ConfigError(
                f"module {module_name!r} has no {attribute!r}", where=f"{asked_for}: {path}", to_do=nearest(attribute, public)
            )
        found = getattr(found, part)
    return found


@contextmanager
def working_folder_on_path() -> Iterator[None]:
    """Let imports see the working folder, as they do under `python -m`."""
    folder = str(Path.cwd())
    added = folder not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        yield
    finally:
        if added and folder in sys.path:
            sys.path.remove(folder)


def _checked(found: Any, kind: Kind, name: str) -> type[Any]:
    """Return what was found when it is a whole class of its kind."""
    if kind not in PORTS:
        service: type[Any] = found
        return service
    port: type[Any] = load_object(PORTS[kind], asked_for=kind)
    to_do = f"it must be a subclass of {PORTS[kind].replace(':', '.')}"
    if not (inspect.isclass(found) and issubclass(found, port)):
        raise ConfigError(f"{name!r} is not a {kind.removesuffix('s')}", where=name, to_do=to_do)
    lacking = sorted(getattr(found, "__abstractmethods__", ())) + [
        key for key in inspect.get_annotations(port) if not hasattr(found, key)
    ]
    if lacking:
        raise ConfigError(f"{kind.removesuffix('s')} {name!r} does not define {', '.join(lacking)}", where=name, to_do=to_do)
    return found


@cache  # reading them takes the metadata of everything installed
def _entries(kind: Kind) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"edgewright.{kind}")}


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
