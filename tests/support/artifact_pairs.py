# SPDX-License-Identifier: Apache-2.0
"""What is true of every float artifact and of the int8 artifact that was made of it with 16 samples."""

from edgewright.artifact import Artifact, Candidate
from edgewright.data.dataset import Dataset


def assert_whole(exported: Artifact, quantized: Artifact, candidate: Candidate, data: Dataset, layout: str) -> None:
    for artifact in (exported, quantized):
        reopened = Artifact.open(artifact.path)
        assert reopened.digest == artifact.digest
        assert artifact.facts.size_bytes == artifact.main_file.stat().st_size
        assert artifact.facts.labels == data.card.labels
        assert artifact.facts.inputs[0].layout == layout
        assert artifact.facts.preprocessing == data.card.preprocessing
    assert (exported.facts.recipe, exported.facts.parent) == ("float32", candidate.digest)
    assert (quantized.facts.recipe, quantized.facts.parent) == ("ptq_w8a8", exported.digest)
    assert {"torch"} < exported.facts.toolchain.keys() <= quantized.facts.toolchain.keys()
    assert quantized.facts.quantization["ptq_w8a8"]["calibration_samples"] == 16
    assert quantized.facts.outputs[0].lsb is not None
    assert quantized.facts.size_bytes < exported.facts.size_bytes
    # paths of classes are no use on a device, and were half of a small file
    assert not any(b"litert_torch" in artifact.main_file.read_bytes() for artifact in (exported, quantized))
