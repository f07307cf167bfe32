# SPDX-License-Identifier: Apache-2.0
"""What a teacher is worth: the same student trained with it and without it, on Fashion-MNIST.

    python benchmarks/distillation_gain.py [--seeds 5] [--work build/distillation_gain]

One teacher, kept in the work folder, trained on 15,000 images; a student that has 2,000 others. For each seed the `distill`
pass twice, with alpha as chosen and with alpha 0, which leaves the labels alone and everything else equal. Hyperparameters
were chosen on the student's validation split with a seed outside the five. Results: results/distillation_gain.csv,
docs/images/distillation_gain.svg, and a table on the terminal.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import RESULTS, load, save
from race.data import find

from edgewright.artifact import Candidate
from edgewright.config import ModelSpec
from edgewright.config.data import DataSpec
from edgewright.config.model_passes import Distill
from edgewright.data.dataset import Dataset
from edgewright.data.load import load_dataset
from edgewright.framework import Framework, ModelPassRequest
from edgewright.metrics import metric
from edgewright.plugins import create

NAME = "distillation_gain"
HERE = Path(__file__).parent
IMAGES = HERE.parent / "docs" / "images"
TOP1 = "top1"
#: of the data's splits and the teacher's training
SEED = 100
LIGHT = {"flip": True, "shift": 2}
#: of the teacher: of 20,000 images; test is the archive's own
PLENTY: dict[str, Any] = {
    "source": "fashion_subset:load",
    "splits": {"train": 0.75, "calibration": 0.05, "validation": 0.2},
    "preprocessing": {"scale": 0.00392156863, "mean": [0.2860], "std": [0.3530], "layout": "HW"},
}
#: of the student: of 4,000 others
FEW: dict[str, Any] = PLENTY | {
    "source": "fashion_subset:few",
    "splits": {"train": 0.5, "calibration": 0.05, "validation": 0.45},
}
TEACHER: dict[str, Any] = {
    "architecture": "resnet8",
    "options": {"width": 16},
    "training": {"epochs": 12, "batch_size": 128, "learning_rate": 0.01, "augmentation": LIGHT},
}
STUDENT: dict[str, Any] = {
    "student": "resnet8",
    "options": {"width": 8},
    "temperature": 2.0,
    "training": {"epochs": 40, "batch_size": 64, "learning_rate": 0.01, "augmentation": LIGHT},
}
GOAL_PP = 1.0


@dataclass(frozen=True)
class Row:
    """One student, trained and tested."""

    seed: int
    way: str
    parameters: int
    validation_top1: float
    test_top1: float
    test_samples: int
    wall_s: float
    load: float


@dataclass(frozen=True)
class Interval:
    """Mean and its two-sided 95 % t interval."""

    mean: float
    low: float
    high: float


class Trainer:
    """Trains the teacher once, and students with one seed after the other."""

    def __init__(self, kept: Path, folder: Path) -> None:
        self.folder, self.framework = folder, framework()
        made_of = json.dumps([PLENTY, FEW, TEACHER, SEED])
        kept = kept / hashlib.sha256(made_of.encode()).hexdigest()[:12]
        if not kept.is_dir():
            self._teach(incoming := self._made("kept"))
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(incoming, kept)
        self.data, self.teacher = Dataset.open(kept / "data"), Candidate.open(kept / "teacher")

    def _teach(self, folder: Path) -> None:
        """Split the data of both and train the teacher."""
        data = load_dataset(DataSpec.model_validate(PLENTY), "classification", SEED, folder / "teachers-data")
        load_dataset(DataSpec.model_validate(FEW), "classification", SEED, folder / "data")
        spec, out = ModelSpec.model_validate(TEACHER), folder / "teacher"
        out.mkdir()
        facts = self.framework.train(spec, data, SEED, TOP1, out, self.folder / "teacher-checkpoints")
        Candidate.seal(out, facts)

    def student(self, seed: int, way: str, options: dict[str, Any]) -> tuple[Candidate, float]:
        """Perform one distill pass; return the student, and the seconds it took."""
        name, step = f"{seed}-{way}", Distill.model_validate(options)
        out, started = self._made(name), time.monotonic()
        request = ModelPassRequest(
            candidate=self.teacher,
            teacher=self.teacher,
            data=self.data,
            options=step,
            metric=TOP1,
            seed=seed,
            out=out,
            checkpoints=self.folder / f"{name}-checkpoints",
        )
        return Candidate.seal(out, self.framework.passes[Distill](request)), time.monotonic() - started

    def top1(self, candidate: Candidate, split: Any) -> float:
        """Share of a split's samples whose class is answered rightly."""
        return score(self.framework, candidate, self.data, split)

    def _made(self, name: str) -> Path:
        (self.folder / name).mkdir(parents=True)
        return self.folder / name


def framework() -> Framework:
    """What trains teacher and students."""
    found: Framework = create("frameworks", "pytorch")
    return found


