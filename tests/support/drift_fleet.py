# SPDX-License-Identifier: Apache-2.0
"""Fleets of simulated devices that send reports of a table with three columns, answered by a classifier of three classes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.config import DataSpec
from edgewright.data.load import load_dataset
from edgewright.drift.reference import Reference, make_reference
from edgewright.monitor import Monitor, deliver

#: when reports are read, in seconds since 1970; the last day begins a day before
NOW = 1_800_000_000
HOUR = 3600
MODEL = "ab" * 32
COLUMNS = 3
Change = Callable[[np.ndarray], np.ndarray]


def answer(samples: np.ndarray) -> np.ndarray:
    """Logits (N, 3) of a model that has learned the columns themselves."""
    return np.asarray(samples, float) * 2


def make_training(folder: Path) -> Reference:
    """Return the reference of a model trained on three normal columns, whose class is the largest of them."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, COLUMNS)).astype(np.float32)
    np.savez(folder / "table.npz", x=x, y=np.argmax(x, axis=1))
    data = load_dataset(DataSpec(source=str(folder / "table.npz")), "classification", 0, folder / "dataset")
    return make_reference(MODEL, "phone", data, answer(data.stored("test")))


class Fleet:
    """Devices that report into a folder."""

    def __init__(self, reference: Reference, folder: Path) -> None:
        self.reference, self.folder, self.reports = json.loads(reference.model_dump_json()), folder, folder / "reports"

    def send(
        self,
        device: str,
        samples: int = 100,
        days_ago: int = 0,
        change: Change | None = None,
        slice_name: str = "all",
        epsilon: float | None = None,
        encoding: str = "json",
    ) -> Path:
        """Let a device watch for a day and send its report; return the file that arrived."""
        clock = [NOW - 25.0 * HOUR - days_ago * 24 * HOUR]
        state = self.folder / "devices" / f"{device}-{days_ago}"
        rng = np.random.default_rng([samples, days_ago, *device.encode()])
        told = {"slice_name": slice_name, "epsilon": epsilon, "encoding": encoding}
        monitor = Monitor(self.reference, device, state, clock=lambda: clock[0], **told)
        x = rng.normal(size=(samples, COLUMNS)).astype(np.float32)
        x = change(x) if change else x
        monitor.observe(x, answer(x))
        clock[0] += 24.5 * HOUR
        written = monitor.report()
        deliver(monitor.outbox, str(self.reports))
        return self.reports / f"{device}-{written.name}"

    def send_many(self, devices: int, **more: Any) -> list[Path]:
        """Let several devices report."""
        return [self.send(f"{more.get('slice_name', 'device')}-{number}", **more) for number in range(devices)]


def edit(report: Path, **changes: Any) -> Path:
    """Change what a report says."""
    report.write_text(json.dumps({**json.loads(report.read_text()), **changes}))
    return report


def edit_feature(report: Path, feature: str, **changes: Any) -> Path:
    """Change what a report says of one feature."""
    page = json.loads(report.read_text())
    page["features"].setdefault(feature, {}).update(changes)
    report.write_text(json.dumps(page))
    return report


def shift_first(by: float) -> Change:
    """Add to the first column."""
    return lambda x: x + np.array([by, 0, 0], np.float32)
