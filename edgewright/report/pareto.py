# SPDX-License-Identifier: Apache-2.0
"""The Pareto front of what was tried: the points that no other beats in both cost and score."""

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]], *, higher_is_better: bool) -> list[int]:
    """Return the indexes of the points on the front, by rising cost.

    Args:
        points: (cost, score); a smaller cost is better.
        higher_is_better: whether a larger score is.
    """
    sign = 1 if higher_is_better else -1
    kept: list[int] = []
    best = float("-inf")
    for index in sorted(range(len(points)), key=lambda one: (points[one][0], -sign * points[one][1])):
        if sign * points[index][1] > best:
            kept.append(index)
            best = sign * points[index][1]
    return kept
