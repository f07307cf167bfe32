# SPDX-License-Identifier: Apache-2.0
"""Preparing samples: the formula, per channel, in any layout; what is stored stays as it was."""

import numpy as np
import pytest

from edgewright.config import Preprocessing
from edgewright.onboard.preprocess import prepare

STORED = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
SCALED = Preprocessing(scale=1 / 255, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), layout="HWC")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_scaled_then_centred_then_divided_channel_by_channel(dtype: type, layout: str) -> None:
    expected = (STORED / 255 - np.array([0.5, 0.4, 0.3])) / np.array([0.2, 0.3, 0.4])
    found = prepare(STORED.astype(dtype), SCALED, layout)
    np.testing.assert_allclose(found if layout == "NHWC" else found.transpose(0, 2, 3, 1), expected, atol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_stored_samples_stay_as_they_are(layout: str) -> None:
    """Float32 samples that need no reordering could be prepared in their own memory."""
    stored = STORED.astype(np.float32)
    prepare(stored, SCALED, layout)
    np.testing.assert_array_equal(stored, STORED)
