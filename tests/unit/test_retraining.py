# SPDX-License-Identifier: Apache-2.0
"""When a retraining may begin."""

from datetime import UTC, datetime, timedelta

import pytest

from edgewright.config.retrain import Guard, RetrainConfig
from edgewright.errors import DriftFound
from edgewright.retraining import Retraining, require_rested

NOW = datetime(2026, 11, 21, tzinfo=UTC)
GUARD = Guard(cool_down_hours=24, max_runs=2, days=30)


def before(hours: float, data: str = "old", *, ended: bool = True) -> Retraining:
    return Retraining(release="table", data=data, check="run", began=NOW - timedelta(hours=hours), ended=ended)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([before(1)], "the last one began 2026-11-20 23:00 UTC"),
        ([before(24 * 40, "new")], "this very data was trained on already"),
        ([before(30), before(60)], "2 began within 30 days"),
    ],
)
def test_it_is_held_back(others: list[Retraining], said: str) -> None:
    with pytest.raises(DriftFound, match=said) as refused:
        require_rested(others, "new", GUARD, NOW)
    assert refused.value.exit_code == 10


@pytest.mark.parametrize(
    "others", [[], [before(24)], [before(30), before(24 * 31)], [before(1, "new", ended=False), before(30), before(60)]]
)
def test_it_may_begin_and_one_that_was_cut_short_goes_on(others: list[Retraining]) -> None:
    require_rested(others, "new", GUARD, NOW)


def test_new_data_needs_a_name_of_its_own() -> None:
    drift = {"reports": "r", "references": ["x"]}
    release = {"data": {"added": [{"name": "may", "source": "m.npz"}]}, "targets": [{"name": "a", "runtime": "null"}]}
    with pytest.raises(ValueError, match="give new_data another name"):
        RetrainConfig.model_validate({"drift": drift, "release": release, "new_data": {"name": "may", "source": "n.npz"}})
