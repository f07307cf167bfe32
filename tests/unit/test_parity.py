# SPDX-License-Identifier: Apache-2.0
"""Each way an exported file can differ from its float model shows in the number that names its cause."""

import numpy as np
import pytest

from edgewright.artifact import TensorSpec
from edgewright.errors import ExportError
from edgewright.parity import compare_outputs
from edgewright.runtime import dequantize_output, quantize_input

FLOAT = TensorSpec(name="y", shape=(1, 10), dtype="float32")
INT8 = TensorSpec(name="y", shape=(1, 10), dtype="int8", scale=0.1, zero_point=5)
FLOAT_BEHIND_INT8 = TensorSpec(name="y", shape=(1, 10), dtype="float32", lsb=0.1)
CLASSES = "classification"


@pytest.fixture
def logits() -> np.ndarray:
    """400 samples, 10 classes; no value beyond what INT8 can hold (-13.3 … 12.2)."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 2, (400, 10))
    values[np.arange(400), rng.integers(0, 10, 400)] += 5
    return np.clip(values, -12, 12).astype(np.float32)


def through(spec: TensorSpec, values: np.ndarray) -> np.ndarray:
    """What a file with this output would answer."""
    return dequantize_output(quantize_input(values, spec), spec)


def test_a_faithful_int8_file_raises_no_suspicion(logits: np.ndarray) -> None:
    parity = compare_outputs(through(INT8, logits), logits, CLASSES, INT8)
    assert parity.n == 400
    assert parity.agreement is not None
    assert parity.agreement > 0.97
    assert parity.worst_difference_lsb is not None
    assert parity.worst_difference_lsb <= 0.51  # rounding, and nothing else
    assert parity.saturation == 0
    assert parity.gain == pytest.approx(1, abs=0.01)
    assert parity.constant_outputs == ()
    assert parity.not_finite == 0
    assert parity.permutation is None


def test_float_outputs_have_no_quantization_step(logits: np.ndarray) -> None:
    parity = compare_outputs(logits, logits, CLASSES, FLOAT)
    assert (parity.worst_difference, parity.worst_difference_lsb, parity.agreement) == (0, None, 1)
    assert parity.relative_difference == 0


def test_clipped_outputs_are_saturation(logits: np.ndarray) -> None:
    narrow = INT8.model_copy(update={"scale": 0.02, "zero_point": 0})  # holds -2.56 … 2.54
    parity = compare_outputs(through(narrow, logits), logits, CLASSES, narrow)
    beyond = np.mean((logits < -2.56 - 0.02) | (logits > 2.54 + 0.02))
    assert parity.saturation == pytest.approx(beyond, abs=1e-3)
    assert beyond > 0.1


def test_clipping_shows_behind_float_outputs_too(logits: np.ndarray) -> None:
    step = np.float32(0.1)
    clipped = (np.clip(np.round(logits / step), -40, 40) * step).astype(np.float32)
    parity = compare_outputs(clipped, logits, CLASSES, FLOAT_BEHIND_INT8)
    assert parity.saturation == pytest.approx(np.mean(np.abs(logits) > 4.1), abs=2e-3)


def test_the_single_largest_value_of_a_sound_file_is_not_saturation(logits: np.ndarray) -> None:
    step = np.float32(0.1)
    sound = (np.round(logits / step) * step).astype(np.float32)
    sound.reshape(-1)[logits.argmax()] -= 3 * step
    assert compare_outputs(sound, logits, CLASSES, FLOAT_BEHIND_INT8).saturation == 0


def test_values_at_the_end_of_the_range_that_belong_there_are_not_saturation(logits: np.ndarray) -> None:
    exact = np.clip(logits, -2.56, 2.54)
    narrow = INT8.model_copy(update={"scale": 0.02, "zero_point": 0})
    assert compare_outputs(through(narrow, exact), exact, CLASSES, narrow).saturation == 0


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_scale_is_the_gain(logits: np.ndarray, factor: float) -> None:
    parity = compare_outputs(logits * np.float32(factor), logits, CLASSES, FLOAT)
    assert parity.gain == pytest.approx(factor, rel=1e-5)
    assert parity.correlation == pytest.approx(1)
    assert parity.agreement == 1  # top-1 alone would not have seen it


def test_a_dead_output_is_named(logits: np.ndarray) -> None:
    dead = logits.copy()
    dead[:, 3] = 1.5
    assert compare_outputs(dead, logits, CLASSES, FLOAT).constant_outputs == (3,)


def test_a_graph_that_ignores_its_input_has_only_constant_outputs(logits: np.ndarray) -> None:
    parity = compare_outputs(np.tile(logits[:1], (400, 1)), logits, CLASSES, INT8)
    assert parity.constant_outputs == tuple(range(10))
    assert parity.permutation is None


def test_an_output_that_hardly_moves_may_round_to_a_constant(logits: np.ndarray) -> None:
    logits[:, 3] = 0.02 * np.sin(np.arange(400))  # one fifth of a step
    assert compare_outputs(through(INT8, logits), logits, CLASSES, INT8).constant_outputs == ()


def test_permuted_labels_are_named_with_their_order(logits: np.ndarray) -> None:
    order = (2, 0, 1, 3, 4, 9, 8, 7, 6, 5)
    parity = compare_outputs(through(INT8, logits[:, order]), logits, CLASSES, INT8)
    assert parity.permutation == order
    assert parity.agreement is not None
    assert parity.agreement < 0.5


def test_two_swapped_classes_are_named() -> None:
    values = np.random.default_rng(1).normal(0, 2, (50, 2)).astype(np.float32)
    assert compare_outputs(values[:, ::-1], values, CLASSES, FLOAT).permutation == (1, 0)


def test_unrelated_outputs_are_no_permutation(logits: np.ndarray) -> None:
    noise = np.random.default_rng(2).normal(0, 2, logits.shape).astype(np.float32)
    parity = compare_outputs(noise, logits, CLASSES, FLOAT)
    assert parity.permutation is None
    assert parity.correlation == pytest.approx(0, abs=0.1)


def test_numbers_that_are_none_are_counted_and_kept_out_of_the_rest(logits: np.ndarray) -> None:
    broken = logits.copy()
    broken[0, 0], broken[1, 1] = np.nan, np.inf
    parity = compare_outputs(broken, logits, CLASSES, FLOAT)
    assert (parity.not_finite, parity.worst_difference, parity.agreement) == (2, 0, 1)


def test_nothing_finite_is_infinitely_far_away(logits: np.ndarray) -> None:
    parity = compare_outputs(np.full_like(logits, np.nan), logits, CLASSES, FLOAT)
    assert parity.not_finite == logits.size
    assert parity.worst_difference == np.inf
    assert parity.agreement == 0
    assert (parity.gain, parity.correlation) == (None, None)


def test_anomaly_scores_have_no_classes_and_no_steps() -> None:
    scores = np.random.default_rng(3).exponential(1, 100).astype(np.float32)
    reconstruction = TensorSpec(name="y", shape=(1, 8, 8, 1), dtype="int8", scale=0.1)
    parity = compare_outputs(scores * np.float32(1.01), scores, "anomaly", reconstruction)
    assert (parity.agreement, parity.worst_difference_lsb, parity.saturation) == (None, None, 0)
    assert parity.gain == pytest.approx(1.01, rel=1e-4)


def test_regression_has_no_top_1(logits: np.ndarray) -> None:
    parity = compare_outputs(through(INT8, logits), logits, "regression", INT8)
    assert (parity.agreement, parity.permutation) == (None, None)


def test_outputs_of_another_shape_are_refused(logits: np.ndarray) -> None:
    with pytest.raises(ExportError, match=r"\(400, 9\).*\(400, 10\)"):
        compare_outputs(logits[:, :9], logits, CLASSES, FLOAT)
