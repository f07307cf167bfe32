# SPDX-License-Identifier: Apache-2.0
"""Learned structure: training during which the channels that matter least fade to exactly zero, before they are cut.

In the spirit of OTOv3 (Chen et al., 2023, arXiv:2312.09411): which channels are redundant is decided anew each epoch, by the
weights as they are then, and cutting zeros changes no answer. Its optimizer is replaced by a step after any optimizer's.
"""

from collections.abc import Callable, Sequence

from torch import nn

from edgewright.integrations.frameworks.pytorch.passes.groups import Part, Unit, parts


class Fading:
    """Shrinks the redundant channels a little more after each optimizer step, to nothing at the last one.

    After step t of T what is redundant is scaled by (T - t) / (T - t + 1), so that a group's norm falls in a straight line
    if nothing works against it: the step of a group penalty that grows while training. A channel that is found to matter
    after all is left alone from then on, and grows again.
    """

    def __init__(self, choose: Callable[[nn.Module], Sequence[Unit]], sample: tuple[int, ...], epochs: int, steps: int) -> None:
        """Set up for a training of ``epochs`` with ``steps`` each; ``choose`` names what is redundant in a model."""
        self._choose, self._sample, self._epochs, self._steps = choose, sample, epochs, steps
        self._left = epochs * steps
        self._parts: list[Part] = []

    def before_epoch(self, model: nn.Module, epoch: int) -> None:
        """Decide what is redundant now."""
        self._left = (self._epochs - epoch + 1) * self._steps
        self._parts = parts(model, self._sample, self._choose(model))

    def after_step(self, model: nn.Module) -> None:
        """Shrink it."""
        del model
        factor = (self._left - 1) / self._left
        self._left -= 1
        for part in self._parts:
            smaller = part.weight.index_select(part.axis, part.positions) * factor
            part.weight.index_copy_(part.axis, part.positions, smaller)
