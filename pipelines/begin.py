# SPDX-License-Identifier: Apache-2.0
"""The beginning of a release: its folder, where it is recorded, the key that signs, and the histories of its models."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgewright.config import ModelSpec, ReleaseConfig, Signing, Target, Tracking
from edgewright.errors import GateRefused, StoreError
from edgewright.fingerprint import of_code, of_path
from edgewright.plugins import create
from edgewright.promotion.chain import Chain
from edgewright.promotion.ledger import Ledger
from edgewright.promotion.place import policy_of
from edgewright.registry import Champion, Tracker, for_steps, store_uri
from edgewright.trust.keys import own_key

UNFINISHED = "unfinished.json"


@contextmanager
def release_folder(config: ReleaseConfig) -> Iterator[Path]:
    """Hold the output folder for one run; while it runs, unfinished.json lies there for `edgewright resume`.

    Raises:
        StoreError: the folder cannot be written, or another run of the same release holds it.
    """
    folder = config.output_folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise StoreError(
            f"cannot write the output folder: {error}", where=str(folder), to_do="set 'output' to another folder"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                "another run of this release is under way",
                where=str(folder),
                to_do="wait for it, or give this one another 'name'",
            ) from None
        (folder / UNFINISHED).write_text(config.model_dump_json(indent=1), encoding="utf-8")
        try:
            yield folder
        except GateRefused:  # a verdict is an end, not an interruption
            (folder / UNFINISHED).unlink()
            raise
        (folder / UNFINISHED).unlink()


def tracking_of(config: ReleaseConfig) -> tuple[Tracking, Tracker]:
    """Resolve where the release is recorded, and connect: this is where an unreachable store shows, before any training."""
    tracker: Tracker = create("services", "mlflow")
    tracker.connect(store_uri(config.tracking, Path(config.output)), config.tracking.experiment)
    return for_steps(config.tracking, Path(config.output)), tracker


def with_key(config: ReleaseConfig) -> ReleaseConfig:
    """Name the key that signs: where none is configured, the user's own, which is made now rather than after training."""
    return config if config.signing.key else config.model_copy(update={"signing": Signing(key=own_key())})


def champions_of(tracker: Tracker, config: ReleaseConfig, target: Target) -> tuple[Champion | None, ...]:
    """Return the target's champion, and the one before it, as their history has them."""
    [chain] = histories_of(tracker, config.model_copy(update={"targets": (target,)}))
    return chain.champion, chain.rollback


def histories_of(tracker: Tracker, config: ReleaseConfig) -> list[Chain]:
    """Read the history of every target's model.

    Raises:
        StoreError: one cannot be trusted.
    """
    models = [f"{config.name}-{target.name}" for target in config.targets]
    return [ledger_of(tracker, config.tracking, model, Path(config.output)).read() for model in models]


def ledger_of(tracker: Tracker, tracking: Tracking, model: str, output: Path) -> Ledger:
    """Find the history of a model; its mirror lies in the output folder where the store is a server."""
    return Ledger.of(model, tracker, policy_of(tracking), output)


def starting_weights(model: ModelSpec) -> str:
    """Digest of the files a model starts from, and of the user's own architecture; empty where there are none."""
    weights = "".join(of_path(file) for file in create("frameworks", model.framework).files(model))
    return weights + (of_code(model.architecture.partition(":")[0]) if ":" in model.architecture else "")
