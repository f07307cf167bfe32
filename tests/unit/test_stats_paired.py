# SPDX-License-Identifier: Apache-2.0
"""Paired differences of every kind of metric: sign, level, bounds that agree with p-values, refusals."""

import numpy as np
import pytest
from scipy.stats import beta, ttest_rel
from sklearn.metrics import f1_score, roc_auc_score

from edgewright.errors import DataError
from edgewright.metrics import METRICS, Metric
from edgewright.stats.paired import PairedMean, PairedProportions, compare
from edgewright.stats.resample import _WEIGHTED, resampled
from edgewright.stats.score import metric_measurement

LEVELS = (0.05, 0.025, 0.00625)


def classification(n=300, classes=4, spoiled=0, seed=0):
    """Labels, logits of a good model, and the same logits with the first ``spoiled`` right answers turned wrong."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, n)
    outputs = generator.normal(size=(n, classes)).astype(np.float32)
    outputs[np.arange(n), labels] += 3
    worse = outputs.copy()
    right = np.flatnonzero(outputs.argmax(axis=1) == labels)[:spoiled]
    worse[right] *= -1
    return labels, outputs, worse


def test_top1_counts_gains_and_losses():
    labels = np.array([0, 0, 1, 1])
    baseline = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    artifact = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    difference = compare(METRICS["top1"], labels, baseline, artifact, seed=0)
    assert isinstance(difference, PairedProportions)
    assert (difference.gains, difference.losses, difference.value) == (1, 2, -0.25)


def test_mae_is_the_t_test_with_positive_for_better():
    generator = np.random.default_rng(0)
    labels = generator.normal(size=(80, 2))
    baseline, artifact = labels + generator.normal(size=(80, 2)), labels + 1.1 * generator.normal(size=(80, 2))
    difference = compare(METRICS["mae"], labels, baseline, artifact, seed=0)
    errors = [np.abs(outputs - labels).mean(axis=1) for outputs in (baseline, artifact)]
    expected = ttest_rel(errors[0], errors[1])
    assert difference.value == pytest.approx(errors[0].mean() - errors[1].mean())
    assert difference.interval(0.95) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert difference.p_value(0.0) == pytest.approx(ttest_rel(errors[0], errors[1], alternative="greater").pvalue)


def test_mae_asks_for_a_number_with_the_power_promised():
    generator = np.random.default_rng(1)
    seen = generator.normal(size=500)
    needed = PairedMean(METRICS["mae"], seen / seen.std(ddof=1)).samples_needed(0.3, 0.05, 0.8)
    assert needed == 71  # one-sided t-test, effect 0.3, level 5 %, power 80 %: 70.07 in G*Power and statsmodels
    p_values = [PairedMean(METRICS["mae"], generator.normal(size=needed)).p_value(0.3) for _ in range(2000)]
    assert np.mean(np.array(p_values) <= 0.05) >= 0.78


def test_identical_outputs_of_a_regression_pass_any_margin_and_no_other():
    same = PairedMean(METRICS["mae"], np.zeros(20))
    assert (same.p_value(0.01), same.p_value(0.0), same.lower(0.05)) == (0.0, 1.0, 0.0)
    assert same.samples_needed(0.01, 0.05, 0.8) == 2


@pytest.mark.parametrize("name", ["macro_f1", "auc"])
@pytest.mark.parametrize("classes", [2, 4])
def test_weighted_metrics_are_the_library_s_own(name, classes):
    labels, outputs, _ = classification(n=120, classes=classes)
    outputs = np.round(outputs, 1)  # ties
    weights = np.random.default_rng(2).standard_exponential((3, 120))
    if name == "macro_f1":
        expected = [f1_score(labels, outputs.argmax(axis=1), average="macro", sample_weight=row) for row in weights]
    else:
        scores = np.exp(outputs.astype(float)) / np.exp(outputs.astype(float)).sum(axis=1, keepdims=True)
        one = [[roc_auc_score(labels == k, scores[:, k], sample_weight=row) for k in range(classes)] for row in weights]
        expected = np.mean(one, axis=1)
    assert _WEIGHTED[name](labels, outputs, weights) == pytest.approx(np.array(expected), abs=1e-6)


@pytest.mark.parametrize("name", ["macro_f1", "auc", "top1"])
def test_bounds_and_p_values_give_one_answer(name):
    labels, outputs, worse = classification(spoiled=4)
    difference = compare(METRICS[name], labels, outputs, worse, seed=0)
    assert difference.value < 0
    for level in LEVELS:
        lower, upper = difference.lower(level), difference.upper(level)
        assert lower < difference.value < upper
        assert difference.p_value(-lower + 1e-6) <= level < difference.p_value(-lower - 1e-6)


@pytest.mark.parametrize("name", ["macro_f1", "auc"])
def test_the_same_seed_gives_the_same_bounds(name):
    labels, outputs, worse = classification(n=100, spoiled=2)
    first, again = (compare(METRICS[name], labels, outputs, worse, seed=7).lower(0.05) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("name", ["macro_f1", "auc", "top1"])
def test_agreement_on_few_samples_proves_nothing(name):
    """A plain bootstrap of identical outputs claims certainty after any number of samples."""
    labels, outputs, _ = classification(n=60)
    same = compare(METRICS[name], labels, outputs, outputs, seed=0)
    assert same.value == 0
    assert same.p_value(0.02) > 0.05
    assert same.samples_needed(0.02, 0.05, 0.8) > 60


def test_a_loss_never_seen_has_the_exact_binomial_bound():
    """Accuracy through the resampling test: the made-up loss gives Clopper and Pearson's limit."""
    labels, outputs, _ = classification(n=150, classes=2)
    outputs[np.arange(150), labels] += 100
    accuracy = Metric("macro_f1", ("classification",), True, "fraction", METRICS["macro_f1"].score)
    lower = compare(
        accuracy, np.sort(labels), outputs[np.argsort(labels, kind="stable")], outputs[np.argsort(labels, kind="stable")], 0
    )
    assert lower.lower(0.05) == pytest.approx(-beta.ppf(0.95, 1, 150), rel=0.15)


