# SPDX-License-Identifier: Apache-2.0
"""Merging reports: in any order, like one sketch of all; and every report that lies is refused."""

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from datasketches import kll_floats_sketch
from drift_fleet import HOUR, MODEL, NOW, Fleet, edit, edit_feature, make_training, shift_first
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.drift import fleet as facts
from edgewright.drift.kll import open_sketches
from edgewright.drift.merge import merge_reports
from edgewright.drift.reference import Reference
from edgewright.drift.report import LONGEST
from edgewright.drift.sums import MERGED_K, Sums
from edgewright.drift.survey import cap
from edgewright.monitor.sketch import K, Sketch


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return make_training(tmp_path_factory.mktemp("training"))


@pytest.fixture
def fleet(reference: Reference, tmp_path: Path) -> Fleet:
    return Fleet(reference, tmp_path)


def merged(fleet: Fleet, share: float = 0.5, processes: int = 1) -> facts.Fleet:
    reference = Reference.model_validate(fleet.reference)
    return merge_reports(fleet.reports, {reference.model: reference}, NOW, share, processes)


def ranks(group: facts.Group, feature: str, at: list[float]) -> list[float]:
    kll = group.features[feature].kll
    assert kll is not None
    return list(kll_floats_sketch.deserialize(base64.b64decode(kll)).get_cdf(at, True)[:-1])


def raw(values: np.ndarray) -> bytes:
    sketch = kll_floats_sketch(K)
    sketch.update(values.astype(np.float32))
    return sketch.serialize()


# ---- merging ----


@settings(max_examples=15)
@given(st.lists(st.integers(1, 3000), min_size=2, max_size=6))
def test_sums_are_the_same_in_any_order_and_as_one_sketch_of_all(sizes: list[int]) -> None:
    values = [np.random.default_rng(size).normal(size=size).astype(np.float32) for size in sizes]
    parts = []
    for some in values:
        sums, sketch = Sums(), Sketch()
        sketch.add(some)
        kept = sketch.to_json()
        sums.klls["x"] = kll_floats_sketch(MERGED_K)
        sums.klls["x"].merge(open_sketches([(kept["kll"], kept["n"])])[0])
        parts.append(sums)
    in_order, backwards, nested = Sums(), Sums(), Sums()
    for part in parts:
        in_order.join(part)
    for part in reversed(parts):
        backwards.join(part)
    for part in parts[1:]:
        nested.join(part)
    nested.join(parts[0])
    together = np.sort(np.concatenate(values))
    at = [-1.0, 0.0, 0.5]
    exact = np.searchsorted(together, np.float32(at), side="right") / len(together)
    for sums in (in_order, backwards, nested):
        kll = sums.klls["x"]
        assert kll.n == len(together)
        assert np.abs(np.array(kll.get_cdf(at, True)[:-1]) - exact).max() <= kll.normalized_rank_error(True)


def test_devices_and_slices_become_groups(fleet: Fleet) -> None:
    fleet.send_many(6, slice_name="eu")
    fleet.send_many(5, slice_name="us", change=shift_first(3))
    fleet.send_many(2, slice_name="test")
    fleet.send_many(6, slice_name="eu", days_ago=2)
    found = merged(fleet, share=0.25)
    assert found.refused == {}
    groups = {(group.slice, group.window): group for group in found.groups}
    assert set(groups) == {(None, "day"), (None, "week"), ("eu", "day"), ("eu", "week"), ("us", "day")}  # 2 of 'test': too few
    assert groups[None, "day"].devices == 13
    assert groups[None, "week"].samples == pytest.approx(1900)
    assert ranks(groups["us", "day"], "feature 0", [3.0])[0] == pytest.approx(0.5, abs=0.1)
    assert ranks(groups["eu", "week"], "feature 0", [0.0])[0] == pytest.approx(0.5, abs=0.1)


def test_several_processes_find_the_same(fleet: Fleet) -> None:
    fleet.send_many(4)
    edit(fleet.send("late"), end=NOW + 9 * HOUR)
    alone, together = merged(fleet), merged(fleet, processes=2)
    assert together.refused == alone.refused == {"from the future": 1}
    assert together.heads == alone.heads
    assert together.groups[0].classes == alone.groups[0].classes
    at = [-1.0, 0.0, 1.0]  # so few values are all in the sketch
    assert ranks(together.groups[0], "feature 0", at) == ranks(alone.groups[0], "feature 0", at)


def test_many_reports_in_one_file(fleet: Fleet) -> None:
    files = fleet.send_many(3)
    lines = [file.read_text() for file in files] + ["no report", "x" * (LONGEST + 5), files[0].read_text()]
    (fleet.reports / "all.jsonl").write_text("\n".join(lines))
    for file in files:
        file.unlink()
    found = merged(fleet)
    assert found.groups[0].devices == 3
    assert found.refused == {"not JSON": 1, "too long": 1, "duplicated": 1}
    assert found.examples["not JSON"][0].startswith("all.jsonl:4")


# ---- one device's share ----


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=40), st.sampled_from([0.05, 0.1, 0.3]))
def test_no_device_has_more_than_its_share(counts: list[float], share: float) -> None:
    most = cap(counts, share)
    counted = [min(count, most) for count in counts]
    if len(counts) * share >= 1:
        assert max(counted) <= share * sum(counted) * (1 + 1e-9)
        if max(counts) <= share * sum(counts):
            assert counted == pytest.approx(counts)  # nothing is taken away where nobody is too loud
    else:
        assert most == pytest.approx(np.median(counts))


