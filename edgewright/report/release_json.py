# SPDX-License-Identifier: Apache-2.0
"""release.json: ReleaseFacts as JSON, with a JSON Schema (2020-12) for programs in other languages.

`python -m edgewright.report.release_json > docs/reference/release.schema.json` writes the schema anew.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema, from_json, to_json

from edgewright.errors import StoreError
from edgewright.report.atomic import write_text
from edgewright.report.facts import ReleaseFacts

SCHEMA_ID = "urn:edgewright:release:1"
_AGAIN = "run the release again; it writes a new one, and what is finished is not done twice"


def dump(facts: ReleaseFacts) -> str:
    """Return the facts as JSON text; the same facts give the same text."""
    return facts.model_dump_json(indent=1) + "\n"


def digest_of(facts: ReleaseFacts) -> str:
    """Return the sha256 (hex) of what was found, by which a tracker finds its record; what became of it is no part of it."""
    found = facts.model_dump_json(exclude={"targets": {"__all__": {"not_promoted"}}})
    return hashlib.sha256(found.encode()).hexdigest()


def digest_of_page(page: str) -> str:
    """Return what `digest_of` gave for the facts that `dump` wrote as this page, also where another version wrote them.

    Raises:
        ValueError: it is not JSON.
    """
    found = from_json(page)
    for target in found.get("targets", ()) if isinstance(found, dict) else ():
        if isinstance(target, dict):
            target.pop("not_promoted", None)
    return hashlib.sha256(to_json(found, inf_nan_mode="strings")).hexdigest()


def write(facts: ReleaseFacts, path: Path) -> None:
    """Write the facts, whole or not at all.

    Raises:
        StoreError: the folder cannot be written.
    """
    write_text(path, dump(facts))


def read(path: Path) -> ReleaseFacts:
    """Read facts back.

    Raises:
        StoreError: there is no such file, it is not JSON, its schema_version is another, or it breaks the schema.
    """
    return read_with_digest(path)[0]


def read_with_digest(path: Path) -> tuple[ReleaseFacts, str]:
    """Read facts back, and the digest they are recorded by, also where another version of edgewright wrote them.

    Raises:
        StoreError: as `read`.
    """
    try:
        written = path.read_text(encoding="utf-8")
        page = json.loads(written)
        text = json.dumps(page)  # where lists are what tuples are written as
    except OSError as error:
        raise StoreError(
            f"{path.name} cannot be read: {error.strerror or error}", where=str(path), to_do="name the folder a release wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path.name} is not JSON: {error}", where=str(path), to_do=_AGAIN) from error
    version = page.get("schema_version") if isinstance(page, dict) else None
    if version != 1:
        found = "no schema_version" if version is None else f"schema_version {version!r}"
        raise StoreError(
            f"{path.name} has {found}; this edgewright reads 1",
            where=str(path),
            to_do="use the edgewright that wrote it (key 'edgewright')" if version is not None else _AGAIN,
        )
    try:
        return ReleaseFacts.model_validate_json(text), digest_of_page(written)
    except ValidationError as error:
        raise StoreError(
            f"{path.name} does not hold the facts of a release: {_first(error)}", where=str(path), to_do=_AGAIN
        ) from error


def schema() -> dict[str, Any]:
    """Return the JSON Schema that every written release.json satisfies."""
    page = ReleaseFacts.model_json_schema(mode="serialization", schema_generator=_Schema)
    return {"$schema": GenerateJsonSchema.schema_dialect, "$id": SCHEMA_ID, **page}


class _Schema(GenerateJsonSchema):
    """A float that is not finite is written as text, which pydantic's own schema leaves out."""

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        plain = super().float_schema(schema)
        if plain != {"type": "number"}:
            return plain
        return {"anyOf": [plain, {"enum": ["NaN", "Infinity", "-Infinity"]}]}


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}{more}"


if __name__ == "__main__":
    json.dump(schema(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
