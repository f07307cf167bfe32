# SPDX-License-Identifier: Apache-2.0
"""One number or the classes of a group, held against the reference: how far apart, and how likely that is by chance alone.

Everything a sketch or a table of quantiles may be off by is taken from the distance before it is judged.
"""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewright.drift.fleet import Merged
from edgewright.drift.reference import STEPS, ReferenceFeature
from edgewright.monitor.privacy import edges_of, truth

Array = NDArray[np.float64]
#: expected counts below this do not make a chi-square (Cochran 1954, Biometrics 10:417-451): such classes are counted together
SMALLEST_EXPECTED = 5.0
_BARS = 24


class Distance(NamedTuple):
    """Between a group and the reference."""

    size: float
    """Largest difference in the share of samples for which something holds: of 'it is below x' for numbers (Kolmogorov-Smirnov
    distance), of any set for shares (total variation); less what chance or the sketch's error explains."""
    p_value: float
    """Probability of such a distance or a larger one, where group and reference are samples of the same."""
    psi: float
    """Population stability index: Kullback-Leibler divergence there and back, in nats."""
    js: float
    """Jensen-Shannon divergence, in bits: 0 the same, 1 nothing in common."""
    ks: float | None
    """Kolmogorov-Smirnov distance as observed; None for classes."""
    error: float
    """What the distance may be off by because of sketches."""


class Picture(NamedTuple):
    """Shares of reference and group by interval, for a bar chart."""

    edges: tuple[float, ...]
    reference: tuple[float, ...]
    group: tuple[float, ...]


def compare_numbers(reference: ReferenceFeature, merged: Merged) -> Distance:
    """Compare a sketched number by its distribution; a missing value counts as one below all others.

    The p-value is that of the two-sample Kolmogorov-Smirnov test, as scipy.stats.ks_2samp(method='asymp') has it, at the
    distance left without the sketch's rank error (the bound for all ranks at once) and the step of the reference's quantiles.
    """
    from scipy.stats import kstwo

    total, trained = merged.n + merged.missing, reference.n + reference.missing
    kll = _opened(merged)
    error = (kll.normalized_rank_error(True) if kll is not None and kll.is_estimation_mode() else 0.0) + 1 / STEPS
    points = np.unique(np.asarray(reference.quantiles, np.float32))
    ks = abs(merged.missing / total - reference.missing / trained)
    for inclusive in (True, False):
        of_reference = _with_missing(_reference_ranks(reference, points, inclusive=inclusive), reference.missing / trained)
        of_group = _with_missing(_ranks(kll, points, inclusive=inclusive), merged.missing / total)
        ks = max(ks, float(np.abs(of_group - of_reference).max()))
    size = max(0.0, ks - error)
    p_value = float(kstwo.sf(size, max(1, round(total * trained / (total + trained))))) if size else 1.0
    edges = edges_of(reference.quantiles)
    counts = np.append(np.diff(np.concatenate([[0.0], _ranks(kll, edges, inclusive=True), [1.0]])) * merged.n, merged.missing)
    psi, js = _divergences(np.asarray(reference.buckets, float), counts)
    return Distance(size, min(1.0, p_value), psi, js, ks, error)


def compare_shares(reference: Sequence[float], counts: Sequence[float], epsilon: float | None = None) -> Distance:
    """Compare how often each of some answers was given: classes, or randomized buckets.

    The test is the chi-square test of homogeneity (scipy.stats.chi2_contingency). Randomized answers are tested as they are,
    the reference's shares being what randomized response makes of them; sizes are those of the answers behind them.
    """
    expected, found = np.asarray(reference, float), np.asarray(counts, float)
    true, other = truth(len(expected), epsilon) if epsilon else (1.0, 0.0)
    slope = true - other if epsilon else 1.0
    told = (expected / expected.sum() * slope + other) * expected.sum()
    p_value = _homogeneity(told, found)
    shares, behind = expected / expected.sum(), (found / found.sum() - other) / slope
    chance = np.sqrt(_variance(shares) / expected.sum() + _variance(found / found.sum()) / (slope**2 * found.sum()))
    # the mean of |x| of a normal x is sqrt(2/pi) standard deviations: so far apart two samples of the same are
    size = 0.5 * float((np.abs(behind - shares) - np.sqrt(2 / np.pi) * chance).sum())
    psi, js = _divergences(expected, np.clip(behind, 0, None) * found.sum())
    return Distance(max(0.0, size), p_value, psi, js, None, 0.0)


