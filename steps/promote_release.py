# SPDX-License-Identifier: Apache-2.0
"""Record the release in the tracker, sign what passed and promote it."""

from pathlib import Path
from typing import Annotated

import click
from zenml import step

from edgewright.artifact import Artifact, Candidate
from edgewright.config import Signing, Tracking
from edgewright.errors import GateRefused
from edgewright.plugins import create
from edgewright.progress import stage
from edgewright.promotion.ledger import Ledger
from edgewright.promotion.place import policy_of
from edgewright.promotion.promote import promote
from edgewright.promotion.release import Offer, Recorded
from edgewright.registry import store_uri
from edgewright.report.facts import ReleaseFacts
from edgewright.trust.keys import signer_for
from edgewright.trust.release import sign_target
from edgewright.trust.signed import SUFFIX


@step(enable_cache=False)
def promote_release(
    facts: ReleaseFacts,
    digest: str,
    baseline: Candidate,
    artifacts: list[Artifact],
    names: list[str],
    tracking: Tracking,
    signing: Signing,
    files: str,
    output: str,
) -> Annotated[dict[str, str], "not_promoted"]:
    """Record runs, then sign, register and promote; never cached, since the registry is asked and not the cache.

    What the gate passed is recorded and signed also where it is not promoted, so that it can be promoted later.

    Args:
        facts: the whole release.
        digest: digest of the facts.
        baseline: what everything was made of; it is kept with the record, for a later warm start.
        artifacts: what passed the gate.
        names: the targets they passed for, in the same order.
        tracking: where to record, and the policy of promotion.
        signing: the key.
        files: folder with report.html, release.json, and references/<target>.json for drift; the signed bundles are written
            into it.
        output: folder for the mirrors of histories where the store is a server.

    Returns:
        Name of each target that was not promoted to why: the policy does not allow it, or another release was promoted since
        the champion was judged against.
    """
    tracker = create("services", "mlflow")
    tracker.connect(store_uri(tracking), tracking.experiment)
    policy, signer = policy_of(tracking), signer_for(signing)
    passed = dict(zip(names, artifacts, strict=True))
    offers = [Offer(facts, target, passed[target.name]) for target in facts.targets if target.name in passed]
    not_promoted: dict[str, str] = {}
    ledgers = [Ledger.of(offer.model, tracker, policy, Path(output)) for offer in offers]
    with stage("Recording and promoting"):
        run_id = tracker.recorded(digest) or tracker.record(facts, digest, Path(files), passed)
        tracker.keep_baseline(run_id, baseline)
        finished = tracker.recorded_at(run_id)
        for offer, ledger in zip(offers, ledgers, strict=True):
            bundle = Path(files) / f"{offer.target.name}{SUFFIX}"
            reference = (Path(files) / "references" / f"{offer.target.name}.json").read_bytes()
            sign_target(facts, offer.target, offer.artifact, run_id, finished, signer, bundle, reference)
            tags = tracker.keep_bundle(run_id, offer.artifact, bundle) | {"edgewright.key": signer.public_key.keyid}
            try:
                done = promote(offer, Recorded(run_id, digest, tags), tracker, ledger, signer)
            except GateRefused as refusal:  # it stops no other target
                not_promoted[offer.target.name] = f"{refusal.what}. To do: {refusal.to_do}."
                continue
            for line in done.repaired:
                click.echo(f"repaired: {line}", err=True)
    return not_promoted
