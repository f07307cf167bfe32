# SPDX-License-Identifier: Apache-2.0
"""Each fault that needs no float model is found, sound outputs raise none, and what the float model does is no fault."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.artifact import TensorSpec
from edgewright.config.gate import ParityLimits
from edgewright.gate.sanity import sanity_findings
from edgewright.sanity import examine
from edgewright.validation import Sanity

FLOAT = TensorSpec(name="y", shape=(1, 10), dtype="float32")
INT8 = TensorSpec(name="y", shape=(1, 10), dtype="int8", scale=0.1, zero_point=5)
SOFTMAX = TensorSpec(name="y", shape=(1, 10), dtype="int8", scale=1 / 256, zero_point=-128)
IMAGE = TensorSpec(name="y", shape=(1, 4, 4, 1), dtype="float32")
INPUTS = np.random.default_rng(1).normal(size=(200, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(200) % 10


def logits(seed: int = 0) -> np.ndarray:
    """200 samples, right in most of them."""
    values = np.random.default_rng(seed).normal(0, 2, (200, 10)).astype(np.float32)
    values[np.arange(200), LABELS] += 4
    return values


def outcomes(sanity: Sanity, *, with_reference: bool = True) -> list[tuple[str, str]]:
    return [(one.outcome, one.reason) for one in sanity_findings(sanity, ParityLimits(), with_reference=with_reference)]


def refused(sanity: Sanity) -> str:
    [(outcome, reason)] = outcomes(sanity)
    assert outcome == "fail"
    return reason


@given(seed=st.integers(0, 2**20), scale=st.floats(1e-6, 1e6), offset=st.floats(-10, 10), reference=st.booleans())
@settings(max_examples=40, deadline=None)
def test_sound_outputs_raise_no_alarm_whatever_their_scale(seed: int, scale: float, offset: float, reference: bool) -> None:
    outputs = ((logits(seed) + offset) * scale).astype(np.float32)
    sanity = examine(outputs, INPUTS, FLOAT, "classification", outputs * 1.01 if reference else None, LABELS, 0.0)
    [(outcome, _)] = outcomes(sanity, with_reference=reference)
    assert outcome == "pass"


@given(value=st.floats(-1e6, 1e6, width=32))
@settings(max_examples=20, deadline=None)
def test_one_number_for_everything_is_a_dead_graph(value: float) -> None:
    dead = np.full((200, 10), value, np.float32)
    assert "one number" in refused(examine(dead, INPUTS, FLOAT, "classification", logits(), LABELS))


def test_the_same_outputs_for_all_samples_do_not_depend_on_the_input() -> None:
    still = np.tile(logits()[:1], (200, 1)) * (1 + 1e-7 * (np.arange(200, dtype=np.float32)[:, None] % 2))
    assert "do not depend on the input" in refused(examine(still, INPUTS, FLOAT, "regression", logits()))


def test_what_the_float_model_does_as_well_is_no_fault() -> None:
    still = np.tile(logits()[:1], (200, 1))
    assert outcomes(examine(still, INPUTS, FLOAT, "regression", still))[0][0] == "pass"
    assert outcomes(examine(INPUTS, INPUTS, IMAGE, "regression", INPUTS))[0][0] == "pass"


def test_the_same_sample_again_and_again_may_have_one_answer() -> None:
    again = np.tile(INPUTS[:1], (200, 1, 1, 1))
    assert not examine(np.tile(logits()[:1], (200, 1)), again, FLOAT, "regression", logits()).independent


@pytest.mark.parametrize("rounding", [0.0, 1 / 255])
def test_an_output_that_is_the_input_is_named_though_it_was_rounded(rounding: float) -> None:
    step = rounding * float(np.ptp(INPUTS))
    copied = np.round(INPUTS / step) * step if step else INPUTS
    reconstructed = INPUTS * 0.5
    found = examine(copied.reshape(200, -1).astype(np.float32), INPUTS, IMAGE, "regression", reconstructed)
    assert "The output is the input" in refused(found)


def test_a_reconstruction_without_error_is_the_input() -> None:
    scores = np.full(200, 1e-9, np.float32)
    scores[0] = 0
    assert examine(scores, INPUTS, IMAGE, "anomaly").equals_input
    assert not examine(scores + 0.3, INPUTS, IMAGE, "anomaly").equals_input


@pytest.mark.parametrize("with_float_model", [True, False])
def test_one_class_for_everything_is_a_collapse(with_float_model: bool) -> None:
    collapsed = logits()
    collapsed[:, 7] += 50
    found = examine(collapsed, INPUTS, FLOAT, "classification", logits() if with_float_model else None, LABELS)
    assert "names class 7 in 100.0 % of 200 samples" in refused(found)


def test_one_class_for_everything_is_right_where_nearly_everything_is_of_it() -> None:
    outputs = logits()
    outputs[:, 7] += 50
    rare = np.where(np.arange(200) < 190, 7, 1)
    assert outcomes(examine(outputs, INPUTS, FLOAT, "classification", None, rare))[0][0] == "pass"


def test_a_handful_of_samples_may_be_of_one_class() -> None:
    outputs = logits()[:10]
    outputs[:, 7] += 50
    found = examine(outputs, INPUTS[:10], FLOAT, "classification", None, LABELS[:10])
    assert outcomes(found)[0][0] == "pass"


def test_an_answer_that_changes_when_it_is_asked_for_again_is_state() -> None:
    found = examine(logits(), INPUTS, FLOAT, "classification", logits(), LABELS, 0.4)
    assert "carries state" in refused(found)
    rounded = examine(logits(), INPUTS, FLOAT, "classification", logits(), LABELS, 1e-6)
    assert outcomes(rounded)[0][0] == "pass"


def test_clipped_outputs_without_a_float_model_cannot_be_decided() -> None:
    clipped = np.clip(logits() * 4, -13.3, 12.2)
    found = examine(clipped, INPUTS, INT8, "classification", None, LABELS)
    assert found.at_range_ends == pytest.approx(np.mean(np.abs(clipped) >= 12.2), abs=0.05)
    [(outcome, reason)] = outcomes(found, with_reference=False)
    assert outcome == "inconclusive"
    assert "give --reference" in reason
    assert outcomes(found)[0][0] == "pass"  # parity judges it, against the float model


def test_a_softmax_ends_where_its_range_ends() -> None:
    raised = np.exp(logits() * 4)
    shares = raised / raised.sum(axis=1, keepdims=True)
    stored = np.clip(np.round(shares * 256 - 128), -128, 127)
    found = examine(((stored + 128) / 256).astype(np.float32), INPUTS, SOFTMAX, "classification", None, LABELS)
    assert found.at_range_ends == 0
