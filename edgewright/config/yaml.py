# SPDX-License-Identifier: Apache-2.0
"""YAML read safely, with the line of every key, and without keys that stand twice."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgewright.errors import ConfigError

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """What a YAML file says, and on which line each key says it."""

    data: Any
    lines: dict[Key, int]
    """Path of a key or list item to its line, counted from 1."""


def read_yaml(path: Path) -> Document:
    """Read one YAML document.

    Raises:
        ConfigError: there is no such file, it is not YAML (line and column are named), or a key stands twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no file {path.name!r}", where=str(path.absolute().parent), to_do="write one: edgewright init"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read as text: {error}", where=str(path)) from error
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines: dict[Key, int] = {}
        _collect(node, (), lines, set(), path)
        return Document(loader.construct_document(node) if node is not None else None, lines)
    except yaml.YAMLError as error:
        raise ConfigError(_syntax(error, text), where=_place(error, path), to_do="correct the YAML there") from None
    finally:
        loader.dispose()


def _collect(node: yaml.Node | None, path: Key, lines: dict[Key, int], seen: set[int], file: Path) -> None:
    """Note the lines of all keys below a node; a node that is aliased is visited once, so that cycles end."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        names: dict[str, int] = {}
        for name, value in node.value:
            line = name.start_mark.line + 1
            if isinstance(name, yaml.ScalarNode) and name.tag != "tag:yaml.org,2002:merge":
                if name.value in names:
                    raise ConfigError(
                        f"the key {name.value!r} stands twice: on line {names[name.value]} and on line {line}",
                        where=f"{file}:{line}",
                        to_do="keep one of them; the last would silently win",
                    )
                names[name.value] = line
                lines[(*path, name.value)] = line
                _collect(value, (*path, name.value), lines, seen, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + 1
            _collect(value, (*path, index), lines, seen, file)


def _syntax(error: yaml.YAMLError, text: str) -> str:
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).strip()
    mark = getattr(error, "problem_mark", None)
    line = text.splitlines()[mark.line] if mark is not None and mark.line < len(text.splitlines()) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "not YAML: the line is indented with a tab, YAML takes spaces only"
    return f"not YAML: {problem}"


def _place(error: yaml.YAMLError, path: Path) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(path)
