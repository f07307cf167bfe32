# SPDX-License-Identifier: Apache-2.0
"""Files for processors on which sums of 8-bit products saturate: the same answers, without such sums.

The exporting machine may be another one, which answers rightly whatever the file holds: the device says what it is.
"""

from pathlib import Path
from typing import Any

from edgewright import isolate, plugins
from edgewright.artifact import Artifact
from edgewright.bundle import size_of


def avoid_saturation(artifact: Artifact, runtime: str, out: Path) -> Artifact:
    """Write a finished file anew so that nothing in it can saturate; return the artifact itself where nothing could.

    Args:
        artifact: a file of integers.
        runtime: name of what will execute it.
        out: folder to fill and seal.

    Raises:
        ExportError: the toolkit refused the file or crashed.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = out.resolve() / artifact.facts.file
    changed: dict[str, Any] = isolate.call(
        "edgewright.saturation:write_without", artifact.main_file, runtime, file, label=f"saturation in {runtime}"
    )
    if not changed:
        return artifact
    facts = {"size_bytes": size_of(out), "quantization": {**artifact.facts.quantization, "against saturation": changed}}
    return Artifact.seal(out, artifact.facts.model_copy(update=facts))


def write_without(file: str, runtime: str, out: str) -> dict[str, Any]:
    """Child process: have the runtime write the file; return what it changed."""
    executing = plugins.create("runtimes", runtime)
    changed: dict[str, Any] = executing.without_saturation(Path(file), Path(out))
    if changed:
        executing.load(Path(out), threads=1)
    return changed
