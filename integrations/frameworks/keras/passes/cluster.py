# SPDX-License-Identifier: Apache-2.0
"""Weight sharing with tfmot: centroids by k-means++, then trained (Han et al., 2016, arXiv:1510.00149, section 3).

tfmot leaves depthwise convolutions alone. Theirs are clustered here, before the training, which lets the others adapt.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgewright.artifact import CandidateFacts
from edgewright.errors import ModelError
from edgewright.framework import Array, ModelPassRequest
from edgewright.integrations.frameworks.keras.engine import keras
from edgewright.integrations.frameworks.keras.fit import Goal
from edgewright.integrations.frameworks.keras.objective import loss_function
from edgewright.integrations.frameworks.keras.passes.common import (
    fine_tune,
    finish,
    load,
    require_tfmot,
)
from edgewright.integrations.frameworks.keras.randomness import seeded
from edgewright.integrations.frameworks.keras.samples import Splits
from edgewright.integrations.frameworks.keras.structure import kernels
from edgewright.model_passes import fine_tuning, is_sparse

_KMEANS_STARTS = 4


def cluster(request: ModelPassRequest) -> CandidateFacts:
    """Let each layer's weights share a few values, train these, and check that there are no more.

    Raises:
        ModelError: tfmot takes no such model, or a layer ended with more values than asked for.
    """
    import tensorflow_model_optimization as tfmot

    options, training = request.options, fine_tuning(request, epochs=0.25, rate=0.1)
    splits = Splits.of(request.data, request.metric)
    with seeded(request.seed, deterministic=training.deterministic):
        model = load(request.candidate)
        require_tfmot(model, options.name)
        able = clusterable(model, options.clusters)
        taken = {id(layer.kernel) for layer in able}
        others = [kernel for kernel in kernels(model) if id(kernel) not in taken]
        wrapped = _wrapped(model, able, options.clusters, sparse=is_sparse(request.candidate.facts))
        goal = Goal(loss_function(request.data.card.task, training), after_step=_held(others, options.clusters, request.seed))
        history = fine_tune(request, wrapped, training, splits, goal)
        stripped = tfmot.clustering.keras.strip_clustering(wrapped)
    made = load(request.candidate)  # layers that tfmot has unwrapped have lost the names of their weights
    made.set_weights(stripped.get_weights())
    for kernel in kernels(made):
        values = len(np.unique(kernel.numpy()))
        if values > options.clusters:
            raise ModelError(
                f"{kernel.name} has {values} values, {options.clusters} were asked for",
                where=options.name,
                to_do="leave the pass out for this model",
            )
    return finish(request, made, history, splits)


def clusterable(model: Any, clusters: int) -> list[Any]:
    """Layers whose one kernel tfmot clusters; one that has no more weights than values needs no clustering."""
    layers = keras.layers
    kinds = (layers.Conv2D, layers.Conv1D, layers.Dense)
    return [
        layer
        for layer in model.layers
        if isinstance(layer, kinds)
        and not isinstance(layer, layers.DepthwiseConv2D | layers.DepthwiseConv1D | layers.SeparableConv1D)
        and layer.kernel.shape.num_elements() > clusters
    ]


def _wrapped(model: Any, able: list[Any], clusters: int, *, sparse: bool) -> Any:
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster as experimental

    kmeans = tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS
    chosen = set(map(id, able))

    def wrap(layer: Any) -> Any:
        if id(layer) not in chosen:
            return layer
        return experimental.cluster_weights(layer, clusters, kmeans, preserve_sparsity=sparse)

    return keras.models.clone_model(model, clone_function=wrap)


def _held(variables: list[Any], clusters: int, seed: int) -> Callable[[], None]:
    """Cluster these kernels now, and return what puts them back after each step."""
    shared = [(variable, shared_values(variable.numpy(), clusters, seed)) for variable in variables]

    def put_back() -> None:
        for variable, values in shared:
            variable.assign(values)

    put_back()
    return put_back


def shared_values(weights: Array, clusters: int, seed: int) -> Array:
    """Weights of one layer, each replaced by the mean of its cluster; zeros stay zero."""
    from sklearn.cluster import KMeans

    flat = weights.reshape(-1, 1)
    zeros = flat[:, 0] == 0
    count = min(clusters - bool(zeros.any()), len(np.unique(flat[~zeros])))
    if count < 1:
        return weights
    found = KMeans(count, n_init=_KMEANS_STARTS, random_state=seed).fit(flat[~zeros])
    result = np.zeros(len(flat), weights.dtype)
    result[~zeros] = found.cluster_centers_[found.labels_, 0]
    return result.reshape(weights.shape)
