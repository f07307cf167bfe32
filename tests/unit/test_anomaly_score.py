# SPDX-License-Identifier: Apache-2.0
"""The anomaly score is one formula for host and device."""

import numpy as np
import pytest

from edgewright.onboard.tensors import anomaly_score


def test_a_reconstruction_scores_its_mean_squared_error() -> None:
    inputs = np.zeros((2, 1, 2, 2), np.float32)
    outputs = np.array([[[[1, 1], [1, 1]]], [[[2, 0], [0, 0]]]], np.float32)
    score = anomaly_score(outputs, inputs)
    np.testing.assert_array_equal(score, np.array([1, 1], np.float32))
    assert score.dtype == np.float32


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_value_a_sample_is_the_score(shape: tuple[int, ...]) -> None:
    score = anomaly_score(np.array([0.5, -1, 2], np.float32).reshape(shape), np.zeros((3, 8), np.float32))
    np.testing.assert_array_equal(score, [0.5, -1, 2])


def test_anything_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(3, 8\)"):
        anomaly_score(np.zeros((3, 2)), np.zeros((3, 8)))
