# SPDX-License-Identifier: Apache-2.0
"""Batches of data that came later: each is split by itself, and known in the joined data."""

from pathlib import Path

import numpy as np
import pytest

from edgewright.config.data import SPLITS, AddedData, DataSpec
from edgewright.data.load import load_dataset, source_digest
from edgewright.errors import DataError


def write(file: Path, *, classes: tuple[int, ...] = (0, 1, 2), samples: int = 60, width: int = 4, offset: float = 0.0) -> str:
    generator = np.random.default_rng(len(file.name))
    np.savez(file, x=generator.normal(offset, size=(samples, width)).astype(np.float32), y=np.resize(classes, samples))
    return str(file)


def spec(folder: Path, **later: str) -> DataSpec:
    added = tuple(AddedData(name=name, source=source) for name, source in later.items())
    return DataSpec(source=write(folder / "first.npz"), added=added)


def test_splits_of_the_first_data_stay_as_they_were(tmp_path: Path) -> None:
    alone = load_dataset(spec(tmp_path), "classification", 3, tmp_path / "alone")
    october = write(tmp_path / "october.npz", samples=40, offset=5.0)
    joined = load_dataset(spec(tmp_path, october=october), "classification", 3, tmp_path / "joined")
    for split in SPLITS:
        rows = joined.rows_of_batches(split)
        assert list(rows) == ["first", "october"]
        assert len(rows["first"]) == alone.card.counts[split]
        assert joined.card.counts[split] == len(rows["first"]) + len(rows["october"])
        kept = {origin.removeprefix("first ") for origin in np.array(joined.origin(split))[rows["first"]]}
        assert kept == set(alone.origin(split))
        assert joined.stored(split)[rows["october"]].mean() > 4
    assert alone.rows_of_batches("test")[""].tolist() == list(range(alone.card.counts["test"]))


def test_a_batch_may_lack_a_class_and_keeps_the_order_of_the_others(tmp_path: Path) -> None:
    few = write(tmp_path / "few.npz", classes=(0, 2), samples=40)
    joined = load_dataset(spec(tmp_path, few=few), "classification", 0, tmp_path / "joined")
    rows = joined.rows_of_batches("train")["few"]
    assert set(joined.labels("train")[rows].tolist()) == {0, 2}
    assert joined.card.labels == ("0", "1", "2")


def test_the_same_batches_give_the_same_data_and_another_batch_another(tmp_path: Path) -> None:
    asked = spec(tmp_path, october=write(tmp_path / "october.npz", samples=40))
    one, two = (load_dataset(asked, "classification", 0, tmp_path / name) for name in ("one", "two"))
    assert one.digest == two.digest
    before = source_digest(asked)
    write(tmp_path / "october.npz", samples=44)
    assert source_digest(asked) != before


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"width": 5}, "batch 'odd' differs in sample shape"), ({"classes": (0, 7)}, "7")],
)
def test_a_batch_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    odd = write(tmp_path / "odd.npz", samples=40, **changes)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=said):
        load_dataset(spec(tmp_path, odd=odd), "classification", 0, tmp_path / "joined")


def test_two_batches_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two batches of data are called 'first'"):
        DataSpec(added=(AddedData(name="first", source="x.npz"),))
