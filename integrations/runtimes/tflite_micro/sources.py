# SPDX-License-Identifier: Apache-2.0
"""A model as sources for a microcontroller: a C array, a header, preprocessing in C, and an example main in C++.

Array, header and preprocessing need nothing but a C99 compiler; the example needs TensorFlow Lite Micro's sources.
"""

import hashlib
import re
from math import prod
from pathlib import Path
from string import Template

import numpy as np

from edgewright.artifact import ArtifactManifest, DType, TensorSpec
from edgewright.config.data import MFCC, Preprocessing
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.tflite_micro.templates import EXAMPLE, HEADER, SOURCE
from edgewright.runtime import OperatorUse

HEADER_FILE, SOURCE_FILE, EXAMPLE_FILE = "edgewright_model.h", "edgewright_model.c", "example_main.cc"
_C_TYPES: dict[DType, str] = {"float32": "float", "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t"}
_BYTES_A_LINE = 16
#: methods of MicroMutableOpResolver (tensorflow/lite/micro/micro_mutable_op_resolver.h) that are not the operator's words
_METHODS = {
    "BATCH_MATMUL": "BatchMatMul",
    "CUMSUM": "CumSum",
    "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}


def write_sources(file: Path, manifest: ArtifactManifest, operators: list[OperatorUse], arena: int) -> tuple[str, ...]:
    """Write header, array and example beside the file.

    Args:
        file: the .tflite file.
        manifest: tensors, preprocessing and labels.
        operators: of the file.
        arena: bytes of tensor arena to reserve.

    Returns:
        Names of the files.

    Raises:
        ExportError: an operator is a custom one, or a type is not one of C's.
    """
    model, added = file.read_bytes(), _methods(operators)
    values = _values(manifest, arena) | {
        "file": _comment(file.name),
        "digest": hashlib.sha256(model).hexdigest(),
        "size": str(len(model)),
        "bytes": _array(model),
        "operators": "\n".join(f"  TF_LITE_ENSURE_STATUS(resolver.Add{name}());" for name in added),
        "operator_count": str(len(added)),
    }
    for name, template in ((HEADER_FILE, HEADER), (SOURCE_FILE, SOURCE), (EXAMPLE_FILE, EXAMPLE)):
        file.with_name(name).write_text(Template(template).substitute(values), encoding="utf-8")
    return HEADER_FILE, SOURCE_FILE, EXAMPLE_FILE


def _values(manifest: ArtifactManifest, arena: int) -> dict[str, str]:
    """What the templates are filled with, but for the model itself."""
    given, answered, preprocessing = manifest.inputs[0], manifest.outputs[0], manifest.preprocessing
    positions, channels = _grid(given, preprocessing)
    labels = ", ".join(_text(label) for label in manifest.labels) or "0"
    return {
        "arena": str(arena),
        "recipe": _comment(manifest.recipe),
        **{f"input_{name}": value for name, value in _tensor(given).items()},
        **{f"output_{name}": value for name, value in _tensor(answered).items()},
        "positions": str(positions),
        "channels": str(channels),
        "sample_scale": _float(1.0 if preprocessing.front_end else preprocessing.scale),
        "sample_layout": "features of the front end" if preprocessing.front_end else f"{preprocessing.layout}",
        "channels_first": str(int(preprocessing.front_end is None and preprocessing.layout in ("CHW", "CL"))),
        "mean": _floats(preprocessing.mean, channels),
        "std": _floats(preprocessing.std, channels),
        "front_end": _front_end(preprocessing),
        "labels": labels,
        "label_count": str(len(manifest.labels)),
    }


def _grid(given: TensorSpec, preprocessing: Preprocessing) -> tuple[int, int]:
    """Positions and channels of a sample; behind a front end mean and std vary from band to band, which stand for channels."""
    axes = given.shape[1:]
    channels = axes[-2] if preprocessing.front_end is not None else axes[-1]
    return prod(axes) // channels, channels


def _tensor(spec: TensorSpec) -> dict[str, str]:
    if spec.dtype not in _C_TYPES:
        raise ExportError(f"C sources cannot hold {spec.name!r}, which is {spec.dtype}", to_do="leave c_sources out")
    limits = np.iinfo(spec.dtype) if spec.dtype != "float32" else None
    return {
        "type": _C_TYPES[spec.dtype],
        "shape": " x ".join(str(axis) for axis in spec.shape) + f" {spec.layout}".rstrip(),
        "values": str(prod(spec.shape[1:])),
        "quantized": str(int(spec.scale is not None)),
        "scale": _float(1.0 if spec.scale is None else spec.scale),
        "zero_point": str(spec.zero_point),
        "lowest": str(limits.min if limits else 0),
        "highest": str(limits.max if limits else 0),
    }


def _front_end(preprocessing: Preprocessing) -> str:
    """Constants of a front end, which the firmware computes before `edgewright_prepare`; empty without one."""
    front = preprocessing.front_end
    if front is None:
        return ""
    frame, hop = (round(front.sample_rate * span / 1000) for span in (front.frame_ms, front.hop_ms))
    constants = {
        "WAVEFORM_SCALE": _float(preprocessing.scale),
        "SAMPLE_RATE": str(front.sample_rate),
        "FRAME": str(frame),
        "HOP": str(hop),
        "MEL_BANDS": str(front.bands),
        "LOW_HZ": _float(front.low_frequency),
        "HIGH_HZ": _float(front.high_frequency or front.sample_rate / 2),
        **({"MFCC_COEFFICIENTS": str(front.coefficients)} if isinstance(front, MFCC) else {}),
    }
    lines = "\n".join(f"#define EDGEWRIGHT_{name} {value}" for name, value in constants.items())
    words = "/* Front end: the firmware turns the waveform into these features before it calls edgewright_prepare:\n"
    return f"{words}   {front.kind}, Hann window, frames down, bands or coefficients across. */\n{lines}\n"


def _methods(operators: list[OperatorUse]) -> list[str]:
    """Methods of the resolver that register what the file uses, and nothing else."""
    for operator in operators:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", operator.kind):
            raise ExportError(
                f"custom operator {operator}: no method of the resolver registers it", to_do="leave c_sources out"
            )
    kinds = sorted({operator.kind for operator in operators})
    return [_METHODS.get(kind) or "".join(part.capitalize() for part in kind.split("_")).replace("2d", "2D") for kind in kinds]


def _array(model: bytes) -> str:
    lines = (model[at : at + _BYTES_A_LINE] for at in range(0, len(model), _BYTES_A_LINE))
    return "\n".join("  " + " ".join(f"0x{byte:02x}," for byte in line) for line in lines)


def _float(value: float) -> str:
    """A literal of the float32 nearest to the value."""
    return f"{float(np.float32(value))!r}f"


def _floats(values: tuple[float, ...], count: int) -> str:
    return ", ".join(_float(value) for value in (values * count if len(values) == 1 else values))


def _comment(text: str) -> str:
    """What a name may say within a comment: it can end neither the comment nor its line."""
    return re.sub(r"[^\w.+-]", "_", text, flags=re.ASCII)


def _text(label: str) -> str:
    """A string literal; bytes that are not plain ASCII are escaped in octal, which never runs into the next character."""
    plain = "".join(chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in label.encode())
    return f'"{plain}"'
