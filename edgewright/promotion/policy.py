# SPDX-License-Identifier: Apache-2.0
"""policy.yaml: which keys may promote, roll back and override which models, and how old a verdict's data and code may be.

Without the file any key may promote and roll back, and nobody may override.
"""

from collections.abc import Sequence
from datetime import date, datetime
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, ValidationError, model_validator

from edgewright.config.base import Config, Name
from edgewright.errors import ConfigError, GateRefused, StoreError, nearest
from edgewright.promotion.entry import Action

if TYPE_CHECKING:
    from securesystemslib.signer import Key

Days = Annotated[float, Field(gt=0)]
DOES: dict[Action, str] = {"promote": "promote", "rollback": "roll back", "override": "override a verdict of"}


class May(Config):
    """What one key may do."""

    key: str
    """One of the names in 'keys'."""
    do: Annotated[tuple[Action, ...], Field(min_length=1)]
    """promote, rollback, override."""
    models: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    """Patterns of registered models, such as digits-*."""
    until: date | None = None
    """The last day on which it may; what it did before stays valid. For a key that is no longer used."""

    def covers(self, what: Action, model: str, when: datetime) -> bool:
        """Whether this allows the action on the model at that time."""
        in_time = self.until is None or when.date() <= self.until
        return in_time and what in self.do and any(fnmatchcase(model, pattern) for pattern in self.models)


class Policy(Config):
    """Who may promote what. Relative paths are taken from the folder of policy.yaml."""

    keys: Annotated[dict[Name, str], Field(min_length=1)]
    """Name of a key to the file of its public key (PEM). A key that ever signed an entry stays here."""
    may: tuple[May, ...]
    """What each key may do; what no line allows is refused."""
    overrides: bool = False
    """Whether a refusal can be overridden at all, by a key that may."""
    max_data_age_days: Days | None = None
    """Days since a release first used the verdict's data; left out, data of any age will do."""
    max_code_age_days: Days | None = None
    """Days since a release first used the verdict's code; left out, code of any age will do."""

    @model_validator(mode="after")
    def _known_keys(self) -> Self:
        for line in self.may:
            if line.key not in self.keys:
                raise ValueError(f"key {line.key!r} is not among 'keys'; {nearest(line.key, self.keys)}")
        return self

    @cached_property
    def _public(self) -> "dict[str, Key]":
        from edgewright.trust.keys import public_key

        return {name: public_key(Path(file)) for name, file in self.keys.items()}

    def trusted(self) -> "Sequence[Key]":
        """Return the public keys whose entries count.

        Raises:
            StoreError: one of their files cannot be read.
        """
        return list(self._public.values())

    def name_of(self, key_id: str) -> str | None:
        """Return the name of a key, or None when it is not listed."""
        return next((name for name, key in self._public.items() if key.keyid == key_id), None)

    def allows(self, key_id: str, what: Action, model: str, when: datetime) -> bool:
        """Whether the key may do this at that time."""
        name = self.name_of(key_id)
        return (what != "override" or self.overrides) and any(
            line.key == name and line.covers(what, model, when) for line in self.may
        )


class OpenPolicy(Policy):
    """What holds where there is no policy.yaml: any key, and no overrides."""

    keys: dict[Name, str] = Field(default_factory=dict)
    may: tuple[May, ...] = ()

    def trusted(self) -> "Sequence[Key]":
        """No key is listed: each entry is checked with the key it brings."""
        return []

    def allows(self, key_id: str, what: Action, model: str, when: datetime) -> bool:  # noqa: ARG002
        """Whether the key may do this."""
        return what != "override"


def load_policy(path: Path | None) -> Policy:
    """Read a policy; without a path, the open one.

    Raises:
        ConfigError: all problems of the file, each with its line.
    """
    from edgewright.config.explain import explain
    from edgewright.config.paths import path_from
    from edgewright.config.yaml import read_yaml

    if path is None:
        return OpenPolicy()
    if not path.is_file():
        raise ConfigError(
            "there is no policy file, and nothing is promoted without what it says",
            where=str(path.absolute()),
            to_do="correct tracking.policy, or write the file: docs/how-to/promotion-policy.md shows one",
        )
    document = read_yaml(path)
    try:
        policy = Policy.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError(
            f"{path.name} is not a valid policy\n{explain(error, path.name, document.lines, root=Policy)}",
            where=str(path.absolute()),
            to_do="correct the lines above; every key is described in docs/how-to/promotion-policy.md",
        ) from None
    folder = path.absolute().parent
    policy = policy.model_copy(update={"keys": {name: path_from(folder, file) for name, file in policy.keys.items()}})
    try:
        policy.trusted()
    except StoreError as error:
        raise ConfigError(
            f"a key of the policy is none: {error.what}", where=error.where, to_do=f"correct 'keys' in {path}"
        ) from None
    return policy


def require_allowed(policy: Policy, key_id: str, what: Action, model: str, when: datetime) -> None:
    """Make sure that the policy allows it.

    Raises:
        GateRefused: it does not.
    """
    if policy.allows(key_id, what, model, when):
        return
    if what == "override" and not policy.overrides:
        raise GateRefused(
            "the policy forbids overrides",
            where=f"{model}, which stays as it is",
            to_do="release an artifact that passes, or let the owner of policy.yaml set 'overrides: true'",
        )
    name = policy.name_of(key_id)
    raise GateRefused(
        f"key {name or key_id[:12]} may not {DOES[what]} {model}" + ("" if name else ": the policy does not list it"),
        where="policy.yaml, 'may'; the champion stays as it is",
        to_do="use a key that may, or let the owner of policy.yaml add a line",
    )
