# SPDX-License-Identifier: Apache-2.0
"""What OpenVINO's passes do to a file: calibrations, layers kept in float, weights of fewer bits, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from openvino_files import INPUTS, RUNTIME, answers, apart, convert, convolutional, dense, export
from torch import nn

from edgewright.config.file_passes import DynamicW8, Float16, PtqW8A8, WeightOnlyW4
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.openvino import graph
from edgewright.integrations.runtimes.openvino.session import read


def test_entropy_spends_its_levels_on_the_usual_activations(tmp_path: Path) -> None:
    """One wild calibration sample stretches whole ranges."""
    torch.manual_seed(0)
    inputs = INPUTS.copy()
    inputs[0] *= 40
    parent = export(nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4), nn.Tanh()), inputs, tmp_path)
    errors = {}
    for each in ("minmax", "entropy"):
        errors[each] = apart(convert(PtqW8A8(calibration=each), parent, inputs)[0], parent, inputs[1:64])
    assert errors["entropy"] < errors["minmax"]


@pytest.mark.parametrize("calibration", ["percentile", "auto"])
def test_calibrations_leave_out_the_rare_activation(calibration: Any, tmp_path: Path) -> None:
    """One hidden unit in one sample of 512 is driven a hundred times as far as all others."""
    torch.manual_seed(0)
    model, inputs = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4)), np.tile(INPUTS, (4, 1))[:512]
    with torch.no_grad():
        model[0].weight[0], model[0].bias[0] = 0.0, -400.0
        model[0].weight[0, 0] = 100.0
    inputs[:, 0] = np.clip(inputs[:, 0], -3, 3)
    inputs[0, 0] = 5.0
    parent = export(model, inputs, tmp_path)
    usual = inputs[1:64]
    errors = {}
    for each in ("minmax", calibration):
        errors[each] = apart(convert(PtqW8A8(calibration=each), parent, inputs)[0], parent, usual)
    assert errors[calibration] < errors["minmax"] / 2


def test_inputs_are_never_clipped(tmp_path: Path) -> None:
    """Nor is what only has another shape: the wild sample comes through whole."""
    inputs = np.random.default_rng(2).normal(size=(400, 4, 8)).astype(np.float32)
    inputs[0, 0, 0] = 100.0
    model = nn.Sequential(nn.Flatten(), nn.Linear(32, 8, bias=False))
    with torch.no_grad():
        model[1].weight[:] = torch.eye(8, 32)
    parent = export(model, inputs, tmp_path)
    for calibration in ("entropy", "percentile"):
        out, _ = convert(PtqW8A8(calibration=calibration), parent, inputs)
        assert answers(out, inputs[:1])[0, 0] == pytest.approx(100.0, rel=0.01)


def ruined_weights(model: nn.Sequential) -> None:
    """Layer '2' has a huge weight in every row, for an input that is always 0: at 8 bits all its other weights vanish."""
    model[0].weight[5], model[0].bias[5] = 0.0, -1.0
    model[2].weight[:, 5] = 1e3


def outlier_channel(model: nn.Sequential) -> None:
    """What layer '2' takes has a channel of a constant 3000 that it does not read: at 8 bits the others vanish."""
    model[0].weight[5], model[0].bias[5] = 0.0, 3e3
    model[2].weight[:, 5] = 0.0


@pytest.mark.parametrize("ruin", [ruined_weights, outlier_channel])
def test_the_sensitive_layer_is_kept_in_float(ruin: Any, tmp_path: Path) -> None:
    model = dense()
    with torch.no_grad():
        ruin(model)
    parent = export(model, INPUTS, tmp_path)
    out, chosen = convert(PtqW8A8(fallback="float", fallback_agreement=0.9), parent, INPUTS)
    kept = chosen["kept_float"]
    assert kept[0] == "2"
    assert (
        len(kept) <= 2
    )  # OpenVINO 2026.4 at one thread answers wrongly with layer 2 alone in float: docs/reference/openvino.md
    assert next(iter(chosen["sensitivity"])) == "2"
    assert graph.stored_as(read(out), "i8", "u8") == [name for name in ("0", "2", "4", "6") if name not in kept]
    held_back = INPUTS[1::2]
    agreement = (answers(out, held_back).argmax(1) == answers(parent, held_back).argmax(1)).mean()
    assert agreement == chosen["reached"]["agreement"] >= 0.9


def test_sixteen_bits_to_fall_back_to_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no 16-bit activations") as refused:
        convert(PtqW8A8(fallback="int16"), export(dense(), INPUTS, tmp_path), INPUTS)
    assert "fallback: float" in refused.value.to_do


@pytest.mark.parametrize("options", [PtqW8A8(), DynamicW8(), WeightOnlyW4(), Float16()], ids=lambda options: options.name)
def test_a_model_without_weights_has_nothing_to_convert(options: Any, tmp_path: Path) -> None:
    class Sum(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.relu(inputs) + inputs

    parent = export(Sum(), INPUTS, tmp_path)
    with pytest.raises(ExportError) as refused:
        convert(options, parent, INPUTS)
    assert refused.value.where == str(parent)
    assert f"leave {options.name} out of this target's ladder" in refused.value.to_do


def test_dynamic_quantization_says_that_convolutions_stay_float(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(8, 3, 8, 8)).astype(np.float32)
    parent = export(convolutional(), images, tmp_path)
    out, chosen = convert(DynamicW8(), parent, images[:0])
    assert chosen == {"dynamic": ["7"], "stored_only": ["0", "3"]}
    assert apart(out, parent, images) < 0.02


def test_int4_has_blocks_as_long_as_asked_and_activations_stay_float(tmp_path: Path) -> None:
    """Shorter blocks have more scales: larger and more exact. Small matrices stay as they are."""
    parent = export(dense(), INPUTS, tmp_path)
    found = {}
    for block_size in (16, 64):
        out, chosen = convert(WeightOnlyW4(block_size=block_size), parent, INPUTS[:0], f"blocks{block_size}")
        assert chosen == {"block_size": block_size, "int4": ["0", "2", "4"] if block_size == 16 else ["2", "4"]}
        found[block_size] = out.with_suffix(".bin").stat().st_size
        compiled = RUNTIME.load(out, 1)._request.get_compiled_model()
        assert compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") == 0
        assert apart(out, parent, INPUTS) < 0.2
    assert max(found.values()) < parent.with_suffix(".bin").stat().st_size / 2


def test_int4_of_small_matrices_is_refused_by_name(tmp_path: Path) -> None:
    parent = export(convolutional(), np.ones((1, 3, 8, 8), np.float32), tmp_path)
    with pytest.raises(ExportError, match=r"\(1024 weights.*: 7 is 4 x 16, its 2 convolutions stay float"):
        convert(WeightOnlyW4(), parent, INPUTS[:0])
