# SPDX-License-Identifier: Apache-2.0
"""Warm start: a retraining begins from the float baseline that the present champion was made of.

Which release that is, and the digest of its facts, stands in the signed history; the facts name the baseline by its digest.
So its weights can lie in any store, and others in their place are refused.
"""

from collections.abc import Sequence
from pathlib import Path

from edgewright.artifact import Candidate
from edgewright.config.model import WEIGHTS, ModelSpec
from edgewright.config.release import ReleaseConfig
from edgewright.errors import ModelError, StoreError
from edgewright.promotion.chain import Chain
from edgewright.promotion.entry import VerdictRef
from edgewright.retraining import Retraining

_OR_SCRATCH = "retrain with 'start: scratch'"


def release_to_start_from(histories: Sequence[Chain], begun: Retraining | None) -> VerdictRef:
    """Choose the release whose baseline is trained further.

    Args:
        histories: of all the release's targets. Where their champions come from several releases, the one that was promoted
            last is taken: its baseline has seen the newest data.
        begun: a retraining that was cut short and goes on; it keeps the release it began from, though what it has promoted
            since may be champion by now.

    Raises:
        StoreError: there is no champion, or none of the histories knows the release that it began from.
    """
    if begun is not None and begun.parent:
        known = [link.entry.verdict for chain in histories for link in chain.valid if link.entry.verdict.run_id == begun.parent]
        if not known:
            raise StoreError(
                f"the retraining that was cut short began from run {begun.parent}, which was never promoted",
                where="start: warm",
                to_do=f"do not trust that record; {_OR_SCRATCH}",
            )
        return known[0]
    champions = [chain.champions[-1] for chain in histories if chain.champions]
    if not champions:
        models = ", ".join(chain.model for chain in histories)
        raise StoreError(f"there is no champion of {models} to start from", where="start: warm", to_do=_OR_SCRATCH)
    return max(champions, key=lambda entry: entry.when).verdict


def started_from(baseline: Candidate, release: ReleaseConfig) -> ReleaseConfig:
    """Return the release with the baseline as its starting weights.

    Raises:
        ModelError: it is of another architecture or framework, or its framework keeps weights that cannot be loaded again.
    """
    model, facts = release.model, baseline.facts
    of_it = f"{facts.framework} {facts.model.title}"
    if (facts.framework, facts.model.architecture) != (model.framework, model.architecture):
        raise ModelError(
            f"the champion was made of a baseline of {of_it}, and the release trains {model.framework} {model.title}",
            where="start: warm",
            to_do=f"{_OR_SCRATCH}, or release the architecture of the champion",
        )
    if WEIGHTS not in baseline.files:
        raise ModelError(f"a baseline of {of_it} has no {WEIGHTS} to load", where="start: warm", to_do=_OR_SCRATCH)
    started = model.model_copy(update={"weights": str(baseline.path), "allow_pickle": False})
    return release.model_copy(update={"model": started})


def parent_of(spec: ModelSpec) -> str | None:
    """Digest of the baseline whose weights a model starts from; None where they are of another origin.

    Raises:
        StoreError: the folder is no baseline as it was recorded, or was changed.
    """
    given = Path(spec.weights) if spec.weights else None
    return Candidate.open(given).digest if given and given.is_dir() else None