def picture_of(reference: ReferenceFeature, merged: Merged) -> Picture:
    """Shares of the values in equal intervals between the outermost half per cent of both."""
    kll, quantiles = _opened(merged), np.asarray(reference.quantiles, np.float32)
    low, high = float(quantiles[1 if len(quantiles) > 1 else 0]), float(quantiles[-2 if len(quantiles) > 1 else 0])
    if kll is not None:
        inner = kll.get_quantiles([0.005, 0.995])
        low, high = min(low, float(inner[0])), max(high, float(inner[1]))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BARS + 1)
    inner = np.unique(edges[1:-1].astype(np.float32))
    shares = [
        np.diff(np.concatenate([[0.0], ranks, [1.0]]))
        for ranks in (_smooth(reference, inner), _ranks(kll, inner, inclusive=True))
    ]
    return Picture(tuple(edges.tolist()), *(tuple(round(float(one), 6) for one in share) for share in shares))


def _opened(merged: Merged) -> Any:
    from datasketches import kll_floats_sketch

    return kll_floats_sketch.deserialize(base64.b64decode(merged.kll)) if merged.kll else None


def _ranks(kll: Any, points: NDArray[np.float32], *, inclusive: bool) -> Array:
    """Share of a sketch's values up to each point (rising); 0 where there are no values."""
    if kll is None or not len(points):
        return np.zeros(len(points))
    return np.asarray(kll.get_cdf(points.tolist(), inclusive)[:-1])


def _reference_ranks(reference: ReferenceFeature, points: NDArray[np.float32], *, inclusive: bool) -> Array:
    quantiles = np.asarray(reference.quantiles, np.float32)
    if not reference.n:
        return np.zeros(len(points))
    found = np.searchsorted(quantiles, points, side="right") - 1 if inclusive else np.searchsorted(quantiles, points)
    return np.asarray(found / (len(quantiles) - 1), float)


def _smooth(reference: ReferenceFeature, points: NDArray[np.float32]) -> Array:
    """Ranks between quantiles by interpolation, with a jump at each value that repeats: for pictures, where steps are noise."""
    quantiles = np.asarray(reference.quantiles, float)
    distinct, first, counts = np.unique(quantiles, return_index=True, return_counts=True)
    if len(distinct) < 2:
        return np.asarray(points >= distinct[0], float)
    below = np.clip(np.searchsorted(distinct, points, side="right") - 1, 0, len(distinct) - 2)
    part = np.clip((points - distinct[below]) / (distinct[below + 1] - distinct[below]), 0, 1)
    start, end = (first + counts - 1)[below], np.where(part == 1, (first + counts - 1)[below + 1], first[below + 1])
    ranks = np.where(points < distinct[0], 0.0, (start + (end - start) * part) / (len(quantiles) - 1))
    return np.asarray(ranks, float)


def _with_missing(ranks: Array, missing: float) -> Array:
    return missing + (1 - missing) * ranks


def _homogeneity(expected: Array, found: Array) -> float:
    from scipy.stats import chi2_contingency

    table = _pooled(np.stack([expected, found]))
    if table.shape[1] < 2:
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)


def _pooled(table: Array) -> Array:
    """Count columns together, smallest first, until each is large enough to be tested."""
    table = table[:, np.argsort(table.sum(axis=0), kind="stable")]
    smaller = table.sum(axis=1).min() / table.sum()
    while table.shape[1] > 1 and table[:, 0].sum() * smaller < SMALLEST_EXPECTED:
        joined = np.concatenate([table[:, :1] + table[:, 1:2], table[:, 2:]], axis=1)
        table = joined[:, np.argsort(joined.sum(axis=0), kind="stable")]
    return table


def _variance(shares: Array) -> Array:
    return shares * (1 - shares)


def _divergences(expected: Array, found: Array) -> tuple[float, float]:
    """PSI (nats) and Jensen-Shannon divergence (bits); half a count more in each bucket keeps an empty one finite."""
    from scipy.spatial.distance import jensenshannon
    from scipy.special import rel_entr

    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (expected, found))
    psi = float(rel_entr(p, q).sum() + rel_entr(q, p).sum())
    return psi, float(jensenshannon(p, q, base=2) ** 2)
