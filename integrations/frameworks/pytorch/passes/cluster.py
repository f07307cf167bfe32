# SPDX-License-Identifier: Apache-2.0
"""Weight clustering: each layer's weights share a few values, found by k-means; then the values are trained.

Deep compression's weight sharing (Han et al., 2016, arXiv:1510.00149): a weight keeps its cluster, and what its cluster's
value becomes is learned. Biases and normalization stay as they are; after sparsify, zero is a value of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgewright.artifact import CandidateFacts
from edgewright.framework import Array, ModelPassRequest
from edgewright.integrations.frameworks.pytorch.fit import Goal
from edgewright.integrations.frameworks.pytorch.objective import loss_function
from edgewright.integrations.frameworks.pytorch.passes.common import fine_tune, finish, load_float
from edgewright.integrations.frameworks.pytorch.randomness import seeded
from edgewright.model_passes import fine_tuning, is_sparse

_SAMPLED = 2**18
"""Weights of one layer that k-means looks at: their distribution is known well before."""


def cluster(request: ModelPassRequest) -> CandidateFacts:
    """Let the weights of each convolution and linear layer share ``clusters`` values, then train those."""
    asked = request.options
    with seeded(request.seed, deterministic=False):
        model = load_float(request.candidate)
        training = fine_tuning(request, epochs=0.5, rate=0.3)
        weights = [weight for weight in model.parameters() if weight.dim() > 1]
        shared = [
            Shared.of(weight, asked.clusters, request.seed, sparse=is_sparse(request.candidate.facts)) for weight in weights
        ]
        keep = _sharing(shared)
        keep(model)
        handles = [one.weight.register_hook(one.means) for one in shared]  # type: ignore[no-untyped-call]
        history = fine_tune(request, model, training, Goal(loss_function(request.data.card.task, training), after_step=keep))
        for handle in handles:
            handle.remove()
    return finish(request, model, history)


@dataclass(frozen=True)
class Shared:
    """One layer's weights and the cluster of each."""

    weight: Tensor
    cluster: Tensor
    """(weights,) index of each weight's cluster."""
    sizes: Tensor
    """(clusters,) how many weights a cluster has."""
    zero: int | None
    """The cluster that is zero and stays so."""

    @classmethod
    def of(cls, weight: Tensor, clusters: int, seed: int, *, sparse: bool) -> "Shared":
        """Cluster a layer's weights by k-means, seeded, from k-means++ starting points (Arthur & Vassilvitskii, 2007).

        Args:
            weight: of any shape.
            clusters: values allowed, zero among them.
            seed: of the starting points.
            sparse: whether weights that are zero have to stay it.
        """
        values = weight.detach().double().flatten().numpy()
        found = np.zeros(len(values), np.int64)
        others = values != 0 if sparse else np.ones(len(values), bool)
        zero = None if others.all() else 0
        if others.any():
            found[others] = _clusters(values[others], clusters - (zero is not None), seed) + (zero is not None)
        _, numbered, sizes = np.unique(found, return_inverse=True, return_counts=True)
        return cls(weight, torch.from_numpy(numbered), torch.from_numpy(sizes), zero)

    def share(self) -> None:
        """Set every weight to its cluster's value: the mean of its weights."""
        with torch.no_grad():
            self.weight.copy_(self.means(self.weight))

    def means(self, values: Tensor) -> Tensor:
        """Return ``values``, one a weight, with each cluster's mean in place of its own; 0 for the cluster that is zero.

        Of gradients this is the gradient of the shared value, over the size of its cluster: Han et al. take the sum, with
        which plain gradient descent would take steps a thousand times as long as for a single weight.
        """
        sums = torch.zeros(len(self.sizes), dtype=torch.float64).index_add_(0, self.cluster, values.flatten().double())
        means = sums / self.sizes
        if self.zero is not None:
            means[self.zero] = 0.0
        return means[self.cluster].reshape(values.shape).to(values.dtype)


def _sharing(shared: Sequence[Shared]) -> Callable[[nn.Module], None]:
    """Return what makes weights equal again that rounding in an optimizer's step may have moved apart."""

    def share(_: nn.Module) -> None:
        for one in shared:
            one.share()

    return share


def _clusters(values: Array, clusters: int, seed: int) -> Array:
    from sklearn.cluster import KMeans

    distinct = np.unique(values)
    if len(distinct) <= clusters:
        return np.searchsorted(distinct, values)
    random = np.random.default_rng(seed)
    looked_at = values if len(values) <= _SAMPLED else random.choice(values, _SAMPLED, replace=False)
    centres = KMeans(clusters, init="k-means++", n_init=1, random_state=seed).fit(looked_at[:, None]).cluster_centers_
    borders = np.sort(centres[:, 0])
    return np.searchsorted((borders[1:] + borders[:-1]) / 2, values)
