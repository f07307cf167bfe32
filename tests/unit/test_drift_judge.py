# SPDX-License-Identifier: Apache-2.0
"""What counts as drift: real shifts are found and named, chance and small fleets are not called drift."""

import base64
from pathlib import Path

import numpy as np
import pytest
from datasketches import kll_floats_sketch
from drift_fleet import MODEL, NOW, Fleet, make_training, shift_first
from scipy.stats import ks_2samp

from edgewright.config.drift import DriftLevels
from edgewright.drift.compare import compare_numbers, compare_shares, picture_of
from edgewright.drift.facts import DriftFacts
from edgewright.drift.fleet import Merged
from edgewright.drift.judge import judge
from edgewright.drift.merge import merge_reports
from edgewright.drift.reference import Reference, describe, make_reference, read, write
from edgewright.drift.report import schema
from edgewright.errors import StoreError
from edgewright.monitor.features import are_logits, of_inputs, of_outputs

RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return make_training(tmp_path_factory.mktemp("training"))


@pytest.fixture
def fleet(reference: Reference, tmp_path: Path) -> Fleet:
    return Fleet(reference, tmp_path)


def judged(fleet: Fleet, reference: Reference, **levels: float) -> DriftFacts:
    references = {reference.model: reference}
    merged = merge_reports(fleet.reports, references, NOW, 0.05)
    return judge(merged, references, DriftLevels(**levels), (), "drift")  # type: ignore[arg-type]


def sketched(values: np.ndarray, missing: int = 0) -> Merged:
    kll = kll_floats_sketch(800)
    kll.update(values.astype(np.float32))
    return Merged(n=len(values), missing=missing, kll=base64.b64encode(kll.serialize()).decode())


# ---- distances ----


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
def test_distance_and_p_value_are_scipys_but_for_what_sketches_may_be_off_by(shift: float) -> None:
    trained, seen = RNG.normal(size=3000).astype(np.float32), (RNG.normal(size=700) + shift).astype(np.float32)
    found, exact = compare_numbers(describe(trained), sketched(seen)), ks_2samp(trained, seen, method="asymp")
    assert found.ks is not None
    assert found.ks == pytest.approx(exact.statistic, abs=1 / 256)
    assert found.size <= exact.statistic
    assert found.p_value >= exact.pvalue
    assert found.p_value < 1e-4 or shift < 0.5


def test_one_value_over_and_over_is_the_same_value() -> None:
    constant = np.full(500, 0.1, np.float32)
    assert compare_numbers(describe(constant), sketched(constant[:60])).size == 0
    moved = compare_numbers(describe(constant), sketched(constant[:60] + 1))
    assert moved.ks == 1
    half_zero = np.concatenate([np.zeros(500), RNG.normal(size=500) + 4])
    assert compare_numbers(describe(half_zero.astype(np.float32)), sketched(half_zero)).size == 0
    picture = picture_of(describe(constant), sketched(constant))
    assert sum(picture.reference) == pytest.approx(1)


def test_values_that_are_missing_now_are_a_difference() -> None:
    trained = RNG.normal(size=3000).astype(np.float32)
    found = compare_numbers(describe(trained), sketched(RNG.normal(size=700), missing=300))
    assert found.size == pytest.approx(0.3, abs=0.05)
    assert found.p_value < 1e-6
    nothing = compare_numbers(describe(trained), Merged(n=0, missing=100))
    assert nothing.ks == 1


def test_psi_of_a_shift_is_what_theory_says() -> None:
    # symmetric Kullback-Leibler divergence of two normals a standard deviation of 1 and 0.5 apart is 0.25; bins lose some
    found = compare_numbers(describe(RNG.normal(size=100_000).astype(np.float32)), sketched(RNG.normal(size=100_000) + 0.5))
    assert 0.21 < found.psi < 0.26
    assert 0.02 < found.js < 0.06


def test_classes_that_changed_and_classes_that_did_not() -> None:
    same = compare_shares([500, 300, 200, 3], [52, 29, 20, 0])
    assert (same.size, same.p_value > 0.5) == (0, True)
    other = compare_shares([500, 300, 200, 3], [20, 60, 20, 0])
    assert other.p_value < 1e-6
    assert other.size == pytest.approx(0.3, abs=0.1)


def test_randomized_answers_of_the_same_data_are_no_drift_and_sizes_are_of_the_data_behind() -> None:
    chance, epsilon, shares = np.random.default_rng(7), 1.0, np.array([0.4, 0.3, 0.2, 0.1])
    true = np.exp(epsilon) / (np.exp(epsilon) + 3)

    def told(answers: np.ndarray, count: int) -> list[int]:
        drawn = chance.choice(4, size=count, p=answers)
        lie = chance.random(count) > true
        drawn[lie] = (drawn[lie] + chance.integers(1, 4, lie.sum())) % 4
        return [int(one) for one in np.bincount(drawn, minlength=4)]

    same = compare_shares((shares * 5000).tolist(), told(shares, 20_000), epsilon)
    moved = compare_shares((shares * 5000).tolist(), told(shares[::-1], 20_000), epsilon)
    assert same.p_value > 0.01
    assert same.size < 0.03
    assert moved.p_value < 1e-9
    assert moved.size == pytest.approx(0.4, abs=0.06)


