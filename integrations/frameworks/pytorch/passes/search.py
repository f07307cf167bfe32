# SPDX-License-Identifier: Apache-2.0
"""How many of a ranking of channels have to go for a share of operations, parameters or measured latency to be gone.

Each time a model is really cut and then counted, or measured on the target. Bisection: more cut never counts more; a
latency may rise with it, and what is found is then enough, though perhaps not the fewest.
"""

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from edgewright.artifact import Candidate
from edgewright.config.model import Training
from edgewright.config.model_passes import Prune
from edgewright.errors import ConfigError, ModelError
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.passes.common import pass_digest
from edgewright.integrations.frameworks.pytorch.passes.dependencies import Sample
from edgewright.integrations.frameworks.pytorch.passes.groups import Unit, check_cut, cut, rounded
from edgewright.integrations.frameworks.pytorch.structure import count_macs, count_parameters, describe
from edgewright.integrations.frameworks.pytorch.weights import write_weights

Share = Callable[[nn.Module], float]
"""A smaller model to the share that is gone, of what the model had that the pass was given."""
_WORDS = {"macs": "multiply-accumulates", "params": "parameters", "latency": "latency"}
_MEASURED = 32
"""A search that measures knows the channels to a thirty-second of all: five measurements, of several seconds each."""


@dataclass(frozen=True)
class Found:
    """The fewest units that are enough."""

    count: int
    share: float
    model: nn.Module
    """Without them."""


@dataclass(frozen=True)
class Search:
    """What is searched for."""

    step: Prune
    sample: Sample
    share: Share
    memory: Path | None = None
    """File of what was measured: an interrupted run that measured anew would cut otherwise, and lose what it had trained."""

    @classmethod
    def of(cls, request: ModelPassRequest, model: nn.Module, training: Training) -> "Search":
        """Search for shares of what ``model``, the pass's own, has.

        Raises:
            ConfigError: a share of the latency is asked for, and no target is given.
        """
        step, sample = request.options, request.candidate.facts.input_shape
        if step.of != "latency":
            return cls(step, sample, share_of_counted(step.of, model, sample))
        memory = request.checkpoints / f"measured-{pass_digest(request, training, 'latency')[:16]}.json"
        return cls(step, sample, _share_of_latency(request), memory)

    def must_reach(self, model: nn.Module, order: Sequence[Unit]) -> None:
        """Make sure that the ratio can be reached by cutting all units.

        Raises:
            ModelError: it cannot, or the model cannot be cut.
        """
        if not order:
            raise ModelError(
                "no layer has channels that could go: outputs stay, and so do layers of kinds that cannot be resized",
                where=f"recipe {self.step.name}",
                to_do="leave pruning out",
            )
        share = self._cut(model, order, "all")[0]
        if share < self.step.ratio:
            raise self._too_much(share)

    def fewest(self, model: nn.Module, order: Sequence[Unit], wanted: float, label: str) -> Found:
        """Return the fewest units, from the front of the order, without which ``wanted`` is gone.

        Raises:
            ModelError: so much is never gone, or the model cannot be cut.
        """
        few, many, found = 0, len(order), None
        finest = max(1, len(order) // _MEASURED) if self.memory else 1
        while many - few > finest:
            middle = (few + many) // 2
            reached = self._cut(model, order[:middle], f"{label}: {middle}")
            if reached[0] >= wanted:
                many, found = middle, reached
            else:
                few = middle
        share, smaller = found or self._cut(model, order, f"{label}: {many}")
        if share < wanted:
            raise self._too_much(share)
        return Found(many, share, smaller)

    def _cut(self, model: nn.Module, units: Sequence[Unit], label: str) -> tuple[float, nn.Module]:
        """Cut, and count or measure what is gone."""
        chosen = rounded(units, self.step.round_to)
        smaller = cut(model, self.sample, chosen)
        check_cut(model, smaller, self.sample, chosen)
        return self._remembered(label, smaller), smaller

    def _remembered(self, label: str, smaller: nn.Module) -> float:
        if self.memory is None:
            return self.share(smaller)
        known: dict[str, float] = json.loads(self.memory.read_text()) if self.memory.is_file() else {}
        if label not in known:
            known[label] = self.share(smaller)
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            incoming = self.memory.with_suffix(".incoming")
            incoming.write_text(json.dumps(known))
            incoming.replace(self.memory)
        return known[label]

    def _too_much(self, share: float) -> ModelError:
        most = math.floor(share * 100) / 100
        step = self.step
        rounding = ", or a smaller round_to" if step.round_to > 1 else ""
        if step.of == "latency":
            rounding = "" if step.round_to > 1 else "; or 'round_to: 8': kernels may be slow with odd numbers of channels"
        to_do = f"write a ratio of at most {most:g}" if most > 0 else "distill into a smaller model instead"
        return ModelError(
            f"at most {100 * share:.1f} % of the {_WORDS[step.of]} can go, {100 * step.ratio:.4g} % are asked for: "
            "outputs stay, and so does a tenth of every layer's channels",
            where=f"recipe {step.name}",
            to_do=f"{to_do}{rounding}",
        )


def share_of_counted(of: str, model: nn.Module, sample: Sample) -> Share:
    """Share of the multiply-accumulates ('macs') or parameters ('params') that ``model`` has."""

    def count(model: nn.Module) -> int:
        return count_macs(model, sample) if of == "macs" else count_parameters(model)

    whole = count(model)
    return lambda smaller: 1 - count(smaller) / whole


def _share_of_latency(request: ModelPassRequest) -> Share:
    facts, ratio = request.candidate.facts, request.latency_ratio
    if ratio is None:
        raise ConfigError(
            "a latency is measured on a target, and none is given",
            where=f"recipe {request.options.name}",
            to_do="climb the ladder for a target, or prune a share of the macs",
        )
    original = build(facts.model, facts.input_shape, facts.outputs)

    def share(smaller: nn.Module) -> float:
        with tempfile.TemporaryDirectory(prefix="edgewright-cut-") as folder:
            write_weights(smaller.state_dict(), Path(folder))
            recipe = f"{facts.recipe}-{request.options.name}"
            layers = describe(smaller, original)
            return 1 - ratio(Candidate.seal(Path(folder), facts.model_copy(update={"recipe": recipe, "layers": layers})))

    return share
