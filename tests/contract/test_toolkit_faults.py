# SPDX-License-Identifier: Apache-2.0
"""Faults that toolkits put into files while they report success, made with those toolkits: validation refuses each by name."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from linear_files import Model, linear_model, tflite_file

from edgewright.cli import main


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return linear_model(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def data(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "test.npz"
    np.savez(file, x=model.dataset.inputs("test", "NHWC"), y=model.dataset.labels("test"))
    return file


def validate(file: Path, data: Path, *more: object) -> Result:
    arguments = ["validate", file, "--runtime", "litert", "--device", "null", "--data", data, *more]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_quantizers_default_calibration_clips_the_logits(model: Model, data: Path, tmp_path: Path) -> None:
    """ai_edge_quantizer smooths the ranges of its samples by default: top-1 hardly moves, the logits are clipped."""
    from ai_edge_quantizer import quantizer, recipe

    tflite_file(tmp_path / "float.tflite", model)
    quantize = quantizer.Quantizer(str(tmp_path / "float.tflite"))
    quantize.load_quantization_recipe(recipe.static_wi8_ai8())
    samples = [{"input": one[None]} for one in model.dataset.inputs("calibration", "NHWC")]
    ranges = quantize.calibrate({"serving_default": samples})
    quantize.quantize(ranges).export_model(str(tmp_path / "int8.tflite"), overwrite=True)

    compared = validate(tmp_path / "int8.tflite", data, "--reference", tmp_path / "float.tflite")
    assert compared.exit_code == 1, compared.output
    assert "sit at an end of their quantized range" in compared.output
    alone = validate(tmp_path / "int8.tflite", data)
    assert alone.exit_code == 1, alone.output
    assert "? sanity" in alone.output
    assert "give --reference" in alone.output


def test_a_keras_3_model_converted_from_concrete_functions_answers_nothing(data: Path, tmp_path: Path) -> None:
    """The converter leaves the weights behind, and says nothing: NaN, mostly, or whatever was in memory."""
    import keras
    import tensorflow

    made = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])
    function = tensorflow.function(lambda inputs: made(inputs))
    concrete = function.get_concrete_function(tensorflow.TensorSpec((1, 8, 8, 3), tensorflow.float32))
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([concrete], made)
    (tmp_path / "broken.tflite").write_bytes(converter.convert())
    result = validate(tmp_path / "broken.tflite", data)
    assert result.exit_code == 2, result.output
    assert "reads variables that nothing writes" in result.output
