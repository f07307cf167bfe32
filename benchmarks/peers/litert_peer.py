# SPDX-License-Identifier: Apache-2.0
"""AI Edge Quantizer on a float .tflite file: static int8 with its own calibration (moving average), and with min-max.

    python litert_peer.py FLOAT.tflite SAMPLES.npz OUT

SAMPLES.npz holds what `race/peers.py` says. Written: aeq.tflite and aeq_minmax.tflite.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_quantizer import calibrator, quantizer, recipe
from ai_edge_quantizer.utils import qsv_utils

RULES: dict[str, dict[str, Any]] = {"aeq": {}, "aeq_minmax": {"qsv_update_func": qsv_utils.min_max_update}}


def main(float_file: Path, samples: Path, out: Path) -> None:
    with np.load(samples) as stored:
        calibration = stored["calibration"]
    for way, rule in RULES.items():
        aeq = quantizer.Quantizer(str(float_file), recipe.static_wi8_ai8())
        look = calibrator.Calibrator(str(float_file), num_threads=1, **rule)
        signature, tensors = next(iter(look.get_signature_list().items()))
        # Quantizer.calibrate has no choice of the rule; this is what it does with the default one
        look.calibrate({signature: [{tensors["inputs"][0]: sample[None]} for sample in calibration]}, aeq._recipe_manager)
        aeq.quantize(look.get_model_qsvs(), enable_progress_report=False).export_model(out / f"{way}.tflite", overwrite=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
