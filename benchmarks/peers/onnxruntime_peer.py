# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's own static quantization of a float ONNX file: QDQ, uint8 activations, int8 weights, a scale a channel.

    python onnxruntime_peer.py FLOAT.onnx SAMPLES.npz OUT

SAMPLES.npz holds what `race/peers.py` says. Written: ort_ptq.onnx.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Samples(CalibrationDataReader):  # type: ignore[misc]
    """One sample after the other."""

    def __init__(self, name: str, samples: Any) -> None:
        self._feeds = iter([{name: sample[None]} for sample in samples])

    def get_next(self) -> Any:
        """Return the next sample by the input's name; None at the end."""
        return next(self._feeds, None)


def main(float_file: Path, samples: Path, out: Path) -> None:
    name = onnx.load(float_file).graph.input[0].name
    with np.load(samples) as stored, tempfile.TemporaryDirectory() as folder:
        prepared = f"{folder}/prepared.onnx"
        quant_pre_process(str(float_file), prepared)
        quantize_static(
            prepared,
            str(out / "ort_ptq.onnx"),
            Samples(name, stored["calibration"]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
