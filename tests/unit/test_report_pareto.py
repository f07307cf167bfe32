# SPDX-License-Identifier: Apache-2.0
"""The Pareto front holds exactly the points that no other beats."""

from hypothesis import given
from hypothesis import strategies as st

from edgewright.report.pareto import front

POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


@given(POINTS, st.booleans())
def test_no_point_of_the_front_is_beaten_and_every_other_is(points: list[tuple[int, int]], higher: bool) -> None:
    kept = front(points, higher_is_better=higher)

    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        better = one[1] >= other[1] if higher else one[1] <= other[1]
        return one != other and one[0] <= other[0] and better

    for index in kept:
        assert not any(beats(other, points[index]) for other in points)
    for index in set(range(len(points))) - set(kept):
        assert any(beats(points[one], points[index]) or points[one] == points[index] for one in kept)
