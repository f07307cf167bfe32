# SPDX-License-Identifier: Apache-2.0
"""Activation ranges from a histogram: by entropy (least information lost) or by percentile (all but the outermost values).

One rule for all runtimes, so that `calibration: entropy` means the same on every target. Toolkits differ: ONNX
Runtime's own entropy has as many bins as levels by default, which never clips; AI Edge Quantizer has neither.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

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
    if not seen.any():
        return BINS
    widths = np.arange(BINS, levels - 1, -1)
    return int(widths[np.argmin(_divergences(seen, widths, levels))])


def _divergences(counts: NDArray[np.int64], widths: NDArray[np.int64], levels: int) -> NDArray[np.float64]:
    """KL divergences of the first bins at ``levels`` levels from the same bins with all beyond added to the last.

    Bins of one level share one q, so running sums give sum(p log p) and sum(p log q) of all widths at once.

    Args:
        counts: of all bins, with at least one above 0.
        widths: (W,) numbers of bins to keep.
        levels: that the kept bins are rounded to.

    Returns:
        (W,) divergences, rounded so that ties are ties.
    """
    below, filled, entropy = (_running(one) for one in (counts, counts > 0, xlogy(counts, counts)))
    edges = -(-widths[:, None] * np.arange(levels + 1) // levels)
    sums, bins = np.diff(below[edges]), np.diff(filled[edges])
    beyond, last = below[-1] - below[widths], counts[widths - 1]
    held = sums.copy()
    held[:, -1] += beyond
    with np.errstate(divide="ignore", invalid="ignore"):
        of_p = entropy[widths - 1] + xlogy(last + beyond, last + beyond)
        of_q = xlogy(held, sums / np.maximum(bins, 1)).sum(axis=1)
        divergences = (of_p - of_q) / below[-1] + np.log(below[widths] / below[-1])
    lost = (last == 0) & (beyond > 0)  # what lies beyond would be added to a bin that rounding leaves empty
    return np.where(lost, np.inf, divergences.round(12))


def _running(values: NDArray[Any]) -> NDArray[Any]:
    """Sums of the first 0, 1, 2, … values."""
    return np.concatenate([[0], np.cumsum(values)])
