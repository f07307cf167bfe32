# SPDX-License-Identifier: Apache-2.0
"""Load release.yaml: ZenML's form (`parameters: config: …`) or the bare configuration, with paths made absolute.

Everything that is wrong is told at once, each problem with its line.
"""

import os
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from edgewright.config.data import SPLITS
from edgewright.config.explain import explain
from edgewright.config.paths import path_from
from edgewright.config.release import ReleaseConfig, Signing
from edgewright.config.schedule import require_no_schedule
from edgewright.config.yaml import Document, read_yaml
from edgewright.errors import ConfigError, nearest

#: top-level keys of a ZenML run configuration that a ReleaseConfig has as well (zenml 0.98, PipelineRunConfiguration)
_ZENML_HAS_TOO = {"model"}


def load_config(path: Path) -> ReleaseConfig:
    """Load and check a release.yaml; relative paths in it are taken from its own folder.

    Raises:
        ConfigError: all problems of the file, each with its line.
    """
    document = read_yaml(path)
    require_no_schedule(document, path)
    prefix = _prefix(document, path)
    data = document.data
    for part in prefix:
        data = data[part]
    try:
        config = ReleaseConfig.model_validate(data)
    except ValidationError as error:
        lines = {key[len(prefix) :]: line for key, line in document.lines.items() if key[: len(prefix)] == prefix}
        raise ConfigError(
            f"{path.name} is not a valid configuration\n{explain(error, path.name, lines)}",
            where=str(path.absolute()),
            to_do="correct the lines above; every key is described in docs/reference/config.md",
        ) from None
    return resolve_paths(config, path.absolute().parent)


def resolve_paths(config: ReleaseConfig, folder: Path) -> ReleaseConfig:
    """Return a copy whose relative paths, of whatever is read or written, are taken from ``folder``."""
    splits, checks = config.data.splits, config.data.checks
    given: dict[str, str] = {
        split: _source(value, folder) for split in SPLITS if isinstance(value := getattr(splits, split), str)
    }
    data = {
        "source": _source(config.data.source, folder),
        "splits": splits.model_copy(update=given),
        "checks": checks.model_copy(update={"suite": checks.suite and path_from(folder, checks.suite)}),
        "added": tuple(batch.model_copy(update={"source": _source(batch.source, folder)}) for batch in config.data.added),
    }
    files = {key: path_from(folder, value) for key in ("weights", "file") if (value := getattr(config.model, key))}
    targets = tuple(
        target.model_copy(update={"energy": path_from(folder, target.energy)})
        if target.energy not in (None, "rapl")
        else target
        for target in config.targets
    )
    policy = config.tracking.policy
    tracking = config.tracking.model_copy(
        update={"uri": _store(config.tracking.uri, folder), "policy": policy and path_from(folder, policy)}
    )
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=data),
            "model": config.model.model_copy(update=files),
            "tracking": tracking,
            "signing": _signing(config.signing, folder),
            "targets": targets,
            "output": path_from(folder, config.output),
        }
    )


def _prefix(document: Document, path: Path) -> tuple[str, ...]:
    """Where in the document the configuration stands: at the top, or under parameters.config."""
    data = document.data
    if data is None:
        raise ConfigError(f"{path.name} is empty", where=str(path), to_do="write one to start from: edgewright init")
    if not isinstance(data, dict):
        raise ConfigError(f"{path.name} must be a mapping of keys to values", where=str(path), to_do="see: edgewright init")
    if "parameters" not in data:
        misspelt = [key for key in data if nearest(str(key), ["parameters"]).startswith("did you mean")]
        if misspelt:
            _refuse(path, document, (misspelt[0],), "unknown key; did you mean 'parameters'?")
        return ()
    parameters = data["parameters"]
    if not isinstance(parameters, dict) or "config" not in parameters:
        found = [str(key) for key in parameters] if isinstance(parameters, dict) else []
        hint = f"; found: {', '.join(found)}" if found else ""
        _refuse(path, document, ("parameters",), f"the key 'config' is missing below it{hint}")
    _check_strays(document, path)
    return ("parameters", "config")


def _check_strays(document: Document, path: Path) -> None:
    """Refuse keys that ZenML would ignore without a word because they stand at the wrong depth."""
    for key in document.data["parameters"]:
        if key != "config":
            _refuse(path, document, ("parameters", key), "unknown key; everything stands below parameters.config")
    for key in document.data:
        if key in ReleaseConfig.model_fields and key not in _ZENML_HAS_TOO:
            _refuse(path, document, (key,), "stands outside of parameters.config, where it would be ignored; indent it")


def _refuse(path: Path, document: Document, key: tuple[Any, ...], problem: str) -> NoReturn:
    line = document.lines.get(key)
    place = f"{path.name}:{line}" if line else path.name
    raise ConfigError(
        f"{path.name} is not a valid configuration\n{place}  {'.'.join(str(part) for part in key)}: {problem}",
        where=str(path.absolute()),
        to_do="correct the line above; the form of the file is shown by: edgewright init",
    )


def _source(source: str, folder: Path) -> str:
    """A path is resolved; 'digits' and 'module:function' are names."""
    candidate = path_from(folder, source)
    if source == "digits" or (":" in source and not os.path.exists(candidate)):  # noqa: PTH110 - also names that no file can have
        return source
    return candidate


def _signing(signing: Signing, folder: Path) -> Signing:
    key, public = signing.key, signing.public_key
    if key is not None and key.startswith("file:"):
        key = "file:" + path_from(folder, key.removeprefix("file:"))
    return signing.model_copy(update={"key": key, "public_key": public and path_from(folder, public)})


def _store(uri: str | None, folder: Path) -> str | None:
    scheme = "sqlite:///"
    if uri is None or not uri.startswith(scheme):
        return uri
    return scheme + path_from(folder, uri.removeprefix(scheme))


__all__ = ["explain", "load_config", "resolve_paths"]
