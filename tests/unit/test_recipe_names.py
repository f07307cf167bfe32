# SPDX-License-Identifier: Apache-2.0
"""Recipe names decode to passes and back; recipes that contradict themselves are refused in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgewright.config.recipe import PASSES, Rung

PERCENT = st.integers(1, 99).map(str)
MODEL = st.one_of(
    st.builds(
        "prune{}{}{}".format,
        PERCENT,
        st.sampled_from(["", ".params", ".latency"]),
        st.sampled_from(["", ".taylor", ".group_sparsity"]),
    ),
    st.builds("decompose{}{}".format, PERCENT, st.sampled_from(["", ".cp"])),
    st.just("decompose.energy90"),
    st.builds("distill.self{}".format, st.sampled_from(["", ".dkd", ".hint", ".dkd.ensemble3"])),
)
SPARSE = st.one_of(st.builds("sparsify{}".format, PERCENT), st.just("sparsify.2of4"))
STUDENT = st.builds("distill.{}_w{}".format, st.sampled_from(["resnet8", "ds_cnn", "cnn1d"]), st.integers(1, 256))
LAST = st.one_of(
    st.builds(
        "ptq_w8a8{}{}".format,
        st.sampled_from(["", ".entropy", ".percentile", ".auto"]),
        st.sampled_from(["", ".fallback", ".fallback16"]),
    ),
    st.sampled_from(
        [
            "ptq_w8a16",
            "dynamic_w8",
            "wo_w8",
            "wo_w4",
            "palettize6",
            "fp16",
            "qat_w8a8",
            "qat_w8a8.distill",
            "cluster16-ptq_w8a8",
        ]
    ),
)


@given(st.lists(STUDENT, max_size=1), st.lists(MODEL, max_size=3), st.lists(SPARSE, max_size=1), LAST)
def test_a_name_decodes_to_passes_that_have_this_name(
    first: list[str], middle: list[str], sparse: list[str], last: str
) -> None:
    name = "-".join([*first, *middle, *sparse, last])
    assert Rung.of(name).name == name


@given(st.lists(STUDENT, max_size=1), st.lists(MODEL, max_size=3), st.lists(SPARSE, max_size=1), LAST)
def test_a_rung_survives_the_way_through_json(first: list[str], middle: list[str], sparse: list[str], last: str) -> None:
    rung = Rung.of("-".join([*first, *middle, *sparse, last]))
    assert Rung.model_validate_json(rung.model_dump_json()) == rung
    assert Rung.model_validate(rung.model_dump(mode="json", exclude_unset=True)) == rung


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("qat_w8a8-ptq_w8a8", "has to be the last pass"),
        ("ptq_w8a8-prune50", "works on the model and cannot follow ptq_w8a8"),
        ("fp16-ptq_w8a8", "a file is converted once"),
        ("prune50-distill.ds_cnn", "starts a new student"),
        ("cluster16-prune50", "would move the weights apart again: put prune50 before cluster16"),
        ("cluster16-qat_w8a8", "write ptq_w8a8 in its place"),
        ("sparsify70-decompose50", "would lose its zeros, since factors are dense: put decompose50 before sparsify70"),
        ("sparsify70-distill.self-decompose50", "put decompose50 before sparsify70"),
        ("sparsify.2of4-prune50", "breaks the pattern: put prune50 before sparsify.2of4"),
        ("sparsify.4of4", "keeps every weight"),
        ("prune100", "not a percentage between 1 and 99"),
        ("prune0", "not a percentage between 1 and 99"),
        ("prune50.entropy", "has no option 'entropy'; valid: group_sparsity, latency, params, taylor"),
        ("ptq_w8a8.entrpy", "did you mean 'entropy'?"),
        ("ptqw8a8", "did you mean 'ptq_w8a8'?"),
        ("fp1650", "takes no number"),
        ("", "no pass is called ''"),
    ],
)
def test_a_wrong_recipe_is_refused_in_words(name: str, words: str) -> None:
    with pytest.raises((ValueError, ValidationError), match=words.replace("?", "\\?")):
        Rung.of(name)


def test_every_pass_says_what_it_acts_on_and_what_it_improves() -> None:
    for kind, config in PASSES.items():
        assert config.acts_on in ("model", "file"), kind
        assert config.improves <= {"size", "latency", "memory", "accuracy"}, kind
