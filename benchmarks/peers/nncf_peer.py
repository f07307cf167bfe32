# SPDX-License-Identifier: Apache-2.0
"""NNCF on a float ONNX file: `quantize`, and `quantize_with_accuracy_control`; runs in an environment of its own.

    python nncf_peer.py FLOAT.onnx SAMPLES.npz OUT

SAMPLES.npz holds what `race/peers.py` says. Written: nncf_ptq.onnx and nncf_accuracy_control.onnx.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import onnx
import onnxruntime

#: the budget of the race: top-1 may fall by one percentage point
MAX_DROP = 0.01


def main(float_file: Path, samples: Path, out: Path) -> None:
    model = onnx.load(float_file)
    name = model.graph.input[0].name
    with np.load(samples) as stored:
        calibration = nncf.Dataset(list(stored["calibration"]), lambda sample: {name: sample[None]})
        pairs = list(zip(stored["validation"], stored["labels"], strict=True))
        count = len(stored["calibration"])
    settings: dict[str, Any] = {"subset_size": count, "target_device": nncf.TargetDevice.CPU}

    onnx.save(nncf.quantize(model, calibration, **settings), out / "nncf_ptq.onnx")
    validation = nncf.Dataset(pairs, lambda pair: {name: pair[0][None]})
    controlled = nncf.quantize_with_accuracy_control(model, calibration, validation, top1(name), max_drop=MAX_DROP, **settings)
    onnx.save(controlled, out / "nncf_accuracy_control.onnx")


def top1(name: str) -> Any:
    """Return NNCF's validation function: share of right answers, and for each sample whether it was; it gets the model."""

    def score(model: Any, pairs: Iterable[Any]) -> tuple[float, list[float]]:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        right = [float(session.run(None, {name: sample[None]})[0].argmax() == label) for sample, label in pairs]
        return float(np.mean(right)), right

    return score


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
