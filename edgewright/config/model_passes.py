# SPDX-License-Identifier: Apache-2.0
"""Passes on the live model, before export: distill, prune, sparsify, decompose, cluster, and quantization-aware training."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgewright.config.base import Config
from edgewright.config.model import Training
from edgewright.config.passes import Axis, FineTuned, Positive, PositiveInt

Share = Annotated[float, Field(gt=0, lt=1)]
SELF = "self"


class Teacher(Config):
    """A model of your own to learn from, instead of the trained baseline."""

    architecture: str
    """A shipped model, or 'module:function' returning a model."""
    options: dict[str, Any] = Field(default_factory=dict)
    weights: str
    """File of its trained weights."""
    allow_pickle: bool = False
    """Your written consent to unpickle 'weights', which can run any code."""


class Distill(FineTuned):
    """Knowledge distillation: a student learns from the trained baseline (the teacher) and from the labels."""

    acts_on: ClassVar[Literal["model", "file"]] = "model"
    improves: ClassVar[frozenset[Axis]] = frozenset({"size", "latency", "memory", "accuracy"})
    kind: Literal["distill"] = "distill"
    student: str = SELF
    """A shipped model or 'module:function' returning one; 'self': the model as the passes before have left it."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the student, such as {width: 16}."""
    loss: Literal["kd", "dkd", "hint"] = "kd"
    """What is learned from: softened logits (Hinton et al., 2015), decoupled logits (Zhao et al., 2022), or logits and
    intermediate features through a learned projection (Romero et al., 2015)."""
    temperature: Positive = 4.0
    """Softens the logits of teacher and student."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Weight of the teacher in the loss; the labels have the rest."""
    teacher: Teacher | None = None
    """Left out, the trained baseline."""
    ensemble: PositiveInt = 1
    """Teachers in all: the baseline and further ones trained like it from other seeds; their logits are averaged."""
    training: Training | None = None
    """How the student is trained; left out, as model.training says."""

    def suffix(self) -> str:
        """Student with its width, and the loss."""
        width = f"_w{self.options['width']}" if "width" in self.options else ""
        student = self.student.rpartition(":")[2].replace("-", "_").replace(".", "_")
        ensemble = f".ensemble{self.ensemble}" if self.ensemble > 1 else ""
        return f".{student}{width}" + ("" if self.loss == "kd" else f".{self.loss}") + ensemble

    @classmethod
    def option(cls, word: str) -> dict[str, Any]:
        """Read a loss ('dkd', 'hint'), 'ensemble3', or a student with its width ('ds_cnn_w16')."""
        if word in ("kd", "dkd", "hint"):
            return {"loss": word}
        if many := re.fullmatch(r"ensemble(\d+)", word):
            return {"ensemble": int(many[1])}
        if sized := re.fullmatch(r"(\w+?)_w(\d+)", word):
            return {"student": sized[1], "options": {"width": int(sized[2])}}
        return {"student": word}


class _Reduced(FineTuned):
    """A pass with a share in its name: prune50 takes 50 % away."""

    ratio: Share

    @classmethod
    def amount(cls, digits: str) -> dict[str, Any]:
        """Percent, as the name has it."""
        if not digits.isdigit() or not 0 < int(digits) < 100:
            raise ValueError(f"{digits!r} is not a percentage between 1 and 99")
        return {"ratio": int(digits) / 100}

    def percent(self) -> str:
        """The share as it stands in a name."""
        return f"{100 * self.ratio:.4g}".replace(".", "_")


class Prune(_Reduced):
    """Structured pruning: whole channels go, by global importance over residual, depthwise and grouped layers."""

    acts_on: ClassVar[Literal["model", "file"]] = "model"
    improves: ClassVar[frozenset[Axis]] = frozenset({"size", "latency", "memory"})
    kind: Literal["prune"] = "prune"
    ratio: Share = 0.5
    """Share that has to go; what was achieved is measured and must reach it."""
    of: Literal["macs", "params", "latency"] = "macs"
    """What the ratio is a share of: multiply-accumulates, parameters, or the latency measured on the target."""
    importance: Literal["magnitude", "taylor", "group_sparsity"] = "magnitude"
    """How channels are ranked: by L1 norm of their group; by first-order Taylor expansion of the loss; or learned, by training
    with a penalty that drives whole groups to zero first."""
    rounds: PositiveInt = 1
    """Prune in so many rounds, with training between them; the epochs are spread over them."""
    round_to: PositiveInt = 1
    """Channels left are a multiple of this, where the hardware wants it."""

    def suffix(self) -> str:
        """Percent, what of, and how channels are ranked."""
        of = "" if self.of == "macs" else f".{self.of}"
        return self.percent() + of + ("" if self.importance == "magnitude" else f".{self.importance}")

    @classmethod
    def words(cls) -> dict[str, dict[str, Any]]:
        """What the ratio is of, and importances."""
        shares: dict[str, dict[str, Any]] = {one: {"of": one} for one in ("params", "latency")}
        return shares | {one: {"importance": one} for one in ("taylor", "group_sparsity")}


