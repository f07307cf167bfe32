# SPDX-License-Identifier: Apache-2.0
"""A release to two emulated processors: one file is written anew for the one on which 8-bit sums saturate."""

import json
from pathlib import Path

import arm_root
import onnx
from release_project import AFFINE, Project

MODEL = """
import torch
class Shifted(torch.nn.Linear):
    '''All logits shifted by the same sum over the pixels: no answer changes, and all weights are large and positive.'''
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        with torch.no_grad():
            self.weight += 1.0
def build(outputs):
    return torch.nn.Sequential(torch.nn.Flatten(), Shifted(64, outputs))
"""
PLACES = {"pi": "qemu-aarch64", "pc": "qemu-x86_64"}


def test_each_target_ends_with_a_file_that_is_right_there(tmp_path: Path) -> None:
    arm_root.prepare()
    (tmp_path / "shifted.py").write_text(MODEL, encoding="utf-8")
    targets = [{"name": name, "runtime": "onnxruntime", "device": device} for name, device in PLACES.items()]
    shifted = {"architecture": "shifted:build", "training": {"epochs": 20, "learning_rate": 0.01}}
    project = Project(tmp_path, AFFINE | {"model": shifted, "ladder": ["ptq_w8a8"], "targets": targets})
    project.write()
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 0, ended.output
    facts = json.loads((project.out / "release.json").read_text())
    for target, weights in zip(facts["targets"], ("INT8", "UINT8"), strict=True):
        [rung] = target["rungs"]
        taken = rung["validation"]["measurements"]
        assert taken["top1"]["evidence"] == "emulated"
        assert not [name for name in taken if "latency" in name or "memory" in name]
        assert rung["validation"]["parity"]["agreement"] > 0.95
        model = onnx.load(project.out / "artifacts" / target["name"] / "model.onnx")
        assert weights in {onnx.TensorProto.DataType.Name(one.data_type) for one in model.graph.initializer}
        assert ("against saturation" in rung["manifest"]["quantization"]) == (weights == "UINT8")
