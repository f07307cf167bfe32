# SPDX-License-Identifier: Apache-2.0
"""What every pass of a recipe is: a config type with a decodable name, acting on the live model or on an exported file.

A name is `kind`, an amount where the pass has one, and options behind dots: `prune50`, `ptq_w8a8.entropy.fallback`.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from edgewright.config.base import Config
from edgewright.errors import nearest

PositiveInt = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]
Axis = Literal["size", "latency", "memory", "accuracy"]


class PassConfig(Config):
    """Base of all passes. Subclasses have a field ``kind`` and write the rest of their name in ``suffix``."""

    acts_on: ClassVar[Literal["model", "file"]]
    """'model': before export, by the framework; 'file': on the exported file, by the runtime."""
    improves: ClassVar[frozenset[Axis]]
    """What it can improve on a runtime that computes with dense tensors: how `ladder: auto` knows what cannot help."""

    @property
    def name(self) -> str:
        """The decodable name."""
        return f"{type(self).model_fields['kind'].default}{self.suffix()}"

    def suffix(self) -> str:
        """Amount and options, as they stand in the name behind the kind."""
        return ""

    @classmethod
    def decode(cls, suffix: str) -> dict[str, Any]:
        """Return the fields that stand behind the kind in a name: the inverse of ``suffix``.

        Raises:
            ValueError: it does not decode; the valid options are named.
        """
        amount, *options = suffix.split(".")
        # the kind is given, not left to its default: configurations travel without what was not set
        fields: dict[str, Any] = {"kind": cls.model_fields["kind"].default}
        if amount:
            fields |= cls.amount(amount)
        for option in options:
            fields |= cls.option(option)
        return fields

    @classmethod
    def amount(cls, digits: str) -> dict[str, Any]:
        """Fields that the number behind the kind stands for."""
        raise ValueError(f"{cls.model_fields['kind'].default!r} takes no number, got {digits!r}")

    @classmethod
    def option(cls, word: str) -> dict[str, Any]:
        """Fields that a word behind a dot stands for."""
        words = cls.words()
        if word not in words:
            raise ValueError(f"{cls.model_fields['kind'].default!r} has no option {word!r}; {nearest(word, words)}")
        return words[word]

    @classmethod
    def words(cls) -> dict[str, dict[str, Any]]:
        """Options by their word in a name."""
        return {}


class FineTuned(PassConfig):
    """A pass that trains after it has changed the model; what is left out comes from model.training."""

    epochs: PositiveInt | None = None
    """Epochs of training after the change; left out, a share of model.training.epochs that suits the pass."""
    learning_rate: Positive | None = None
    """Left out, a share of model.training.learning_rate that suits the pass."""