class Sparsify(_Reduced):
    """Unstructured magnitude pruning: single weights become zero.

    The file shrinks only where it is compressed, and is faster only where the runtime has sparse kernels.
    """

    acts_on: ClassVar[Literal["model", "file"]] = "model"
    improves: ClassVar[frozenset[Axis]] = frozenset()
    kind: Literal["sparsify"] = "sparsify"
    ratio: Share = 0.5
    """Share of the weights of convolutions and linear layers that become zero."""
    pattern: Annotated[str, Field(pattern=r"^[1-9]of(2|4|8|16)$")] | None = None
    """N:M sparsity, such as '2of4': so many of each run of weights stay; it replaces the ratio."""

    @model_validator(mode="after")
    def _pattern_leaves_some(self) -> Self:
        if self.pattern and not int(self.pattern.split("of")[0]) < int(self.pattern.split("of")[1]):
            raise ValueError(f"pattern {self.pattern!r} keeps every weight; keep fewer, such as '2of4'")
        return self

    def suffix(self) -> str:
        """Percent, or the pattern."""
        return f".{self.pattern}" if self.pattern else self.percent()

    @classmethod
    def option(cls, word: str) -> dict[str, Any]:
        """Read an N:M pattern."""
        return {"pattern": word}


class Decompose(_Reduced):
    """Low-rank decomposition: linear layers and 1x1 convolutions by SVD, spatial convolutions by Tucker-2 or CP."""

    acts_on: ClassVar[Literal["model", "file"]] = "model"
    improves: ClassVar[frozenset[Axis]] = frozenset({"size", "latency"})
    kind: Literal["decompose"] = "decompose"
    ratio: Share = 0.5
    """Share of the multiply-accumulates that has to go; ranks are chosen for it, most compressible layers first."""
    energy: Share | None = None
    """Ranks by energy instead: each layer keeps this share of the squared singular values."""
    method: Literal["tucker2", "cp"] = "tucker2"
    """For spatial convolutions."""

    def suffix(self) -> str:
        """Percent or energy, and the method."""
        amount = self.percent() if self.energy is None else f".energy{100 * self.energy:.4g}"
        return amount + ("" if self.method == "tucker2" else f".{self.method}")

    @classmethod
    def option(cls, word: str) -> dict[str, Any]:
        """Read a method, or 'energy95'."""
        if kept := re.fullmatch(r"energy(\d+)", word):
            return {"energy": int(kept[1]) / 100}
        return super().option(word)

    @classmethod
    def words(cls) -> dict[str, dict[str, Any]]:
        """Methods."""
        return {"cp": {"method": "cp"}}


class Cluster(FineTuned):
    """Weight sharing: each layer's weights take one of a few values. The file shrinks only where it is compressed."""

    acts_on: ClassVar[Literal["model", "file"]] = "model"
    improves: ClassVar[frozenset[Axis]] = frozenset()
    kind: Literal["cluster"] = "cluster"
    clusters: Annotated[int, Field(ge=2, le=256)] = 16
    """Values a layer's weights may take."""

    def suffix(self) -> str:
        """How many values."""
        return str(self.clusters)

    @classmethod
    def amount(cls, digits: str) -> dict[str, Any]:
        """Read how many values."""
        return {"clusters": int(digits)}


class QatW8A8(FineTuned):
    """Quantization-aware training: int8 weights and 8-bit activations whose scales are learned with the weights."""

    acts_on: ClassVar[Literal["model", "file"]] = "model"
    improves: ClassVar[frozenset[Axis]] = frozenset({"size", "latency", "memory", "accuracy"})
    kind: Literal["qat_w8a8"] = "qat_w8a8"
    distill: bool = False
    """Learn from the float baseline (the teacher) too, as `distill` does."""
    temperature: Positive = 4.0
    """Softens the logits; with distill only."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Weight of the teacher in the loss; with distill only."""

    def suffix(self) -> str:
        """Whether it learns from the teacher."""
        return ".distill" if self.distill else ""

    @classmethod
    def words(cls) -> dict[str, dict[str, Any]]:
        """Learning from the teacher."""
        return {"distill": {"distill": True}}
