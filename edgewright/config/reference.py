# SPDX-License-Identifier: Apache-2.0
"""docs/reference/config.md, written from the configuration's own types: `python -m edgewright.config.reference > …`."""

import json
import sys
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from edgewright.config.drift import DriftConfig
from edgewright.config.recipe import PASSES, Rung
from edgewright.config.release import ReleaseConfig
from edgewright.config.retrain import Guard, RetrainConfig

_INTRODUCTION = """\
# Configuration

Every key of release.yaml, written from the code by `python -m edgewright.config.reference`.
A file to start from, with all keys explained in place: `edgewright init`.

The configuration stands below `parameters: config:`, so that the same file serves
`zenml pipeline run edgewright.edge_release -c release.yaml`; `edgewright` also takes it without these two keys.
Unknown keys are errors. Relative paths are taken from the folder of the file (by `zenml pipeline run`: from the
working folder).
"""
_DRIFT = """\
# Configuration of a drift check

Every key of drift.yaml, for `zenml pipeline run edgewright.drift_check -c drift.yaml` and `edgewright drift --config`.
"""
_RETRAIN = """\
# Configuration of a retraining

Every key of retrain.yaml, for `zenml pipeline run edgewright.retrain_on_drift -c retrain.yaml` and `edgewright retrain`.
"""
_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
_LIMITS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}", "min_length": "at least {}", "pattern": "pattern `{}`"}


def render() -> str:
    """Return the page as Markdown."""
    sections = [_INTRODUCTION]
    for path, model in _sections(ReleaseConfig, ""):
        sections.append(_section(f"`{path}`" if path else "Top level", model))
    sections.append(
        "## Passes\n\nA recipe's name joins the names of its passes by `-`, such as `ptq_w8a8` or `ptq_w8a8.entropy`.\n"
    )
    sections += [_section(f"`kind: {kind}`", model, "###") for kind, model in PASSES.items()]
    sections.append(_DRIFT)
    for path, model in _sections(DriftConfig, ""):
        sections.append(_section(f"`{path}`, of drift.yaml" if path else "Top level of drift.yaml", model))
    sections.append(_RETRAIN)
    for title, kind in (("Top level of retrain.yaml", RetrainConfig), ("`guard`, of retrain.yaml", Guard)):
        sections.append(_section(title, kind))
    return "\n".join(sections)


def _section(title: str, model: type[BaseModel], level: str = "##") -> str:
    lines = [f"{level} {title}", "", _first_paragraph(model), "", "| key | type | default | |", "|---|---|---|---|"]
    lines += [_row(name, info) for name, info in model.model_fields.items()]
    return "\n".join(lines) + "\n"


def _row(name: str, info: FieldInfo) -> str:
    cells = [f"`{name}`", _type(info.annotation, info.metadata), _default(info), " ".join((info.description or "").split())]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())


def _sections(model: type[BaseModel], path: str) -> list[tuple[str, type[BaseModel]]]:
    """The model and all that stand below it, each with the path of its key; lists are written `targets[]`.

    Where one of several kinds may stand, each has its kind behind the path.
    """
    found = [(path, model)]
    for name, info in model.model_fields.items():
        inner = _models(info.annotation)
        many = get_origin(_bare(info.annotation)) is tuple
        below = f"{path}.{name}".lstrip(".") + ("[]" if many else "")
        for one in inner:
            if not (path and one is Rung):
                kind = f", kind: {one.model_fields['kind'].default}" if len(inner) > 1 else ""
                found += _sections(one, below + kind)
    return found


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if issubclass(annotation, BaseModel) and annotation not in PASSES.values() else []
    return [model for part in get_args(annotation) for model in _models(part)]


def _bare(annotation: Any) -> Any:
    """An annotation without `| None` and Annotated."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return _bare(parts[0]) if len(parts) == 1 else annotation
    return annotation


def _type(annotation: Any, metadata: list[Any] | tuple[Any, ...] = ()) -> str:
    limits = _limits(metadata)
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0], [*parts[1:], *metadata])
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin in (Union, types.UnionType):
        passes = [part for part in parts if part in PASSES.values()]
        return "pass" if passes else " or ".join(_type(part) for part in parts) + limits
    if origin is tuple:
        inner = _type(parts[0])
        return (f"list of {inner}" if parts[-1] is Ellipsis else f"{len(parts)} of {inner}") + limits
    if origin is dict:
        return "mapping" + limits
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "recipe" if annotation is Rung else "section"
    return str(_NAMES.get(annotation, annotation)) + limits


def _limits(metadata: list[Any] | tuple[Any, ...]) -> str:
    """Constraints in words; Field(...) inside Annotated carries its own list of them."""
    words = []
    for one in metadata:
        if isinstance(one, FieldInfo):
            words.append(_limits(one.metadata).removeprefix(", "))
            continue
        words += [text.format(value) for key, text in _LIMITS.items() if (value := getattr(one, key, None)) is not None]
    return "".join(f", {word}" for word in words if word)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple):
        value = [one.name if isinstance(one, Rung) else one for one in value]
    return "" if value is None else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    sys.stdout.write(render())
