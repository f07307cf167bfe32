# SPDX-License-Identifier: Apache-2.0
"""tfmot's quantization-aware training, one epoch, on the race's network: its weights carried into the Keras twin.

    python tfmot_peer.py WEIGHTS.safetensors SAMPLES.npz OUT

tfmot takes Keras models alone. SAMPLES.npz holds what `race/peers.py` says, and `train` with `train_labels`. Settings are those
of tfmot's guide to quantization-aware training, with the learning rate of a fine-tuning. Written: tfmot_qat.tflite.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras
from safetensors.numpy import load_file

from edgewright.integrations.frameworks.keras.models import resnet20

EPOCHS, RATE, BATCH = 1, 1e-4, 64


def main(weights: Path, samples: Path, out: Path) -> None:
    keras.utils.set_random_seed(0)
    with np.load(samples) as stored:
        inputs, labels = stored["train"], stored["train_labels"]
    model = twin(load_file(weights), inputs.shape[1:], int(labels.max()) + 1)
    quantized = tfmot.quantization.keras.quantize_model(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    quantized.compile(optimizer=keras.optimizers.Adam(RATE), loss=loss, metrics=["accuracy"])
    quantized.fit(inputs, labels, batch_size=BATCH, epochs=EPOCHS, verbose=2)
    converter = tf.lite.TFLiteConverter.from_keras_model(quantized)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    (out / "tfmot_qat.tflite").write_bytes(converter.convert())


def twin(weights: dict[str, Any], sample: tuple[int, ...], outputs: int) -> Any:
    """Return the Keras network with the weights of the PyTorch one, layer by layer."""
    model = resnet20(sample, outputs)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([np.asarray(one) for one in of_layer(weights, layer.name)])
    return model


def of_layer(weights: dict[str, Any], name: str) -> list[Any]:
    """Return a layer's weights in Keras' order and layout."""
    if name == "out":
        last = max(int(key.split(".")[0]) for key in weights)
        return [weights[f"{last}.weight"].T, weights[f"{last}.bias"]]
    found = re.fullmatch(r"(?:block(\d+)_)?(stem|1|2|shortcut)_(conv|norm)", name)
    assert found, f"the twin has a layer {name!r}, and the race's network none of that name"
    block, part, kind = found.groups()
    place = "0" if part == "stem" else f"{int(block) + 1}.{ {'1': 'body.0', '2': 'body.2', 'shortcut': 'shortcut'}[part] }"
    if kind == "conv":
        return [weights[f"{place}.0.weight"].transpose(2, 3, 1, 0)]
    return [weights[f"{place}.1.{one}"] for one in ("weight", "bias", "running_mean", "running_var")]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
