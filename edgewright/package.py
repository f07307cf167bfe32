# SPDX-License-Identifier: Apache-2.0
"""From a finished file to what the target itself takes: the file compiled for an accelerator, or sources around it.

The file stays the artifact's main file: it is what runs here, so that outputs can be compared.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright import isolate, plugins
from edgewright.artifact import Artifact, ArtifactManifest, PackageFacts
from edgewright.errors import ExportError
from edgewright.export import parse_options
from edgewright.fingerprint import toolchain


def package_artifact(artifact: Artifact, runtime: str, options: Mapping[str, Any], out: Path) -> Artifact:
    """Copy an artifact's files and add what the runtime makes of them for its target.

    Args:
        artifact: float or compressed; its main file stays what it is.
        runtime: name of what will execute it.
        options: the runtime's options, as release.yaml has them.
        out: folder to fill and seal.

    Raises:
        ConfigError: the runtime takes no such option.
        ExportError: the compiler refused the file or crashed.
    """
    executing = plugins.create("runtimes", runtime)
    parse_options(executing, options)
    out.mkdir(parents=True, exist_ok=True)
    for name in artifact.files:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.path / name, out / name)
    told = isolate.call(
        "edgewright.package:write_package",
        *(out.resolve() / artifact.facts.file, artifact.facts.model_dump(mode="json"), runtime, dict(options)),
        label=f"package for {executing.name}",
    )
    package = PackageFacts.model_validate(told)
    stored = out / (package.stored or artifact.facts.file)
    if not stored.is_file():
        raise ExportError(f"{executing.name} wrote no {stored.name}", to_do="report this to the author of the runtime")
    changed = {
        "size_bytes": stored.stat().st_size,
        "package": package,
        "toolchain": {**artifact.facts.toolchain, **toolchain(executing.requires)},
        "parent": artifact.digest,
    }
    return Artifact.seal(out, artifact.facts.model_copy(update=changed))


def write_package(file: str, manifest: dict[str, Any], runtime: str, options: dict[str, Any]) -> dict[str, Any]:
    """Child process: have the runtime write beside the file; return what it told."""
    executing = plugins.create("runtimes", runtime)
    given = parse_options(executing, options)
    told: PackageFacts = executing.package(Path(file), ArtifactManifest.model_validate(manifest), given)
    return told.model_dump(mode="json")
