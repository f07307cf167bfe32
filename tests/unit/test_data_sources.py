# SPDX-License-Identifier: Apache-2.0
"""Every form of source, as users have them, and what is said when one is not what it promises."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from edgewright.config.data import DataSpec, Preprocessing, Splits
from edgewright.data.dataset import Dataset
from edgewright.data.load import load_dataset, source_digest
from edgewright.errors import ConfigError, DataError, StoreError

RNG = np.random.default_rng(0)


def load(out: Path, source: object, task: str = "classification", **spec: object) -> Dataset:
    return load_dataset(DataSpec(source=str(source), **spec), task, 0, out / "dataset")  # type: ignore[arg-type]


def images(folder: Path, per_class: int = 12, mode: str = "L", size: tuple[int, int] = (6, 5)) -> Path:
    for label in ("cats", "dogs"):
        (folder / label).mkdir(parents=True)
        for number in range(per_class):
            pixels = RNG.integers(0, 256, (size[1], size[0], 3), np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / label / f"{number}.png")
    return folder


def table(rows: int = 40) -> pd.DataFrame:
    return pd.DataFrame({"a": RNG.normal(size=rows), "kind": ["ok", "bad"] * (rows // 2), "b": np.arange(rows)})


def test_digits_need_nothing_but_scikit_learn(tmp_path: Path) -> None:
    data = load(tmp_path, "digits")
    assert data.card.labels == tuple("0123456789")
    assert data.card.counts == {"train": 898, "calibration": 180, "validation": 270, "test": 449}
    assert (data.card.preprocessing.layout, data.card.sample_shape) == ("HW", (8, 8))
    assert data.stored("test").dtype == np.float32
    assert data.stored("train").max() == 16


def test_what_was_written_opens_again_whole(tmp_path: Path) -> None:
    assert Dataset.open(load(tmp_path, "digits").path).digest == load(tmp_path / "again", "digits").digest


def test_npz_is_split_and_its_rows_keep_their_number(tmp_path: Path) -> None:
    x = RNG.normal(size=(40, 3))
    np.savez(tmp_path / "all.npz", x=x, y=np.arange(40) % 2, labels=np.array(["left", "right"]))
    data = load(tmp_path, tmp_path / "all.npz")
    assert data.card.labels == ("left", "right")
    assert data.card.sample_dtype == "float32"
    for sample, label, origin in zip(data.stored("test"), data.labels("test"), data.origin("test"), strict=True):
        row = int(origin.removeprefix("row ")) - 1
        np.testing.assert_array_equal(sample, x[row].astype(np.float32))
        assert label == row % 2


def test_npz_with_a_test_part_is_not_drawn_from(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "parts.npz",
        x_train=RNG.integers(0, 256, (60, 4, 4), np.uint8),
        y_train=np.arange(60) % 3,
        x_test=RNG.integers(0, 256, (9, 4, 4), np.uint8),
        y_test=np.arange(9) % 3,
    )
    data = load(tmp_path, tmp_path / "parts.npz", labels=["shirt", "shoe", "bag"])
    assert data.card.counts["test"] == 9
    assert sum(data.card.counts.values()) == 69
    assert data.card.counts["train"] == 40  # 0.5 of the 0.75 that is left for the other three
    assert data.origin("test")[0] == "x_test row 1"
    assert data.card.labels == ("shirt", "shoe", "bag")
    assert data.stored("train").dtype == np.uint8


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, "holds a; x_train is missing"),
        ({"x": np.zeros((4, 2))}, "holds x; y is missing"),
        ({"x_test": np.zeros((4, 2)), "y_test": np.zeros(4), "x_validation": np.zeros((4, 2))}, "y_validation is missing"),
        (
            {"x": np.zeros((4, 2)), "y": np.zeros(4), "x_val": np.zeros((4, 2)), "y_val": np.zeros(4)},
            "x_val belongs to no split",
        ),
        ({"x": np.zeros((4, 2)), "y": np.zeros(3)}, "4 samples and 3 labels"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "no samples"),
        ({"x": np.zeros(4), "y": np.zeros(4)}, r"shape \(4,\)"),
        ({"x": np.zeros((4, 2), complex), "y": np.zeros(4)}, "complex128 values, not real numbers"),
        ({"x": np.full((4, 2), "a"), "y": np.zeros(4)}, "not real numbers"),
        ({"x": np.array([[1, "a"]] * 4, object), "y": np.zeros(4)}, "(?s)cannot be read.*without Python objects"),
        ({"x": np.zeros((4, 2)), "y": np.eye(4)}, "not one-hot"),
    ],
)
def test_npz_that_does_not_fit_says_what_it_holds(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "odd.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path, tmp_path / "odd.npz")
    assert "odd.npz" in caught.value.where


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path, tmp_path / "cut.npz")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_keep_their_columns_and_their_text_labels(tmp_path: Path, suffix: str) -> None:
    frame = table()
    path = tmp_path / f"all{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    data = load(tmp_path, path, label_column="kind")
    assert (data.card.features, data.card.labels, data.card.preprocessing.layout) == (("a", "b"), ("bad", "ok"), "F")
    row = int(data.origin("test")[0].removeprefix("row ")) - 1
    np.testing.assert_allclose(data.stored("test")[0], [frame["a"][row], row], rtol=1e-6)
    assert data.card.labels[data.labels("test")[0]] == frame["kind"][row]


def test_labels_in_a_csv_are_kept_as_written(tmp_path: Path) -> None:
    pd.DataFrame({"a": np.arange(40), "label": ["01", "02"] * 20}).to_csv(tmp_path / "codes.csv", index=False)
    assert load(tmp_path, tmp_path / "codes.csv").card.labels == ("01", "02")


def test_missing_values_are_kept_for_the_checks(tmp_path: Path) -> None:
    frame = table()
    frame.loc[3, "a"] = np.nan
    frame.to_csv(tmp_path / "gap.csv", index=False)
    data = load(tmp_path, tmp_path / "gap.csv", label_column="kind")
    assert sum(int(np.isnan(data.stored(split)).sum()) for split in data.card.counts) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,lable\n1,x\n2,y\n", "(?s)no column 'label'.*did you mean 'lable'"),
        ("a,label\n1,x\ntwo,y\n", "(?s)column 'a' is not numeric: row 2 holds 'two'"),
        (",a,label\n0,1,x\n1,2,y\n", "(?s)column 1 has no name.*row number"),
        ("a,label\n", "no samples"),
        ("label\nx\ny\n", r"shape \(2, 0\)"),
        ("a,label\n1,x\n2,\n3,y\n", "1 labels are missing .*: row 2"),
        ("", "cannot be read"),
    ],
)
def test_tables_that_do_not_fit_name_column_and_row(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "odd.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load(tmp_path, tmp_path / "odd.csv")


def test_regression_keeps_values(tmp_path: Path) -> None:
    pd.DataFrame({"a": np.arange(40), "y": np.linspace(0, 1, 40)}).to_csv(tmp_path / "values.csv", index=False)
    data = load(tmp_path, tmp_path / "values.csv", "regression", label_column="y")
    assert (data.labels("train").dtype.name, data.labels("train").shape, data.outputs) == ("float32", (20, 1), 1)


def test_sources_of_their_own_are_taken_whole_and_told_apart(tmp_path: Path) -> None:
    table(40).to_csv(tmp_path / "all.csv", index=False)
    table(10).to_csv(tmp_path / "held-out.csv", index=False)
    splits = Splits(test=str(tmp_path / "held-out.csv"))
    data = load(tmp_path, tmp_path / "all.csv", label_column="kind", splits=splits)
    assert data.origin("test") == [f"held-out.csv row {number}" for number in range(1, 11)]
    assert all(origin.startswith("all.csv row ") for origin in data.origin("train"))
    assert sum(data.card.counts.values()) == 50
    assert data.card.source == "all.csv + held-out.csv"


def test_with_a_source_for_train_the_others_take_fractions_of_it(tmp_path: Path) -> None:
    table(40).to_csv(tmp_path / "train.csv", index=False)
    data = load(tmp_path, "digits", label_column="kind", splits=Splits(train=str(tmp_path / "train.csv")))
    assert data.card.counts == {"train": 20, "calibration": 4, "validation": 6, "test": 10}


def test_a_source_that_would_not_be_read_is_an_error(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        table(40).to_csv(tmp_path / name, index=False)
    with pytest.raises(DataError, match=r"a.csv would not be read"):
        load(tmp_path, tmp_path / "a.csv", label_column="kind", splits=Splits(train=str(tmp_path / "b.csv")))


def test_splits_stored_differently_are_refused(tmp_path: Path) -> None:
    y = np.arange(40) % 2
    np.savez(tmp_path / "bytes.npz", x=RNG.integers(0, 256, (40, 4, 4), np.uint8), y=y)
    np.savez(tmp_path / "floats.npz", x=RNG.random((40, 4, 4)), y=y)
    with pytest.raises(DataError, match="differ in dtype: float32 here, uint8 in"):
        load(tmp_path, tmp_path / "bytes.npz", splits=Splits(test=str(tmp_path / "floats.npz")))


def test_a_split_with_two_sources_is_refused(tmp_path: Path) -> None:
    x, y = RNG.random((40, 4)), np.arange(40) % 2
    np.savez(tmp_path / "parts.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    np.savez(tmp_path / "more.npz", x=x, y=y)
    with pytest.raises(DataError, match="test has two sources"):
        load(tmp_path, tmp_path / "parts.npz", splits=Splits(test=str(tmp_path / "more.npz")))


def test_gray_images_become_height_and_width(tmp_path: Path) -> None:
    data = load(tmp_path, images(tmp_path / "pets"))
    assert (data.card.sample_shape, data.card.sample_dtype, data.card.preprocessing.layout) == ((5, 6), "uint8", "HW")
    for sample, label, origin in zip(data.stored("train"), data.labels("train"), data.origin("train"), strict=True):
        with Image.open(tmp_path / "pets" / origin) as image:
            np.testing.assert_array_equal(sample, np.asarray(image))
        assert origin.startswith(data.card.labels[label])


def test_one_colour_image_makes_all_colour(tmp_path: Path) -> None:
    folder = images(tmp_path / "pets")
    Image.new("RGBA", (6, 5), "red").save(folder / "dogs" / "red.webp", lossless=True)
    data = load(tmp_path, folder)
    assert (data.card.sample_shape, data.card.preprocessing.layout) == ((5, 6, 3), "HWC")


def test_images_of_several_sizes_need_a_size(tmp_path: Path) -> None:
    folder = images(tmp_path / "pets")
    Image.new("L", (8, 8)).save(folder / "dogs" / "wide.png")
    with pytest.raises(DataError, match=r"(?s)wide.png is \(8, 8\).*image_size"):
        load(tmp_path, folder)
    assert load(tmp_path, folder, image_size=(4, 7)).card.sample_shape == (4, 7)


def test_a_folder_may_bring_its_splits(tmp_path: Path) -> None:
    images(tmp_path / "pets" / "train")
    images(tmp_path / "pets" / "test", per_class=3)
    data = load(tmp_path, tmp_path / "pets")
    assert data.card.counts["test"] == 6
    assert data.origin("test")[0] == "test/cats/0.png"


def test_images_are_turned_as_their_exif_says(tmp_path: Path) -> None:
    folder = images(tmp_path / "pets", size=(6, 5))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter: stored 5 wide and 6 high, seen 6 wide and 5 high
    Image.new("L", (5, 6)).save(folder / "dogs" / "turned.jpg", exif=exif)
    assert load(tmp_path, folder).card.sample_shape == (5, 6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cats/cut.png", b"\x89PNG\r\n\x1a\n cut short", "image cut.png cannot be read"),
        ("cats/notes.txt", b"cats are fine", "'notes.txt' is not an image"),
        ("stray.png", b"", "'stray.png' lies in no class folder"),
        ("train/1.png", b"", "beside 'train' there is 'cats'"),
    ],
)
def test_a_file_that_is_no_sample_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    folder = images(tmp_path / "pets", per_class=2)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path, folder)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    folder = images(tmp_path / "pets", per_class=4, size=(64, 64))
    whole = (folder / "dogs" / "3.png").read_bytes()
    (folder / "dogs" / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"image 3.png cannot be read"):
        load(tmp_path, folder)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = images(tmp_path / "pets")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow's own limit, made small: it warns from here to twice this
    with pytest.raises(DataError, match=r"(?s)0.png cannot be read.*exceeds limit"):
        load(tmp_path, folder)


def test_sixteen_bit_images_are_not_clipped_silently(tmp_path: Path) -> None:
    folder = images(tmp_path / "pets")
    Image.fromarray(np.full((5, 6), 40000, np.uint16)).save(folder / "cats" / "deep.png")
    with pytest.raises(DataError, match=r"(?s)deep.png has pixels of mode .I;16.*8 bits"):
        load(tmp_path, folder)


def test_image_size_is_for_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="image_size is for image folders"):
        load(tmp_path, "digits", image_size=(4, 4))


def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: str) -> str:
    (tmp_path / f"{name}.py").write_text(f"import numpy as np\n\ndef samples():\n    {body}\n")
    monkeypatch.chdir(tmp_path)
    return f"{name}:samples"


def test_a_function_returns_arrays_or_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = module(tmp_path, monkeypatch, "source_pair", "return np.eye(40), np.arange(40) % 2")
    assert load(tmp_path / "one", pair).card.sample_shape == (40,)
    parts = "return {'train': (np.eye(40), np.arange(40) % 2), 'test': (np.eye(40)[:6], np.arange(6) % 2)}"
    data = load(tmp_path / "two", module(tmp_path, monkeypatch, "source_parts", parts))
    assert (data.card.counts["test"], data.origin("test")[0]) == (6, "test row 1")


@pytest.mark.parametrize(
    ("number", "body", "message"),
    [
        (1, "return np.zeros(3)", "returned ndarray"),
        (2, "return [1, 2], [3, 4]", r"returned \(list, list\)"),
        (3, "return {'train': (np.zeros((4, 2)), np.zeros(4)), 'tset': 1}", "(?s)keys train, tset.*did you mean 'test'"),
        (4, "return {'test': (np.zeros((4, 2)), np.zeros(4))}", "'train' is missing"),
        (5, "return {'train': np.zeros((4, 2))}", "returned ndarray for 'train'"),
        (6, "return np.array([[None, 1]] * 4), np.zeros(4)", "Python objects, not real numbers"),
        (7, "return 1 / 0", "raised ZeroDivisionError"),
    ],
)
def test_a_function_that_returns_something_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, body: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path, module(tmp_path, monkeypatch, f"source_odd_{number}", body))


def test_a_function_that_is_not_there_is_a_wrong_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not import"):
        load(tmp_path, "no_such_module:samples")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/folder", "no file, folder or built-in"),
        ("data.csv", "no file 'data.csv'"),
        ("here.tar", "type '.tar' are not read"),
    ],
)
def test_a_source_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str) -> None:
    (tmp_path / "here.tar").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        load(tmp_path, source)


def test_a_mistyped_file_name_is_guessed(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "machines.csv", index=False)
    with pytest.raises(DataError, match=r"did you mean 'machines.csv'"):
        load(tmp_path, tmp_path / "machine.csv")


def test_a_layout_that_cannot_be_guessed_names_its_key(tmp_path: Path) -> None:
    np.savez(tmp_path / "cube.npz", x=np.zeros((40, 5, 6, 7), np.float32), y=np.arange(40) % 2)
    with pytest.raises(DataError, match=r"(?s)shape \(5, 6, 7\).*data.preprocessing.layout.*HWC or CHW"):
        load(tmp_path, tmp_path / "cube.npz")
    with pytest.raises(DataError, match="layout HW does not fit"):
        load(tmp_path / "b", tmp_path / "cube.npz", preprocessing=Preprocessing(layout="HW"))
    data = load(tmp_path / "c", tmp_path / "cube.npz", preprocessing=Preprocessing(layout="CHW"))
    assert data.inputs("test", "NHWC").shape[1:] == (6, 7, 5)


def test_a_folder_in_use_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "thesis.txt").touch()
    with pytest.raises(StoreError, match="must be empty"):
        load(tmp_path, "digits")


def test_the_digest_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "all.csv"
    table().to_csv(path, index=False)
    before = source_digest(DataSpec(source=str(path)))
    assert before == source_digest(DataSpec(source=str(path), label_column="kind"))
    table(42).to_csv(path, index=False)
    assert before != source_digest(DataSpec(source=str(path)))
    spec = DataSpec(source=module(tmp_path, monkeypatch, "source_digested", "return 1"))
    code = source_digest(spec)
    module(tmp_path, monkeypatch, "source_digested", "return 2")
    assert code != source_digest(spec)
    assert source_digest(DataSpec()) not in (code, before)


def test_the_digest_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or folder"):
        source_digest(DataSpec(source=str(tmp_path / "gone.csv")))
