# SPDX-License-Identifier: Apache-2.0
"""What the contract is held to in runtimes whose files of residual networks other tests run: half as deep, twice as fast."""

from edgewright.config.model import ModelSpec, Training

SHALLOW = ModelSpec(architecture="ds_cnn", options={"width": 16, "blocks": 1}, training=Training(epochs=4, batch_size=16))
