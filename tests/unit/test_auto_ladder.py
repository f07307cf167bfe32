# SPDX-License-Identifier: Apache-2.0
"""`ladder: auto`: the order the field advises, and no rung that is known not to help."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.auto_ladder import Planned, Tried, cannot_help, missed_axes, plan
from edgewright.config.file_passes import Float16, PtqW8A8
from edgewright.config.model_passes import Distill, Prune, QatW8A8, Sparsify
from edgewright.framework import Framework
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.runtimes.null import NullRuntime
from edgewright.runtime import Runtime

STUDENTS = (("resnet8", {"width": 8}), ("resnet8", {"width": 4}))
AXES = st.frozensets(st.sampled_from(["size", "latency", "memory", "accuracy"]))


class Able(NullRuntime):
    """Executes int8 and float16 files, and takes models trained with their quantization."""

    takes_quantized = True
    channel_multiple = 8

    @property
    def passes(self):
        return {PtqW8A8: print, Float16: print}


class AbleFramework(PyTorch):
    @property
    def passes(self):
        return {Prune: print, Distill: print, QatW8A8: print, Sparsify: print}


def planned(runtime: Runtime | None = None, framework: Framework | None = None) -> tuple[Planned, ...]:
    return plan(runtime or Able(), framework or AbleFramework(), STUDENTS)


def names() -> list[str]:
    return [one.rung.name for one in planned()]


def climb(budget_missed: dict[str, set[str]]) -> tuple[list[str], dict[str, str]]:
    """Climb until a rung misses nothing; return what was tried, and what was left out with the reason."""
    tried: list[Tried] = []
    left_out: dict[str, str] = {}
    for one in planned():
        reason = cannot_help(one, tried, None, None)
        if reason:
            left_out[one.rung.name] = reason
            continue
        missed = budget_missed.get(one.rung.name, set())
        tried.append(Tried(one, frozenset(missed)))
        if not missed:
            break
    return [one.planned.rung.name for one in tried], left_out


def test_it_climbs_in_the_order_the_field_advises() -> None:
    assert names() == [
        "ptq_w8a8",
        "ptq_w8a8.auto.fallback",
        "qat_w8a8.distill",
        "fp16",
        "prune50-ptq_w8a8",
        "prune50-qat_w8a8.distill",
        "prune75-qat_w8a8.distill",
        "sparsify70-ptq_w8a8",
        "distill.resnet8_w8-qat_w8a8.distill",
        "distill.resnet8_w4-qat_w8a8.distill",
        "distill.resnet8_w8-prune50-qat_w8a8.distill",
    ]


def test_pruned_channels_are_the_multiple_the_runtime_wants() -> None:
    pruned = [step for one in planned() for step in one.rung.passes if isinstance(step, Prune)]
    assert {step.round_to for step in pruned} == {8}


def test_a_file_too_large_is_answered_by_pruning_and_not_by_keeping_more() -> None:
    tried, left_out = climb({"ptq_w8a8": {"size"}})
    assert tried == ["ptq_w8a8", "prune50-ptq_w8a8"]
    assert set(left_out) == {"ptq_w8a8.auto.fallback", "qat_w8a8.distill", "fp16"}
    assert left_out["fp16"] == "ptq_w8a8 missed the size budget, and fp16 needs no less"


def test_lost_accuracy_is_answered_by_keeping_more_and_not_by_pruning() -> None:
    tried, left_out = climb({name: {"accuracy"} for name in names()})
    assert tried == ["ptq_w8a8", "ptq_w8a8.auto.fallback", "qat_w8a8.distill", "fp16"]
    assert "keeps no more of it" in left_out["prune50-qat_w8a8.distill"]
    assert "keeps no more of it" in left_out["distill.resnet8_w8-qat_w8a8.distill"]


def test_what_pruning_loses_training_with_quantization_and_then_a_student_may_bring_back() -> None:
    missed = {name: {"size"} for name in names() if "prune" not in name and "distill.r" not in name}
    missed |= {"prune50-ptq_w8a8": {"accuracy"}, "prune50-qat_w8a8.distill": {"accuracy"}}
    tried, left_out = climb(missed)
    assert tried == ["ptq_w8a8", "prune50-ptq_w8a8", "prune50-qat_w8a8.distill", "distill.resnet8_w8-qat_w8a8.distill"]
    assert "prune75-qat_w8a8.distill" in left_out


def test_a_latency_miss_is_never_answered_by_unstructured_pruning() -> None:
    _, left_out = climb({name: {"latency"} for name in names()})
    assert "kernels are dense" in left_out["sparsify70-ptq_w8a8"]


def test_a_trade_that_nobody_asked_for_is_not_tried_again_in_the_same_format() -> None:
    first, fallback, trained, half, pruned, *_ = planned()
    tried = [Tried(first, frozenset(), worth_it=False)]
    assert "was not worth it" in str(cannot_help(trained, tried, None, None))
    assert [cannot_help(one, tried, None, None) for one in (fallback, half, pruned)] == [None, None, None]


def test_with_an_objective_only_what_can_be_better_is_tried() -> None:
    first, fallback, *_ = planned()
    prune = next(one for one in planned() if one.rung.name == "prune50-ptq_w8a8")
    tried = [Tried(first, frozenset())]
    assert cannot_help(fallback, tried, first, "size") == (
        "ptq_w8a8 meets the budget, and ptq_w8a8.auto.fallback cannot be better in size"
    )
    assert cannot_help(prune, tried, first, "size") is None


def test_what_runtime_or_framework_cannot_do_is_left_out_with_the_reason() -> None:
    never = {one.rung.name: one.never for one in planned(NullRuntime())}
    assert [name for name, reason in never.items() if not reason] == [
        "ptq_w8a8",
        "ptq_w8a8.auto.fallback",
        "fp16",
        "prune50-ptq_w8a8",
    ]
    assert never["qat_w8a8.distill"] == "null takes no models trained with quantization (qat_w8a8)"


@given(st.dictionaries(st.sampled_from(names()), AXES))
def test_a_rung_is_left_out_only_for_what_a_tried_rung_missed(missed: dict[str, frozenset[str]]) -> None:
    tried, left_out = climb({name: set(axes) for name, axes in missed.items()})
    assert tried[0] == "ptq_w8a8"
    for reason in left_out.values():
        assert "kernels are dense" in reason or any(reason.startswith(f"{name} missed") and missed.get(name) for name in tried)


@pytest.mark.parametrize("axis", ["size", "latency", "memory"])
def test_when_all_miss_a_capacity_the_smaller_families_are_all_tried(axis: str) -> None:
    tried, _ = climb({name: {axis} for name in names()})
    assert tried[0] == "ptq_w8a8"
    assert [name for name in tried if name.startswith("distill")] == [name for name in names() if name.startswith("distill")]


def test_rules_map_to_the_axis_of_the_budget_they_guard() -> None:
    assert missed_axes(["accuracy", "worst_class", "champion"]) == {"accuracy"}
    assert missed_axes(["size", "latency", "memory"]) == {"size", "latency", "memory"}
    assert missed_axes(["worth_it"]) == frozenset()
