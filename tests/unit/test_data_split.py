# SPDX-License-Identifier: Apache-2.0
"""Labels and splits: what a release may rely on, whatever the data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.config.data import SPLITS, DataSpec, SplitName, Splits
from edgewright.data.dataset import Dataset
from edgewright.data.load import load_dataset
from edgewright.data.split import draw, shares_of
from edgewright.errors import DataError

SHARES: dict[SplitName, float] = {"train": 0.5, "calibration": 0.1, "validation": 0.15, "test": 0.25}


def load(out: Path, y: np.ndarray, task: str = "classification", **spec: object) -> Dataset:
    x = np.arange(2 * len(y), dtype=np.float32).reshape(-1, 2)
    np.savez(out / "all.npz", x=x, y=y)
    return load_dataset(DataSpec(source=str(out / "all.npz"), **spec), task, 0, out / "dataset")  # type: ignore[arg-type]


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(30, 80), min_size=2, max_size=6),
    seed=st.integers(0, 2**32 - 1),
    order=st.randoms(use_true_random=False),
)
def test_splits_share_nothing_lose_nothing_and_keep_the_classes(counts: list[int], seed: int, order: object) -> None:
    listed = [index for index, count in enumerate(counts) for _ in range(count)]
    order.shuffle(listed)  # type: ignore[attr-defined]
    y = np.array(listed)
    names = tuple(map(str, range(len(counts))))
    drawn = draw(y, names, SHARES, "classification", seed)
    assert sorted(np.concatenate(list(drawn.values()))) == list(range(len(y)))
    for split, share in SHARES.items():
        here = np.bincount(y[drawn[split]], minlength=len(counts))
        assert np.all(np.abs(here - share * np.array(counts)) <= 2)
    again = draw(y, names, SHARES, "classification", seed)
    assert all(np.array_equal(drawn[split], again[split]) for split in SPLITS)


def test_another_seed_draws_other_samples() -> None:
    y = np.arange(200) % 2
    first, second = (draw(y, ("a", "b"), SHARES, "classification", seed)["test"] for seed in (0, 1))
    assert set(first) != set(second)


def test_the_test_split_stays_when_other_fractions_change() -> None:
    y = np.arange(200) % 2
    other: dict[SplitName, float] = {**SHARES, "train": 0.3, "calibration": 0.3}
    first, second = (draw(y, ("a", "b"), shares, "classification", 0)["test"] for shares in (SHARES, other))
    assert np.array_equal(first, second)


@settings(deadline=None, max_examples=40)
@given(normal=st.integers(10, 200), anomalies=st.integers(2, 50), seed=st.integers(0, 2**32 - 1))
def test_anomalies_are_never_learned_or_calibrated_from(normal: int, anomalies: int, seed: int) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat([0, 1], [normal, anomalies]))
    drawn = draw(y, (), SHARES, "anomaly", seed)
    assert not y[drawn["train"]].any()
    assert not y[drawn["calibration"]].any()
    assert set(y[drawn["validation"]]) == set(y[drawn["test"]]) == {0, 1}
    assert sorted(np.concatenate(list(drawn.values()))) == list(range(len(y)))


def test_anomaly_labels_may_be_named(tmp_path: Path) -> None:
    data = load(tmp_path, np.array(["good", "good", "crack", "good"] * 20), "anomaly", labels=["good", "crack"])
    assert data.labels("train").dtype == np.int64
    assert sum(int(data.labels(split).sum()) for split in ("validation", "test")) == 20


def test_anomalies_with_nowhere_to_go_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.zeros((8, 2), np.float32), y=np.arange(8) % 2)
    own = str(tmp_path / "own.npz")
    y = np.zeros(40, int)
    y[4] = 1
    with pytest.raises(DataError, match=r"train holds anomalies: all.npz row 5"):
        load(tmp_path, y, "anomaly", splits=Splits(validation=own, test=own))


def test_without_any_anomaly_nothing_can_be_judged(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="validation holds no anomaly"):
        load(tmp_path, np.zeros(40, int), "anomaly")


@pytest.mark.parametrize(
    ("y", "spec", "message"),
    [
        (["a"] * 40, {}, "one class only: 'a'"),
        (["a", "b"] * 20 + ["c"], {"labels": ["a", "b"]}, "label 'c' is not among the known ones, in row 41"),
        (["cat", "dog"] * 20, {"labels": ["cats", "dog"]}, "did you mean 'cats'"),
        ([0, 1, 2] * 20, {"labels": ["a", "b"]}, "label 2 is no index into the 2 names, in row 3, .* and 10 more"),
        ([0.0, np.nan, 1.0] * 12, {}, "12 labels are missing .*row 2, .* and 2 more"),
        ([0.5, 1.0] * 20, {}, "(?s)label 0.5 of row 1 is a fraction.*regression"),
        (["a", ""] * 20, {}, "20 labels are missing"),
        (["a", "b"] * 2, {}, "class 'a' has 2 samples, too few"),
        (["a"] * 60 + ["b"] * 4, {}, "class 'b' has 4 samples, too few to be in every split"),
        (["a", "b"] * 20, {"labels": ["a", "b", "c"]}, "class 'c' has no sample in train, nor anywhere else"),
    ],
)
def test_labels_nobody_can_train_on(tmp_path: Path, y: list[object], spec: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path, np.array(y), **spec)


def test_too_few_samples_for_the_splits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"3 samples are too few: .* would get none"):
        load(tmp_path, np.arange(3.0), "regression")


def test_integer_labels_are_sorted_as_numbers(tmp_path: Path) -> None:
    data = load(tmp_path, np.arange(400) % 11)
    assert data.card.labels == tuple(map(str, range(11)))


def test_known_labels_set_the_order_of_the_outputs(tmp_path: Path) -> None:
    data = load(tmp_path, np.array([3, 5] * 20), labels=["5", "3"])
    row = int(data.origin("test")[0].removeprefix("row "))
    assert data.card.labels[data.labels("test")[0]] == ("3" if row % 2 else "5")


def test_a_class_that_only_test_has_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.zeros((3, 2), np.float32), y=np.array(["a", "b", "new"]))
    with pytest.raises(DataError, match=r"class 'new' has no sample in train, and these elsewhere: own.npz row 3"):
        load(tmp_path, np.array(["a", "b"] * 20), splits=Splits(test=str(tmp_path / "own.npz")))


def test_regression_labels_may_be_vectors_and_must_be_finite(tmp_path: Path) -> None:
    y = np.arange(80.0).reshape(40, 2)
    assert load(tmp_path, y, "regression").outputs == 2
    (tmp_path / "b").mkdir()
    y[6, 1] = np.inf
    with pytest.raises(DataError, match=r"1 labels are missing .*row 7"):
        load(tmp_path / "b", y, "regression")
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match="labels are not numbers"):
        load(tmp_path / "c", np.array(["a", "b"] * 20), "regression")


def test_nothing_left_for_train(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.zeros((40, 2), np.float32), y=np.arange(40) % 2)
    splits = Splits(train=str(tmp_path / "own.npz"), calibration=0.3, validation=0.3, test=0.4)
    with pytest.raises(DataError, match="nothing is left for train"):
        load_dataset(DataSpec(splits=splits), "classification", 0, tmp_path / "dataset")


def test_fractions_that_do_not_add_up_with_the_defaults_are_refused_once_all_are_drawn() -> None:
    with pytest.raises(DataError, match=r"add up to 1\.65: train 0\.5, calibration 0\.1, validation 0\.15, test 0\.9"):
        shares_of(Splits(test=0.9), ["train", "calibration", "validation", "test"])


def test_fractions_of_a_source_with_its_own_test_split_need_not_name_it() -> None:
    splits = Splits(train=0.7, calibration=0.1, validation=0.2)
    assert shares_of(splits, ["train", "calibration", "validation"]) == pytest.approx(
        {"train": 0.7, "calibration": 0.1, "validation": 0.2}
    )
