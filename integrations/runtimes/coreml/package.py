# SPDX-License-Identifier: Apache-2.0
"""A .mlpackage: a folder with a manifest, a model specification (protobuf) and a file of weights; read safely, written alike.

Read with coremltools' protobuf classes alone: importing coremltools itself imports torch and TensorFlow, where they are.
"""

import importlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from edgewright.errors import ExportError, ToolkitMissing
from edgewright.runtime import refusals

INSTALL = "pip install 'edgewright[coreml]'"
_PROTOS = "_edgewright_coreml_protos"
_MODEL, _WEIGHTS = "com.apple.CoreML/model.mlmodel", "com.apple.CoreML/weights"
#: random in what coremltools writes; they only tell the two entries apart
_IDENTIFIERS = {_MODEL: "6c000000-0000-4000-8000-000000000001", _WEIGHTS: "6c000000-0000-4000-8000-000000000002"}
_ENTRIES = {_MODEL: ("model.mlmodel", "CoreML Model Specification"), _WEIGHTS: ("weights", "CoreML Model Weights")}


def protos(name: str) -> Any:
    """Return one of coremltools' protobuf modules, such as 'Model_pb2', without importing coremltools.

    Raises:
        ToolkitMissing: coremltools is not installed.
    """
    if _PROTOS not in sys.modules:
        found = find_spec("coremltools")
        if found is None or not found.submodule_search_locations:
            raise ToolkitMissing.of("runtime 'coreml'", ["coremltools"], INSTALL)
        package = ModuleType(_PROTOS)
        package.__path__ = [str(Path(folder) / "proto") for folder in found.submodule_search_locations]
        sys.modules[_PROTOS] = package
    return importlib.import_module(f"{_PROTOS}.{name}")


def read_model(package: Path) -> tuple[Any, Path]:
    """Read the model of a package, and where the files are that it keeps beside itself.

    Returns:
        The Model message, and the folder that '@model_path' stands for in it.

    Raises:
        ExportError: it is damaged, another format, points outside itself, or holds no ML program.
    """
    with refusals("not a readable .mlpackage", package, "export it again"):
        manifest = json.loads((package / "Manifest.json").read_text(encoding="utf-8"))
        entry = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]
        file = inside(package / "Data" / entry["path"], package)
        model = protos("Model_pb2").Model.FromString(file.read_bytes())
    kind = model.WhichOneof("Type")
    if kind != "mlProgram":
        raise ExportError(
            f"the package holds no ML program but {kind or 'nothing'}",
            where=str(package),
            to_do="convert it again with convert_to='mlprogram'",
        )
    return model, file.parent


def inside(file: Path, package: Path) -> Path:
    """Return a path that a package names, when it leads to a file in the package.

    Raises:
        ExportError: it leads elsewhere.
    """
    if not file.resolve().is_relative_to(package.resolve()):
        raise ExportError(f"{file.name!r} lies outside the package", where=str(package), to_do="do not trust this package")
    return file


def write_package(model: Any, weights: Path | None, out: Path) -> None:
    """Write a Model message and the file of its weights; what changes from run to run (dates, identifiers) is left out."""
    for key in [key for key in model.description.metadata.userDefined if key.endswith(".conversion_date")]:
        del model.description.metadata.userDefined[key]
    entries = [_MODEL] if weights is None else [_MODEL, _WEIGHTS]
    (out / "Data" / _WEIGHTS).mkdir(parents=True) if weights else (out / "Data" / _MODEL).parent.mkdir(parents=True)
    (out / "Data" / _MODEL).write_bytes(model.SerializeToString(deterministic=True))
    if weights is not None:
        (out / "Data" / _WEIGHTS / weights.name).write_bytes(weights.read_bytes())
    items = {
        _IDENTIFIERS[path]: {
            "author": "com.apple.CoreML",
            "description": _ENTRIES[path][1],
            "name": _ENTRIES[path][0],
            "path": path,
        }
        for path in entries
    }
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": items, "rootModelIdentifier": _IDENTIFIERS[_MODEL]}
    (out / "Manifest.json").write_text(json.dumps(manifest, indent=4), encoding="utf-8")