def share_right(labels, outputs):
    return float(np.mean(outputs.argmax(axis=1) == labels))


def share_wrong(labels, outputs):
    return 1 - share_right(labels, outputs)


def test_a_metric_of_the_user_s_own_is_judged_like_a_built_in_one():
    labels, outputs, worse = classification(n=200, spoiled=3)
    own = compare(Metric("own", ("classification",), True, "", share_right), labels, outputs, worse, seed=0)
    flipped = compare(Metric("own", ("classification",), False, "", share_wrong), labels, outputs, worse, seed=0)
    exact = compare(METRICS["top1"], labels, outputs, worse, seed=0)
    assert own.value == pytest.approx(exact.value)
    assert own.lower(0.05) == pytest.approx(exact.lower(0.05), abs=0.005)
    assert flipped.lower(0.05) == pytest.approx(own.lower(0.05))


@pytest.mark.parametrize(("name", "classes", "runs"), [("macro_f1", 4, 200), ("auc", 2, 100)])
def test_a_loss_of_the_margin_is_passed_at_most_one_time_in_twenty(name, classes, runs):
    score = METRICS[name].score
    labels, outputs, _ = classification(n=50_000, classes=classes, seed=3)
    generator = np.random.default_rng(4)
    worse = np.where(generator.random(50_000)[:, None] < 0.02, -outputs, outputs)
    margin = score(labels, outputs) - score(labels, worse)
    passed = 0
    for run in range(runs):
        chosen = generator.integers(0, 50_000, 200)
        difference = compare(METRICS[name], labels[chosen], outputs[chosen], worse[chosen], run)
        passed += difference.p_value(margin) <= 0.05
    assert passed / runs <= 0.05


def test_auc_takes_anomaly_scores():
    generator = np.random.default_rng(5)
    labels = (generator.random(200) < 0.2).astype(np.int64)
    scores = labels + generator.normal(size=200)
    difference = compare(METRICS["auc"], labels, scores, scores + 0.05 * generator.normal(size=200), seed=0)
    assert difference.lower(0.05) < difference.value < difference.upper(0.05)


@pytest.mark.parametrize(
    ("artifact", "said"),
    [(np.zeros((3, 2)), "4 labels, 4 baseline, 3 artifact"), (np.full((4, 2), np.nan), "the artifact's outputs hold NaN")],
)
def test_what_cannot_be_compared_is_refused(artifact, said):
    with pytest.raises(DataError, match=said):
        compare(METRICS["top1"], np.zeros(4, int), np.zeros((4, 2)), artifact, seed=0)


@pytest.mark.parametrize("name", ["top1", "macro_f1", "auc"])
def test_a_metric_is_measured_with_an_interval(name):
    labels, outputs, _ = classification(n=200)
    measurement = metric_measurement(METRICS[name], labels, outputs, 0, "measured")
    assert measurement.low < measurement.value < measurement.high
    assert (measurement.n, measurement.confidence, measurement.unit) == (200, 0.95, "fraction")


def test_resamples_of_a_mean_have_its_standard_error():
    generator = np.random.default_rng(6)
    labels, outputs = np.zeros((400, 1)), generator.normal(size=(400, 1))
    spread = resampled(METRICS["mae"], labels, [outputs], 0).std()
    assert spread == pytest.approx(np.abs(outputs).std() / 20, rel=0.1)
