# SPDX-License-Identifier: Apache-2.0
"""Weight clustering: few values a layer, which are learned; zeros that stay; files that compress."""

import zlib
from pathlib import Path

import pytest
import torch
from model_passes import performed, trained
from safetensors.torch import load_file, save_file
from small_datasets import digits
from torch import Tensor

from edgewright.artifact import Candidate, PassFacts
from edgewright.config.model_passes import Cluster
from edgewright.data.dataset import Dataset
from edgewright.integrations.frameworks.pytorch.passes.cluster import Shared

FILE = "weights.safetensors"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return digits(tmp_path_factory.mktemp("digits") / "data")


@pytest.fixture(scope="module")
def baseline(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """Convolutions, depthwise ones too, normalization, and a linear layer with a bias."""
    return trained("ds_cnn", data, tmp_path_factory.mktemp("baseline"), {"width": 32, "blocks": 2})


@pytest.fixture(scope="module")
def clustered(baseline: Candidate, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return performed(Cluster(clusters=16, epochs=3), baseline, baseline, data, tmp_path_factory.mktemp("clustered"))


def weights_of(candidate: Candidate) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in load_file(candidate.path / FILE).items() if tensor.dim() > 1}


def test_every_layer_has_no_more_values_than_asked(baseline: Candidate, clustered: Candidate) -> None:
    found = {name: len(weight.unique()) for name, weight in weights_of(clustered).items()}
    assert len(found) == 6
    assert max(found.values()) <= 16 < min(len(weight.unique()) for weight in weights_of(baseline).values())


def test_biases_and_normalization_are_not_clustered(clustered: Candidate) -> None:
    vectors = {name: tensor for name, tensor in load_file(clustered.path / FILE).items() if tensor.shape == (32,)}
    assert len(vectors) >= 20
    assert all(len(tensor.unique()) > 16 for tensor in vectors.values())


def test_it_still_knows_and_its_weights_compress(baseline: Candidate, clustered: Candidate) -> None:
    done = clustered.facts.passes[-1]
    assert (done.name, done.parameters[0], done.macs[0]) == ("cluster16", done.parameters[1], done.macs[1])
    assert done.score[1] > done.score[0] - 0.1
    packed = [
        sum(len(zlib.compress(weight.numpy().tobytes())) for weight in weights_of(candidate).values())
        for candidate in (baseline, clustered)
    ]
    assert packed[1] < packed[0] / 3


def test_weights_keep_their_cluster_while_its_value_is_learned(baseline: Candidate, clustered: Candidate) -> None:
    before, after = weights_of(baseline), weights_of(clustered)
    for name, weight in before.items():
        shared = Shared.of(weight.clone(), 16, seed=0, sparse=False)
        shared.share()
        assert len(torch.stack([shared.cluster, after[name].flatten().unique(return_inverse=True)[1]]).unique(dim=1)[0]) <= 16
        assert not torch.allclose(shared.weight, after[name], atol=1e-4)


def test_two_values_are_placed_where_the_weights_are() -> None:
    weight = torch.tensor([[0.9, 1.1, -2.0], [1.0, -2.2, -1.8]])
    Shared.of(weight, 2, seed=0, sparse=False).share()
    torch.testing.assert_close(weight, torch.tensor([[1.0, 1.0, -2.0], [1.0, -2.0, -2.0]]))


def test_fewer_weights_than_values_stay_as_they_are() -> None:
    weight = torch.tensor([[0.5, -0.25, 0.5]])
    Shared.of(weight, 16, seed=0, sparse=False).share()
    assert weight.tolist() == [[0.5, -0.25, 0.5]]


def test_zeros_of_a_sparse_model_stay_zero_and_are_one_of_the_values(
    baseline: Candidate, data: Dataset, tmp_path: Path
) -> None:
    sparse = made_sparse(baseline, tmp_path / "sparse")
    made = performed(Cluster(clusters=4, epochs=1), sparse, baseline, data, tmp_path / "made")
    for name, weight in weights_of(sparse).items():
        after = weights_of(made)[name]
        assert torch.equal(after == 0, weight == 0), name
        assert len(after.unique()) <= 4
    assert made.facts.passes[-1].zeros == pytest.approx(0.6, abs=0.02)


def made_sparse(candidate: Candidate, folder: Path) -> Candidate:
    """Set the smallest 60 % of each layer's weights to zero."""
    folder.mkdir()
    tensors = load_file(candidate.path / FILE)
    for tensor in tensors.values():
        if tensor.dim() > 1:
            tensor[tensor.abs() <= tensor.abs().flatten().quantile(0.6)] = 0
    save_file(tensors, folder / FILE)
    facts = candidate.facts
    done = PassFacts(name="sparsify60", options={}, parameters=(1, 1), macs=(1, 1), zeros=0.6, score=(1, 1))
    return Candidate.seal(folder, facts.model_copy(update={"passes": (done,), "recipe": "sparsify60"}))


def test_the_same_request_gives_the_same_weights(
    baseline: Candidate, clustered: Candidate, data: Dataset, tmp_path: Path
) -> None:
    again = performed(Cluster(clusters=16, epochs=3), baseline, baseline, data, tmp_path / "again")
    assert all(torch.equal(weight, weights_of(again)[name]) for name, weight in weights_of(clustered).items())
