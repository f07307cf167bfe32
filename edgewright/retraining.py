# SPDX-License-Identifier: Apache-2.0
"""When drift may start a retraining: rules on the retrainings before it, and on the new data."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from edgewright.config.retrain import Guard
from edgewright.data.dataset import Dataset
from edgewright.errors import DataError, DriftFound
from edgewright.measure import Frozen


class Retraining(Frozen):
    """One that has begun, and whether it came to an end."""

    release: str
    data: str
    """Digest of the sources it trained on."""
    began: datetime
    check: str
    """Run id of the drift check that started it."""
    parent: str = ""
    """Run id of the release whose baseline it began from; empty where it began from scratch."""
    ended: bool = False


def cut_short(before: Sequence[Retraining], data: str) -> Retraining | None:
    """Return the retraining on this data that has begun and not ended, which the next one goes on with."""
    return next((one for one in before if one.data == data and not one.ended), None)


def require_rested(before: Sequence[Retraining], data: str, guard: Guard, now: datetime) -> None:
    """Return when a retraining may begin; one that was cut short may go on with the same data.

    Args:
        before: retrainings of this release.
        data: digest of the sources that it would train on.
        guard: the rules.
        now: with its time zone.

    Raises:
        DriftFound: it has to wait, or there is nothing new to train on: there is drift, and nothing is done.
    """
    if cut_short(before, data):
        return
    if any(one.data == data for one in before):
        raise held("this very data was trained on already", "bring newer data: new_data.source")
    newest = max((one.began for one in before), default=None)
    free = newest + timedelta(hours=guard.cool_down_hours) if newest else now
    if now < free:
        raise held(f"the last one began {newest:%Y-%m-%d %H:%M} UTC", f"run again after {free:%Y-%m-%d %H:%M} UTC")
    recent = sum(one.began > now - timedelta(days=guard.days) for one in before)
    if recent >= guard.max_runs:
        raise held(
            f"{recent} began within {guard.days:g} days, and guard.max_runs is {guard.max_runs}",
            "find out why retraining does not help before there are more",
        )


def require_balance(dataset: Dataset, batch: str, guard: Guard) -> None:
    """Return when new data is no more of the training samples than the guard allows.

    Raises:
        DataError: it is more: whoever brings most of the data decides what is learnt.
    """
    share = len(dataset.rows_of_batches("train")[batch]) / dataset.card.counts["train"]
    if share > guard.max_new_share:
        raise DataError(
            f"batch {batch!r} is {share:.0%} of the training samples; guard.max_new_share is {guard.max_new_share:.0%}",
            where="new_data.source",
            to_do="bring fewer samples, more of the old ones, or raise guard.max_new_share",
        )


def held(why: str, to_do: str) -> DriftFound:
    """There is drift, and no retraining."""
    return DriftFound(f"there is drift, and no retraining: {why}", where="guard", to_do=to_do)
