# SPDX-License-Identifier: Apache-2.0
"""Olive on a float ONNX file: its static quantization as it comes, and with what x86 wants; in an environment of its own.

    python olive_peer.py FLOAT.onnx SAMPLES.npz OUT

SAMPLES.npz holds what `race/peers.py` says. Written: olive.onnx (defaults: int8 activations, a scale a tensor) and
olive_u8s8.onnx (uint8 activations, a scale a channel).
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import olive
import onnx
from olive.data.registry import Registry
from torch.utils.data import Dataset

SETTINGS: dict[str, dict[str, Any]] = {"olive": {}, "olive_u8s8": {"activation_type": "uint8", "per_channel": True}}


class Calibration(Dataset[Any]):
    """Samples by the name of the model's input, as Olive's data loader wants them; it puts the batch's axis in front."""

    def __init__(self, name: str, samples: Any) -> None:
        self._name, self._samples = name, samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Any:
        return {self._name: self._samples[index]}, 0


@Registry.register_dataset()
def race_calibration(name: str, samples: str) -> Calibration:
    with np.load(samples) as stored:
        return Calibration(name, stored["calibration"])


def main(float_file: Path, samples: Path, out: Path) -> None:
    name = onnx.load(float_file).graph.input[0].name
    data = {
        "name": "calibration",
        "type": "DataContainer",
        "load_dataset_config": {"type": "race_calibration", "params": {"name": name, "samples": str(samples)}},
        "dataloader_config": {"params": {"batch_size": 1}},
    }
    for way, settings in SETTINGS.items():
        with tempfile.TemporaryDirectory(prefix="olive-") as folder:
            told = olive.run(
                {
                    "input_model": {"type": "ONNXModel", "model_path": str(float_file)},
                    "data_configs": [data],
                    "passes": {"quantize": {"type": "OnnxStaticQuantization", "data_config": "calibration", **settings}},
                    "output_dir": f"{folder}/out",
                    "cache_dir": f"{folder}/cache",
                }
            )
            best = told.get_best_candidate()
            assert best is not None, f"Olive returned nothing for {way}"
            shutil.copyfile(best.model_path, out / f"{way}.onnx")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
