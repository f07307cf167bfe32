# SPDX-License-Identifier: Apache-2.0
"""Mean of a few observations."""

import math
from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95


def mean_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean, with its two-sided 95 % interval by Student's t; no interval where one value is all there is."""
    from scipy.stats import t

    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return mean, None, None
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n))
    return mean, mean - half, mean + half
