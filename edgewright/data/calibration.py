# SPDX-License-Identifier: Apache-2.0
"""Which samples of the calibration split a pass may look at: those it calibrates on, and those it compares on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.file_passes import StaticQuantization
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError
from edgewright.onboard.preprocess import prepare

Array = NDArray[np.float32]
MIN_CALIBRATION = 8
"""Fewer samples than this do not show a layer's range."""
MIN_HELD_BACK = 30
"""Fewer samples than this cannot tell two calibrations apart."""
HELD_BACK = 1 / 3


def calibration_inputs(dataset: Dataset, step: Any, layout: str) -> tuple[Array, Array | None]:
    """Return prepared inputs to calibrate on, and those held back for a choice (None where the pass makes none).

    As many as the pass asks for, spread evenly over the calibration split: one that a user gives whole may be sorted by
    class, and the first n would be of one class.

    Raises:
        ConfigError: the calibration split is too small for the pass.
    """
    stored = dataset.stored("calibration")
    if not isinstance(step, StaticQuantization):
        return _prepared(dataset, np.arange(0), layout), None
    check_calibration(step, len(stored))
    rows = np.arange(len(stored))
    held_back = rows[:: round(1 / HELD_BACK)] if step.chooses else rows[:0]
    rest = np.setdiff1d(rows, held_back)
    wanted = min(step.samples or len(rest), len(rest))
    chosen = rest[np.linspace(0, len(rest) - 1, wanted).round().astype(np.int64)]
    return _prepared(dataset, chosen, layout), _prepared(dataset, held_back, layout) if step.chooses else None


def check_calibration(step: Any, count: int) -> None:
    """Make sure that a calibration split of ``count`` samples is enough for a pass.

    Raises:
        ConfigError: it is too small; the message says how many samples are wanted.
    """
    if not isinstance(step, StaticQuantization):
        return
    needed = MIN_CALIBRATION if not step.chooses else round(MIN_HELD_BACK / HELD_BACK)
    if min(count, step.samples or count) < MIN_CALIBRATION or count < needed:
        why = ", a third of which it holds back to choose on" if step.chooses else ""
        raise ConfigError(
            f"{step.name} wants at least {needed} calibration samples{why}; "
            f"there are {count}" + (f", and 'samples' takes {step.samples}" if step.samples else ""),
            where="data.splits.calibration",
            to_do="give the calibration split more of the data"
            + (f", or raise 'samples' of {step.name}" if step.samples else ""),
        )


def _prepared(dataset: Dataset, rows: NDArray[np.int64], layout: str) -> Array:
    stored = dataset.stored("calibration")
    return prepare(np.asarray(stored[rows]), dataset.card.preprocessing, layout)