def score(by: Framework, candidate: Candidate, data: Dataset, split: Any) -> float:
    """Top-1 of a candidate on a split."""
    outputs = by.predict(by.load(candidate), data.inputs(split, "NCHW"))
    return float(metric(TOP1).score(data.labels(split), outputs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many, two at least; the first is 0")
    parser.add_argument("--work", type=Path, default=HERE.parent / "build" / NAME, help="where the teacher is kept")
    asked = parser.parse_args()
    seeds: int = asked.seeds
    if seeds < 2:
        parser.error("an interval needs two seeds at least")
    find()
    with tempfile.TemporaryDirectory(prefix="distillation-") as name:
        trainer = Trainer(asked.work, Path(name))
        validation = trainer.top1(trainer.teacher, "validation")
        print(
            f"teacher: {trainer.teacher.facts.parameters:,} parameters, validation top-1 {100 * validation:.2f} %", flush=True
        )
        rows: list[Row] = []
        for seed in range(seeds):
            rows += pair(trainer, seed)
            save(NAME, rows)
        teacher = trainer.top1(trainer.teacher, "test")
        parameters = trainer.teacher.facts.parameters
    plot(rows, IMAGES / f"{NAME}.svg")
    print(f"{RESULTS / f'{NAME}.csv'}\n{IMAGES / f'{NAME}.svg'}\n\n{table(rows, teacher, parameters)}\n\n{conclusion(rows)}")


def pair(trainer: Trainer, seed: int) -> list[Row]:
    """Train one student without its teacher and one with it, from the same seed."""
    ways = {"without": STUDENT | {"alpha": 0.0}, "with": STUDENT}
    rows = []
    for way, options in ways.items():
        busy = load()
        student, wall = trainer.student(seed, way, options)
        validation, test = (trainer.top1(student, split) for split in ("validation", "test"))
        rows.append(Row(seed, way, student.facts.parameters, validation, test, len(trainer.data.labels("test")), wall, busy))
        print(f"seed {seed}, {way:7}: validation {100 * validation:.2f} %, {wall:.0f} s", flush=True)
    return rows


def differences(rows: Sequence[Row]) -> dict[int, float]:
    """Percentage points of test top-1 that the teacher adds, by seed."""
    test = {(row.seed, row.way): row.test_top1 for row in rows}
    return {seed: 100 * (test[seed, "with"] - test[seed, "without"]) for seed in dict.fromkeys(row.seed for row in rows)}


def interval(values: Sequence[float]) -> Interval:
    """Return the mean and its two-sided 95 % t interval (Student, 1908), paired by whoever took the differences."""
    from scipy.stats import t

    mean, n = statistics.mean(values), len(values)
    half = float(t.ppf(0.975, n - 1)) * statistics.stdev(values) / n**0.5
    return Interval(mean, mean - half, mean + half)


def table(rows: Sequence[Row], teacher: float, parameters: int) -> str:
    """The figures in Markdown, in percent of the test samples."""
    by = {(row.seed, row.way): row for row in rows}
    lines = ["| seed | without teacher | with teacher | difference |", "|---|---:|---:|---:|"]
    for seed, difference in differences(rows).items():
        without, taught = (100 * by[seed, way].test_top1 for way in ("without", "with"))
        lines.append(f"| {seed} | {without:.2f} % | {taught:.2f} % | {difference:+.2f} pp |")
    means = [statistics.mean(100 * row.test_top1 for row in rows if row.way == way) for way in ("without", "with")]
    found = interval(list(differences(rows).values()))
    told = f"{found.mean:+.2f} pp [{found.low:+.2f}, {found.high:+.2f}]"
    lines.append(f"| mean | {means[0]:.2f} % | {means[1]:.2f} % | {told} |")
    loads = [row.load for row in rows]
    return "\n".join(
        [
            *lines,
            "",
            f"Test top-1, n = {rows[0].test_samples:,} samples; the student has {rows[0].parameters:,} parameters, the teacher "
            f"{parameters:,} and {100 * teacher:.2f} %. Load average {min(loads):.1f} to {max(loads):.1f}, "
            f"on {os.cpu_count()} cores.",
        ]
    )


def conclusion(rows: Sequence[Row]) -> str:
    """Say whether the goal is met: a mean difference of a point at least, and an interval above 0."""
    found = interval(list(differences(rows).values()))
    reached = "met" if found.mean >= GOAL_PP and found.low > 0 else "missed"
    told = f"{found.mean:+.2f} pp [{found.low:+.2f}, {found.high:+.2f}]"
    return f"Goal (mean >= {GOAL_PP:+g} pp, interval above 0): {reached}, {told}."


def plot(rows: Sequence[Row], file: Path) -> None:
    """Draw the difference of each seed, and the mean with its interval; the same rows give the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": NAME, "svg.fonttype": "none", "font.size": 10})
    found = differences(rows)
    mean = interval(list(found.values()))
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.scatter(list(found), list(found.values()), label="one seed")
    axes.errorbar(
        [len(found)], [mean.mean], [[mean.mean - mean.low], [mean.high - mean.mean]], fmt="s", capsize=5, label="mean, 95 %"
    )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axhline(GOAL_PP, color="tab:green", linestyle="--", linewidth=1, label="goal")
    axes.set_xticks([*range(len(found)), len(found)], [*map(str, found), "mean"])
    axes.set(
        xlabel="seed", ylabel="gain of test top-1, percentage points", ylim=(min(0, mean.low, *found.values()) - 0.2, None)
    )
    axes.grid(alpha=0.2, axis="y")
    figure.legend(fontsize=8, loc="outside upper center", ncols=3)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