# ---- verdicts ----


def test_no_drift_in_a_fleet_that_sees_what_was_trained_on(fleet: Fleet, reference: Reference) -> None:
    fleet.send_many(20, samples=50)
    assert judged(fleet, reference).verdict == "none"


def test_a_shift_of_half_a_standard_deviation_is_drift_on_the_first_day(fleet: Fleet, reference: Reference) -> None:
    fleet.send_many(20, samples=50, change=shift_first(0.5))
    facts = judged(fleet, reference)
    assert facts.verdict == "drift"
    [group] = facts.groups
    assert group.features[0].name == "feature 0"
    assert {feature.name for feature in group.features if feature.verdict != "none"} <= {"feature 0", "classes"}


def test_what_is_real_and_small_is_watched(fleet: Fleet, reference: Reference) -> None:
    fleet.send_many(20, samples=600, change=shift_first(0.3))
    assert judged(fleet, reference, material=0.25).verdict == "watch"


def test_a_slice_drifts_alone(fleet: Fleet, reference: Reference) -> None:
    fleet.send_many(21, samples=30, slice_name="old")
    fleet.send_many(21, samples=60, slice_name="new", change=lambda x: x * np.float32(3))
    verdicts = {group.slice: group.verdict for group in judged(fleet, reference).groups}
    assert (verdicts["old"], verdicts["new"]) == ("none", "drift")


def test_one_device_alone_makes_no_drift(fleet: Fleet, reference: Reference) -> None:
    fleet.send_many(25, samples=60)
    fleet.send("loud", samples=50_000, change=shift_first(9))
    assert judged(fleet, reference).verdict != "drift"


def test_drift_is_seen_through_randomized_answers(fleet: Fleet, reference: Reference) -> None:
    fleet.send_many(20, samples=500, epsilon=4.0)
    assert judged(fleet, reference).verdict == "none"
    fleet.send_many(20, samples=500, epsilon=4.0, slice_name="b", change=lambda x: x + np.float32(1.5))
    verdicts = {group.slice: group.verdict for group in judged(fleet, reference).groups}
    assert verdicts["b"] == "drift"


# ---- references ----


def test_the_same_data_give_the_same_bytes_and_come_back(reference: Reference, tmp_path: Path) -> None:
    again = make_training(tmp_path)
    write(reference, tmp_path / "a.json")
    write(again, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read(tmp_path / "a.json") == reference
    assert (tmp_path / "a.json").stat().st_size < 5_000 * len(reference.features)


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 2}', "[" * 100_000])
def test_what_is_no_reference_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "reference.json").write_text(content)
    with pytest.raises(StoreError, match="no reference"):
        read(tmp_path)


def test_pictures_are_summarized_and_confidences_are_of_probabilities(tmp_path: Path) -> None:
    image = np.zeros((2, 4, 4), np.uint8)
    image[1] = 255
    values = of_inputs(image, ("mean", "standard deviation", "minimum", "maximum"))
    assert values["mean"].tolist() == [0, 255]
    logits = np.array([[0.0, 0.0], [5.0, -5.0]])
    assert are_logits(logits)
    assert not are_logits(np.array([[0.25, 0.75], [0.5, 0.502]]))
    confidence = of_outputs(logits, ("output top-1", "output margin", "output entropy"), logits=True)
    assert confidence["output top-1"] == pytest.approx([0.5, 1], abs=1e-3)
    assert confidence["output entropy"] == pytest.approx([np.log(2), 0], abs=1e-3)


def test_features_of_the_users_own_are_watched_too(tmp_path: Path) -> None:
    from edgewright.config import DataSpec
    from edgewright.data.load import load_dataset

    data = load_dataset(DataSpec(), "classification", 0, tmp_path / "digits")
    outputs = RNG.normal(size=(data.card.counts["test"], 10))
    brightness = {"ink": lambda images: (images > 8).mean(axis=(1, 2))}
    reference = make_reference(MODEL, "phone", data, outputs, brightness)
    assert reference.own == ("ink",)
    assert 0 < reference.features["ink"].quantiles[128] < 1


def test_the_schema_in_the_reference_is_current() -> None:
    import json

    file = Path(__file__).parents[2] / "docs" / "reference" / "drift-report.schema.json"
    written = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    assert file.read_text() == written, "python -m edgewright.drift.report > docs/reference/drift-report.schema.json"
