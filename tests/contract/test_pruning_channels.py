# SPDX-License-Identifier: Apache-2.0
"""Which channels go together, which go first, and which models have none that could."""

import copy
from typing import Any

import pytest
import torch
from own_prunable_models import IMAGE, OWN, WINDOW, untrained
from torch import nn

from edgewright.config import ModelSpec
from edgewright.config.model_passes import Prune
from edgewright.errors import ModelError
from edgewright.integrations.frameworks.pytorch.passes import prune as prune_pass
from edgewright.integrations.frameworks.pytorch.passes.groups import cut, floors, parts, ranked, rounded
from edgewright.integrations.frameworks.pytorch.passes.prune import check_prune
from edgewright.integrations.frameworks.pytorch.structure import count_macs, count_parameters, describe, rebuild


@pytest.fixture(scope="module", autouse=True)
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A module of the user's own, in the working folder."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_prunable.py").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def l1(model: nn.Module) -> Any:
    del model
    return prune_pass._magnitude()


ALL = [
    ("resnet8", IMAGE), ("resnet20", IMAGE), ("ds_cnn", IMAGE), ("mlp", IMAGE), ("cnn1d", WINDOW),
    ("joined", IMAGE), ("scaled", IMAGE),
    ("over_time", WINDOW), ("normed", IMAGE), ("ends_in_convolution", IMAGE), ("up_and_down", IMAGE), ("frozen", IMAGE),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "sample"), [case for case in ALL if case[0] not in ("scaled",)])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_without_channels_a_model_answers_as_with_those_channels_switched_off(
    architecture: str, sample: tuple[int, ...], share: float
) -> None:
    model = untrained(architecture, sample)
    order = ranked(model, sample, l1(model), floors(model))
    units = order[: max(1, round(share * len(order)))]
    smaller = cut(model, sample, units)
    silenced, inputs = copy.deepcopy(model), torch.randn(4, *sample)
    for part in parts(silenced, sample, units):
        if part.consumes:
            part.weight.index_fill_(part.axis, part.positions, 0)
    if architecture not in ("normed", "ends_in_convolution"):  # layer and group normalization see that channels are gone
        torch.testing.assert_close(smaller(inputs), silenced(inputs), rtol=1e-4, atol=1e-4)
    assert count_parameters(smaller) < count_parameters(model)
    assert smaller(inputs).shape == (4, 10)


@pytest.mark.parametrize(("architecture", "sample"), ALL)
def test_a_cut_model_is_described_and_built_again(architecture: str, sample: tuple[int, ...]) -> None:
    model = untrained(architecture, sample)
    order = ranked(model, sample, l1(model), floors(model))
    if architecture == "scaled":  # its channels are scaled by a parameter that belongs to no layer
        assert not order
        return
    smaller = cut(model, sample, order[: len(order) // 2])
    again = rebuild(untrained(architecture, sample), describe(smaller, untrained(architecture, sample))).eval()
    again.load_state_dict(smaller.state_dict())
    inputs = torch.randn(2, *sample)
    torch.testing.assert_close(again(inputs), smaller(inputs), rtol=0, atol=0)
    assert [parameter.requires_grad for parameter in again.parameters()] == [
        parameter.requires_grad for parameter in smaller.parameters()
    ]


def test_every_layer_keeps_a_tenth_of_its_channels_and_grouped_layers_keep_their_groups() -> None:
    model = untrained("joined")
    smaller = cut(model, IMAGE, ranked(model, IMAGE, l1(model), floors(model)))
    left, deep = smaller.get_submodule("left.0"), smaller.get_submodule("deep.0")
    assert isinstance(left, nn.Conv2d)
    assert isinstance(deep, nn.Conv2d)
    assert (left.groups, left.in_channels, left.out_channels) == (4, 4, 4)
    assert deep.groups == deep.in_channels == deep.out_channels == 4 + 1
    narrowest = {name: min(layer.weight.shape[:2]) for name, layer in smaller.named_modules() if isinstance(layer, nn.Conv2d)}
    assert all(narrowest.values())
    assert smaller.get_submodule("head").weight.shape == (10, 4)


def test_channels_left_are_a_multiple_where_the_hardware_wants_it() -> None:
    model = untrained("resnet8")
    order = ranked(model, IMAGE, l1(model), floors(model))
    for count in (len(order) // 3, len(order)):
        smaller = cut(model, IMAGE, rounded(order[:count], 8))
        widths = [layer.out_channels for layer in smaller.modules() if isinstance(layer, nn.Conv2d)]
        assert all(width % 8 == 0 for width in widths)
    assert count_macs(smaller, IMAGE) < count_macs(model, IMAGE)


def test_channels_that_matter_least_go_first() -> None:
    model = untrained("mlp")
    with torch.no_grad():
        model.get_parameter("1.weight")[5] *= 1e-3
        model.get_parameter("1.bias")[5] = 0
        model.get_parameter("4.weight")[:, 5] *= 1e-3
    first = ranked(model, IMAGE, l1(model), floors(model))[0]
    assert (first.root, first.channels) == ("1", (5,))


def checked(architecture: str, **step: Any) -> None:
    check_prune(Prune.model_validate(step), ModelSpec(architecture=architecture), IMAGE, 10)


@pytest.mark.parametrize(
    ("architecture", "step", "says"),
    [
        ("resnet8", {"ratio": 0.999}, r"at most 9\d\.\d % of the multiply-acc.*99\.9 %.*recipe prune99_9.*at most 0\.9\d"),
        ("mlp", {"ratio": 0.8, "of": "params", "round_to": 32}, r"of the parameters.*prune80\.params.*or a smaller round_to"),
        ("own_prunable:hard_coded", {}, r"(?i)does not run with fewer channels: RuntimeError.*x\.flatten\(1\)"),
        ("own_prunable:hard_coded", {"of": "latency"}, "does not run with fewer channels"),
        ("own_prunable:shuffled", {}, "pruning does not follow|does not run with fewer channels"),
        ("own_prunable:shuffled_last", {}, "combines channels in a way that pruning does not follow"),
        ("own_prunable:single", {}, "no layer has channels that could go.*recipe prune50"),
        ("own_prunable:scaled", {}, "no layer has channels that could go"),
    ],
)
def test_what_cannot_be_pruned_is_refused_before_training(architecture: str, step: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=f"(?s){says}"):
        checked(architecture, **step)
