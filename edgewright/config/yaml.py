# SPDX-License-Identifier: Apache-2.0
"""YAML read safely, with the line of every key, and without keys that stand twice."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgewright.errors import ConfigError

Key = tuple[str | int, ...]
#: bytes of a file, and values that it stands for: nine lines of aliases can stand for a billion
LONGEST, MOST_VALUES = 500_000, 100_000


@dataclass(frozen=True)
class Document:
    """What a YAML file says, and on which line each key says it."""

    data: Any
    lines: dict[Key, int]
    """Path of a key or list item to its line, counted from 1."""


def read_yaml(path: Path) -> Document:
    """Read one YAML document.

    Raises:
        ConfigError: there is no such file, it is not YAML (line and column are named), a key stands twice, or it is too large.
    """
    text = _text(path)
    try:
        return _document(text, path)
    except yaml.YAMLError as error:
        raise ConfigError(_syntax(error, text), where=_place(error, path), to_do="correct the YAML there") from None
    except RecursionError:
        raise ConfigError("it is nested too deeply for a configuration", where=str(path)) from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # PyYAML passes on what int() and others raise
        raise ConfigError(f"not YAML: a value is not of its type: {error}", where=str(path)) from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise _too_large(path)
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no file {path.name!r}", where=str(path.absolute().parent), to_do="write one: edgewright init"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read as text: {error}", where=str(path)) from error


def _document(text: str, path: Path) -> Document:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if _values(node, {}) > MOST_VALUES:
            raise _too_large(path)
        lines: dict[Key, int] = {}
        _collect(node, (), lines, set(), path)
        return Document(loader.construct_document(node) if node is not None else None, lines)
    finally:
        loader.dispose()


def _values(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Count the values that a node stands for, each alias as often as it is used; one within itself stands for too many."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1  # while those below it are counted
        below = node.value if isinstance(node, yaml.SequenceNode) else [one for pair in node.value for one in pair]
        known[id(node)] = 1 + sum(_values(one, known) for one in below)
    return known[id(node)]


def _too_large(path: Path) -> ConfigError:
    return ConfigError(
        f"{path.name} is too large: over {LONGEST // 1000} kB, or over {MOST_VALUES} values where its aliases are filled in",
        where=str(path),
    )


def _collect(node: yaml.Node | None, path: Key, lines: dict[Key, int], seen: set[int], file: Path) -> None:
    """Note the lines of all keys below a node; a node that is aliased is visited once."""
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
