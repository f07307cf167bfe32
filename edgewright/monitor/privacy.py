# SPDX-License-Identifier: Apache-2.0
"""Local differential privacy: each sample tells one of its values, as a bucket, and sometimes another bucket than its own.

Which of the values is drawn at random, so that the whole epsilon goes to one answer; the answer is k-ary randomized response:
the true one of k buckets with probability e^eps / (e^eps + k - 1), else one of the others, each as likely (Warner 1965, JASA
60:63-69; Kairouz, Bonawitz, Ramage 2016, arXiv:1602.07387, section 4.1). So epsilon holds for each sample; of a person who
gives many, the epsilons add up. The number of samples is told as it is.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MECHANISM = "one value a sample, k-ary randomized response"
#: a number becomes one of so many buckets of the training data, each of them as likely there
BUCKETS = 16


def edges_of(quantiles: Sequence[float]) -> NDArray[np.float32]:
    """Edges between buckets that hold the same share of the training data each; fewer where values repeat.

    Args:
        quantiles: of the training data, evenly spaced, from its minimum to its maximum.
    """
    inner = np.linspace(0, len(quantiles) - 1, BUCKETS + 1)[1:-1].round().astype(int)
    return np.unique(np.asarray(quantiles, np.float32)[inner])


def buckets_of(values: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int64]:
    """The bucket of each value: i when edges[i-1] < value <= edges[i]; the one after the last is 'missing'."""
    found = np.searchsorted(edges, values, side="left")
    return np.where(np.isfinite(values), found, len(edges) + 1)


def truth(categories: int, epsilon: float) -> tuple[float, float]:
    """Probability of the true answer, and of each of the other ones."""
    others = categories - 1
    true = 1 / (1 + others * math.exp(-epsilon))
    return true, (1 - true) / others if others else 0.0


def randomized(category: int, categories: int, epsilon: float, chance: random.Random) -> int:
    """One answer of k-ary randomized response.

    Args:
        category: the true one, from 0.
        categories: how many there are.
        epsilon: of differential privacy.
        chance: where randomness comes from; on devices the operating system's (random.SystemRandom).
    """
    if categories < 2 or chance.random() < truth(categories, epsilon)[0]:
        return category
    other = chance.randrange(categories - 1)
    return other + (other >= category)
