# SPDX-License-Identifier: Apache-2.0
"""ExecuTorch keeps the contract of runtimes."""

from edgewright.config.model import ModelSpec, Training
from edgewright.integrations.runtimes.executorch import ExecuTorch
from edgewright.testing import RuntimeContract


class TestExecuTorch(RuntimeContract):
    runtime = ExecuTorch
    model = ModelSpec(architecture="cnn1d", options={"width": 8}, training=Training(epochs=4, batch_size=16))
    sample = (40, 3)