def test_a_device_that_shouts_counts_no_more_than_its_share(fleet: Fleet) -> None:
    fleet.send_many(20, samples=50)
    fleet.send("loud", samples=20_000, change=shift_first(9))
    group = merged(fleet, share=0.1).groups[0]
    assert group.largest_share == pytest.approx(0.1)
    assert group.samples == pytest.approx(1000 / 0.9, rel=0.01)
    assert 1 - ranks(group, "feature 0", [4.5])[0] == pytest.approx(0.1, abs=0.01)


# ---- what is refused ----

Edit = Callable[[Path], Path]


def again(report: Path) -> Path:
    """The same report under another name."""
    copy = report.with_name("copy.json")
    copy.write_bytes(report.read_bytes())
    return copy


FAULTS: dict[str, tuple[Edit, str]] = {
    "an unknown model version": (lambda report: edit(report, model="cd" * 32), "unknown model"),
    "the future": (lambda report: edit(report, end=NOW + 2 * HOUR), "from the future"),
    "the end before the beginning": (lambda report: edit(report, start=NOW, end=NOW - HOUR), "period"),
    "the same report twice": (again, "duplicated"),
    "an old report under a new number": (lambda report: edit(again(report), sequence=NOW + 5), "replayed"),
    "NaN": (lambda report: edit_feature(report, "feature 0", n=float("nan")), "breaks the schema"),
    "a negative count": (lambda report: edit_feature(report, "feature 0", n=-1, missing=101), "breaks the schema"),
    "a huge count": (lambda report: edit(report, samples=10**12), "breaks the schema"),
    "more than the sketch holds": (lambda report: edit(edit_feature(report, "feature 0", n=9000), samples=9000), "counts"),
    "counts that do not add up": (lambda report: edit(report, classes=[100, 1, 0]), "counts"),
    "negative classes": (lambda report: edit(report, classes=[101, -1, 0]), "breaks the schema"),
    "a class too many": (lambda report: edit(report, classes=[0, 0, 0, 0]), "other classes"),
    "a feature too many": (
        lambda report: edit_feature(report, "x", n=0, missing=100, kll=None),
        "other features",
    ),
    "no features": (lambda report: edit(report, features={}), "other features"),
    "an unknown key": (lambda report: edit(report, admin=True), "breaks the schema"),
    "a device that is a path": (lambda report: edit(report, device="../../etc"), "breaks the schema"),
    "no sketch": (lambda report: edit_feature(report, "feature 0", kll="AAAA"), "broken sketch"),
    "a text for a sketch": (lambda report: edit_feature(report, "feature 0", kll="é" * 40), "broken sketch"),
    "infinite epsilon": (lambda report: edit(report, epsilon=float("inf")), "breaks the schema"),
    "sketches that say they are randomized": (lambda report: edit(report, epsilon=1.0), "other classes"),
    "no JSON": (lambda report: report.write_text('{"schema_version": 1') and report, "not JSON"),
    "nesting without end": (lambda report: report.write_text("[" * 100_000) and report, "not JSON"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_report_that_cannot_be_is_refused_and_all_others_count(fleet: Fleet, fault: str) -> None:
    files = fleet.send_many(3)
    change, reason = FAULTS[fault]
    change(files[0])
    found = merged(fleet)
    assert found.refused == {reason: 1}
    assert len(found.examples[reason][0]) < 300
    samples = found.groups[0].features["feature 0"].n
    assert samples == (300 if reason in ("duplicated", "replayed") else 200)


def test_a_device_with_an_epsilon_of_its_own_is_not_judged_alone(fleet: Fleet) -> None:
    fleet.send_many(3)
    fleet.send("odd", epsilon=0.5)
    found = merged(fleet)
    assert found.refused == {"odd epsilon": 1}
    assert [group.devices for group in found.groups] == [3]


def test_the_one_device_of_a_slice_that_reports_today_is_not_judged_alone(fleet: Fleet) -> None:
    for number in range(4):
        fleet.send(f"us-{number}", slice_name="us")
        fleet.send(f"eu-{number}", slice_name="eu", days_ago=0 if number == 0 else 2)
    groups = {(group.slice, group.window) for group in merged(fleet).groups}
    assert groups == {(None, "day"), (None, "week"), ("us", "day"), ("eu", "week")}


def test_what_a_stranger_wrote_gives_a_terminal_no_orders(fleet: Fleet) -> None:
    edit_feature(fleet.send("a"), "\x1b[2Jgone", n=-1, missing=0, kll=None)
    [example] = merged(fleet).examples["breaks the schema"]
    assert "gone" in example
    assert example.isprintable()


def test_reports_older_than_a_week_are_not_looked_at(fleet: Fleet) -> None:
    fleet.send("a", days_ago=8)
    fleet.send("b")
    found = merged(fleet)
    assert (found.old, len(found.heads)) == (1, 1)


SOUND = raw(np.random.default_rng(0).normal(size=1000))


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 30))
def test_a_sketch_with_any_bytes_changed_is_refused_or_still_sound(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(SOUND)
    for place, value in changes:
        data[place] = value
    text = base64.b64encode(bytes(data[: len(data) - cut])).decode()
    try:
        [sketch] = open_sketches([(text, 1000)])
    except ValueError:
        return
    into = kll_floats_sketch(MERGED_K)
    into.merge(sketch)
    quantiles = into.get_quantiles(np.linspace(0, 1, 21).tolist())
    assert into.n == 1000
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles) >= 0).all()


def test_every_size_of_sketch_is_read(reference: Reference) -> None:
    assert reference.model == MODEL
    for count in (1, 2, K - 1, K, K + 1, 1000, 50_000):
        data = base64.b64encode(raw(np.random.default_rng(count).normal(size=count))).decode()
        assert [sketch.n for sketch in open_sketches([(data, count)] * 2)] == [count] * 2
