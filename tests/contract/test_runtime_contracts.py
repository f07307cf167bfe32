# SPDX-License-Identifier: Apache-2.0
"""Every shipped runtime keeps the contract that third-party runtimes are held to."""

from shallow import SHALLOW

from edgewright.config.model import ModelSpec, Training
from edgewright.integrations.runtimes.litert import LiteRT
from edgewright.integrations.runtimes.null import NullRuntime
from edgewright.integrations.runtimes.onnxruntime import OnnxRuntime
from edgewright.integrations.runtimes.tflite_micro import TFLiteMicro
from edgewright.testing import RuntimeContract


class TestOnnxRuntime(RuntimeContract):
    runtime = OnnxRuntime


class TestLiteRT(RuntimeContract):
    runtime = LiteRT


class TestTFLiteMicro(RuntimeContract):
    runtime = TFLiteMicro
    model = SHALLOW


class TestNullRuntime(RuntimeContract):
    runtime = NullRuntime
    model = ModelSpec(architecture="mlp", options={"hidden": []}, training=Training(epochs=4, batch_size=16))


class TestLiteRTOnWindows(RuntimeContract):
    runtime = LiteRT
    model = ModelSpec(architecture="cnn1d", training=Training(epochs=4, batch_size=16))
    sample = (40, 3)


class TestLiteRTOnFeatures(RuntimeContract):
    runtime = LiteRT
    model = ModelSpec(architecture="mlp", training=Training(epochs=4, batch_size=16))
    sample = (24,)
