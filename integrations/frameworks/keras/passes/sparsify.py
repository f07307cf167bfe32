# SPDX-License-Identifier: Apache-2.0
"""Unstructured and N:M magnitude pruning with tfmot (Zhu & Gupta, 2017, arXiv:1710.01878): weights go while it trains."""

from typing import Any

from edgewright.artifact import CandidateFacts
from edgewright.errors import ModelError
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.keras.engine import keras
from edgewright.integrations.frameworks.keras.fit import Goal
from edgewright.integrations.frameworks.keras.objective import loss_function
from edgewright.integrations.frameworks.keras.passes.common import fine_tune, finish, load, require_tfmot
from edgewright.integrations.frameworks.keras.randomness import seeded
from edgewright.integrations.frameworks.keras.samples import Splits
from edgewright.integrations.frameworks.keras.structure import kernels, share_of_zeros
from edgewright.model_passes import fine_tuning

_SETTLED = 0.5  # of the training has passed when the share is reached; the rest lets the weights that stay adapt
_TINY = 0.01  # a share is a whole number of weights in each layer


def sparsify(request: ModelPassRequest) -> CandidateFacts:
    """Bring weights to zero during training, keep them there, and check that the share asked for is reached.

    Raises:
        ModelError: tfmot takes no such model, or its layers cannot reach the share.
    """
    import tensorflow_model_optimization as tfmot

    options, training = request.options, fine_tuning(request, epochs=0.5, rate=0.3)
    splits = Splits.of(request.data, request.metric)
    with seeded(request.seed, deterministic=training.deterministic):
        model = load(request.candidate)
        share = None if options.pattern else layer_share(model, options)
        steps = training.epochs * -(-len(splits.learn.inputs) // training.batch_size)
        wrapped = _wrapped(tfmot, model, options, share, max(1, round(steps * _SETTLED)))
        wrappers = [layer for layer in wrapped.layers if hasattr(layer, "pruning_obj")]
        for wrapper in wrappers:
            wrapper.pruning_step.assign(0)

        def mask() -> None:
            for wrapper in wrappers:
                for weight, kept, _ in wrapper.pruning_vars:
                    weight.assign(weight * kept)

        goal = Goal(loss_function(request.data.card.task, training), after_step=mask)
        history = fine_tune(request, wrapped, training, splits, goal)
        for wrapper in wrappers:  # the best epoch may lie before the share was reached
            wrapper.pruning_step.assign(steps + 1)
            wrapper.pruning_obj.conditional_mask_update()
        mask()
        model = tfmot.sparsity.keras.strip_pruning(wrapped)
    achieved = share_of_zeros(model)
    if not options.pattern and achieved < options.ratio - _TINY:
        raise ModelError(
            f"{achieved:.1%} of the weights became zero, {options.ratio:.0%} were asked for",
            where=options.name,
            to_do="train longer, or ask for less",
        )
    return finish(request, model, history, splits, achieved=achieved)


def check_sparsify(model: Any, options: Any) -> None:
    """Make sure, without training, that the model can be sparsified as asked.

    Raises:
        ModelError: its layers cannot reach the share, or do not divide into the pattern's runs.
    """
    if not options.pattern:
        layer_share(model, options)
    elif not prunable(model):
        raise ModelError("the model has no layer that tfmot prunes", where=options.name, to_do="leave the pass out")


def layer_share(model: Any, options: Any) -> float:
    """Share of zeros that each layer tfmot can prune must have, so that all kernels together have the one asked for.

    Raises:
        ModelError: the other layers (depthwise convolutions) hold too many of the weights.
    """
    able = sum(kernel.shape.num_elements() for layer in prunable(model) for kernel in _kernels_of(layer))
    share = options.ratio * sum(kernel.shape.num_elements() for kernel in kernels(model)) / max(able, 1)
    if share >= 1:
        able_kinds = {type(layer).__name__ for layer in prunable(model)}
        other = sorted({type(layer).__name__ for layer in model.layers if _has_kernel(layer)} - able_kinds)
        raise ModelError(
            f"tfmot cannot prune {', '.join(other)}, and the other layers hold too few weights for {options.ratio:.0%}",
            where=options.name,
            to_do=f"ask for at most {options.ratio / share:.0%}",
        )
    return float(share)


def prunable(model: Any) -> list[Any]:
    """Layers whose kernels tfmot prunes."""
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

    return [layer for layer in model.layers if PruneRegistry.supports(layer) and _kernels_of(layer)]


def _kernels_of(layer: Any) -> list[Any]:
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

    return list(PruneRegistry.make_prunable(layer).get_prunable_weights())


def _has_kernel(layer: Any) -> bool:
    return any(len(weight.shape) > 1 for weight in layer.trainable_weights)


def _wrapped(tfmot: Any, model: Any, options: Any, share: float | None, settled: int) -> Any:
    require_tfmot(model, options.name)
    sparsity, able = tfmot.sparsity.keras, set(map(id, prunable(model)))
    frequency = max(1, settled // 10)
    if options.pattern:
        stays, of = map(int, options.pattern.split("of"))
        given: dict[str, Any] = {
            "sparsity_m_by_n": (of - stays, of),  # tfmot counts what goes
            "pruning_schedule": sparsity.ConstantSparsity(0.5, 0, frequency=frequency),
        }
    else:
        given = {"pruning_schedule": sparsity.PolynomialDecay(0.0, share, 0, settled, frequency=frequency)}

    def wrap(layer: Any) -> Any:
        return sparsity.prune_low_magnitude(layer, **given) if id(layer) in able else layer

    return keras.models.clone_model(model, clone_function=wrap)
