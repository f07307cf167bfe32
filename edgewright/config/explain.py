# SPDX-License-Identifier: Apache-2.0
"""Explain what is wrong with a configuration: a line a problem, in plain words, with what was probably meant."""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from edgewright.config.release import ReleaseConfig
from edgewright.errors import nearest

Key = tuple[str | int, ...]
MOST = 10
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": "a name of letters, digits and . _ -, at most 64, the first a letter or digit",
    r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$": "'package.module:attribute'",
}
_LIMITS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "model": "a mapping of keys to values",
    "dict": "a mapping of keys to values",
}


def explain(
    error: ValidationError,
    source: str = "release.yaml",
    lines: Mapping[Key, int] | None = None,
    root: type[BaseModel] = ReleaseConfig,
) -> str:
    """Put a validation error into words: at most ten problems, in the order of the file, then how many more there are.

    Args:
        error: what pydantic raised.
        source: name of the file the data came from, or of the place in it.
        lines: path of a key to its line in the file, where it is known.
        root: the type that was validated against.
    """
    problems = sorted(_problems(error, root, lines or {}), key=lambda problem: problem[0])
    texts = [f"{source}:{line}  {text}" if line else f"{source}  {text}" for line, text in problems]
    more = [f"… and {len(texts) - MOST} more"] if len(texts) > MOST else []
    return "\n".join([*texts[:MOST], *more])


def _problems(error: ValidationError, root: type[BaseModel], lines: Mapping[Key, int]) -> list[tuple[int, str]]:
    by_path: dict[Key, list[dict[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        by_path.setdefault(_in_document(detail["loc"], detail["type"], root), []).append(dict(detail))
    found = []
    for path, details in by_path.items():
        if _follows(path, details, by_path):
            continue
        line = next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), 0)
        key = ".".join(str(part) for part in path)
        text = _in_words(details, path, root)
        found.append((line, f"{key}: {text}" if key else text))
    return found


def _in_document(loc: Key, kind: str, root: type[BaseModel]) -> Key:
    """Drop the parts of pydantic's location that name a branch of a union and not a key of the document."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        unknown = kind == "extra_forbidden" and index == len(loc) - 1
        if isinstance(part, int) or unknown or part in _fields(tuple(path), root):
            path.append(part)
    return tuple(path)


def _follows(path: Key, details: list[dict[str, Any]], by_path: Mapping[Key, Any]) -> bool:
    """Whether a 'too short' only says that the entries of a list, which are wrong themselves, were not counted."""
    deeper = any(len(other) > len(path) and other[: len(path)] == path for other in by_path)
    return deeper and all(detail["type"] == "too_short" for detail in details)


def _in_words(details: list[dict[str, Any]], path: Key, root: type[BaseModel]) -> str:
    first = details[0]
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        valid = _fields(path[:-1], root)
        return f"unknown key; {nearest(str(path[-1]), valid) if valid else 'there are none here'}"
    if kind == "missing":
        return "is missing" + _about(path, root)
    if kind == "value_error":
        return str(context["error"])
    if kind == "union_tag_invalid":
        expected = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
        return f"no {context['discriminator'].strip(chr(39))} is called {context['tag']!r}; {nearest(context['tag'], expected)}"
    if kind == "union_tag_not_found":
        return f"the key {context['discriminator']} is missing"
    allowed = list(dict.fromkeys(_allowed(detail) for detail in details))
    return f"got {_shown(first['input'])}; must be {', or '.join(allowed)}{_meant(first)}"


def _allowed(detail: Mapping[str, Any]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"{words} {context[key]:g}"
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"text that matches {context['pattern']}")
    if kind in ("too_short", "too_long"):
        least = kind == "too_short"
        return f"a list of at {'least' if least else 'most'} {context['min_length' if least else 'max_length']}"
    return _KINDS.get(kind.split("_")[0], str(detail["msg"]))


def _meant(detail: Mapping[str, Any]) -> str:
    if detail["type"] != "literal_error" or not isinstance(detail["input"], str):
        return ""
    valid = [word.strip("' ") for word in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
    hint = nearest(detail["input"], valid)
    return f"; {hint}" if hint.startswith("did you mean") else ""


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _about(path: Key, root: type[BaseModel]) -> str:
    described = [model.model_fields[path[-1]] for model in _models(path[:-1], root) if path[-1] in model.model_fields]
    text = described[0].description if described else None
    return f": {text[0].lower()}{text[1:].rstrip('.')}" if text else ""


def _fields(path: Key, root: type[BaseModel]) -> list[str]:
    return [name for model in _models(path, root) for name in model.model_fields]


def _models(path: Key, root: type[BaseModel]) -> list[type[BaseModel]]:
    """Configuration types that may stand at a path of the document."""
    models = [root]
    for part in path:
        if isinstance(part, str):
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [inner for field in fields for inner in _within(field.annotation)]
    return models


def _within(annotation: Any) -> list[type[BaseModel]]:
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _within(argument)]
