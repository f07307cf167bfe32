# SPDX-License-Identifier: Apache-2.0
"""Activation ranges from a histogram: by entropy (least information lost) or by percentile (all but the outermost values).

One rule for all runtimes, so that `calibration: entropy` means the same on every target. Toolkits differ: ONNX
Runtime's own entropy has as many bins as levels by default, which never clips; AI Edge Quantizer has neither.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

BINS = 2048
#: levels on each side of zero, as in the source of `entropy_range`
_LEVELS = 128
#: magnitudes up to this cannot be told apart by so many bins in float32, and are zero to every scale
_NOTHING = BINS * float(np.finfo(np.float32).tiny)
#: share of the magnitudes that percentile calibration keeps
_KEPT = 0.9999


class Histogram:
    """Counts of the magnitudes of one tensor over all calibration samples, with its smallest and largest value."""

    def __init__(self) -> None:
        self.low, self.high, self.top = np.inf, -np.inf, 0.0
        self.counts = np.zeros(BINS, np.int64)

    def add(self, values: NDArray[np.float32]) -> None:
        """Count more values; the bins are widened by doubling when one lies beyond them."""
        magnitudes = np.abs(values).ravel()
        largest = float(magnitudes.max())
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        if self.top == 0 and largest > _NOTHING:
            self.top = largest
        while 0 < self.top < largest:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2, np.int64)])
            self.top *= 2
        if self.top > 0:
            self.counts += np.histogram(magnitudes, bins=BINS, range=(0, self.top))[0]


def entropy_range(histogram: Histogram) -> tuple[float, float]:
    """Return the range (low, high) that keeps most information, inside what was seen.

    Source: Migacz, "8-bit Inference with TensorRT", GTC 2017 (S7310): the threshold T for which the KL divergence of
    the quantized from the clipped histogram is smallest. Values of one sign alone have all 256 levels on their side.
    """
    two_sided = histogram.low < 0 < histogram.high
    if histogram.top == 0:
        return histogram.low, histogram.high
    kept = _least_divergent(histogram.counts, _LEVELS if two_sided else 2 * _LEVELS)
    return _clipped(histogram, kept)


def percentile_range(histogram: Histogram) -> tuple[float, float]:
    """Return the range (low, high) that holds 99.99 % of the magnitudes, inside what was seen; to the histogram's bins.

    Source: Wu et al., "Integer Quantization for Deep Learning Inference", 2020 (arXiv:2004.09602), percentile calibration.
    """
    if histogram.top == 0:
        return histogram.low, histogram.high
    reached = np.cumsum(histogram.counts)
    return _clipped(histogram, 1 + int(np.searchsorted(reached, _KEPT * reached[-1])))


CLIPPING: Mapping[str, Callable[[Histogram], tuple[float, float]]] = {"entropy": entropy_range, "percentile": percentile_range}
"""The calibrations that clip, by their name in a configuration."""


def _clipped(histogram: Histogram, kept: int) -> tuple[float, float]:
    """Range of the first ``kept`` bins, inside what was seen."""
    threshold = kept * histogram.top / BINS
    return max(histogram.low, -threshold), min(histogram.high, threshold)


def _least_divergent(counts: NDArray[np.int64], levels: int) -> int:
    """Number of bins to keep. Ties go to the wider range: where nothing is gained by clipping, nothing is clipped."""
    seen = counts.copy()
    seen[0] = seen[1]  # zeros are exact at any scale; left in, the spike that ReLU makes would decide alone
    widths = range(BINS, levels - 1, -1)
    return widths[int(np.argmin([_divergence(seen, width, levels) for width in widths]))]


def _divergence(counts: NDArray[np.int64], width: int, levels: int) -> float:
    """KL divergence of the first ``width`` bins at ``levels`` levels from the same bins with all beyond added to the last."""
    inside = counts[:width].astype(np.float64)
    clipped = inside.copy()
    clipped[-1] += counts[width:].sum()
    total = inside.sum()
    if total == 0:
        return 0.0 if width == BINS else np.inf
    level = np.arange(width) * levels // width
    filled = inside > 0
    sums, bins = np.bincount(level, inside, levels), np.bincount(level, filled, levels)
    quantized = np.where(filled, (sums / np.maximum(bins, 1))[level], 0.0)
    held = clipped > 0
    if (quantized[held] == 0).any():
        return np.inf
    p, q = clipped[held] / clipped.sum(), quantized[held] / total
    return float((p * np.log(p / q)).sum())
