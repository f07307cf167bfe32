# SPDX-License-Identifier: Apache-2.0
"""Where a release keeps its history: the store, the policy, the key that signs, and the folder of mirrors."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.config.release import ReleaseConfig, Tracking
from edgewright.plugins import create
from edgewright.promotion.ledger import Ledger
from edgewright.promotion.policy import Policy, load_policy
from edgewright.registry import Tracker
from edgewright.trust.keys import own_key, signer_of

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


@dataclass(frozen=True)
class Place:
    """The store, connected, with all that promotion needs beside it."""

    tracker: Tracker
    policy: Policy
    output: Path
    key: str

    @classmethod
    def of(cls, config: ReleaseConfig) -> "Place":
        """Connect to where a release is recorded.

        Raises:
            StoreError: the store cannot be reached.
            ConfigError: the policy is wrong.
        """
        return cls.at(config.tracking, Path(config.output))

    @classmethod
    def at(cls, tracking: Tracking, output: Path) -> "Place":
        """Connect to a store; where it is left out, to the one in the output folder."""
        policy = load_policy(Path(tracking.policy) if tracking.policy else None)
        tracker: Tracker = create("services", "mlflow")
        tracker.connect(store_uri(tracking, output), tracking.experiment)
        return cls(tracker, policy, output, own_key())

    @cached_property
    def signer(self) -> "Signer":
        """The key that signs entries.

        Raises:
            StoreError: it cannot be read.
        """
        return signer_of(self.key)

    def ledger(self, model: str) -> Ledger:
        """Find the history of a model."""
        return Ledger.of(model, self.tracker, self.policy, self.output)


def store_uri(tracking: Tracking, output: Path) -> str:
    """Return the store's URI: as configured, from MLFLOW_TRACKING_URI, or a sqlite file in the output folder."""
    return tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{output.absolute() / 'mlflow.db'}"
