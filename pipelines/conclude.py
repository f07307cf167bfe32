# SPDX-License-Identifier: Apache-2.0
"""The end of a release: report, record, signatures, promotion, and the verdict as an exit code."""

import tempfile
from pathlib import Path

from rich.console import Console

from edgewright.artifact import Artifact
from edgewright.errors import GateRefused
from edgewright.pipelines.begin import ledger_of
from edgewright.pipelines.climb import Climb
from edgewright.pipelines.context import Context
from edgewright.pipelines.deliver import deliver, deliver_bundles, describe
from edgewright.promotion.ledger import Ledger
from edgewright.promotion.release import REFERENCE_SUFFIX, REFUSED
from edgewright.registry import Tracker
from edgewright.report import release_json
from edgewright.report.facts import ReleaseFacts
from edgewright.report.table import render_table
from edgewright.report.write import write_report
from edgewright.steps.promote_release import promote_release
from edgewright.steps.report_release import report_release
from edgewright.trust.keys import signer_for
from edgewright.trust.model_signature import SUFFIX as MODEL_SIGNATURE
from edgewright.trust.model_signature import sign_model
from edgewright.trust.signed import SUFFIX


def conclude(facts: ReleaseFacts, climbs: list[Climb], context: Context, tracker: Tracker, folder: Path) -> None:
    """Write the report, record the release, sign and promote what passed, each only where it has not been done yet.

    Raises:
        GateRefused: at least one target was not promoted.
    """
    html: str = report_release(facts).load()
    judged: dict[str, Artifact] = {climb.target.name: climb.judged.artifact.load() for climb in climbs if climb.judged}
    passed = {climb.target.name: judged[climb.target.name] for climb in climbs if climb.passed}
    ledgers = {name: ledger_of(tracker, context.tracking, f"{facts.release}-{name}", folder.parent) for name in passed}
    run_id = tracker.recorded(release_json.digest_of(facts))
    # The report reaches the output folder after promotion: what lies there never claims what did not happen.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".report-") as name:
        staged = Path(name)
        if run_id is None or not all(_in_place(ledgers[name], artifact, run_id) for name, artifact in passed.items()):
            write_report(facts, staged, html)
            describe(passed, climbs, context.dataset.load(), staged / "references")
            facts = facts.with_refusals(_promote(facts, passed, climbs, context, staged, folder))
        if any(target.not_promoted for target in facts.targets):
            html = report_release(facts).load()
            tracker.keep_report(release_json.digest_of(facts), *write_report(facts, staged, html))
        promoted = {name: each for name, each in passed.items() if name not in {target.name for target in facts.refused}}
        others = {name: each for name, each in judged.items() if name not in promoted}
        _lay_out(promoted, others, climbs, context, folder)
        deliver_bundles(set(others) & set(passed), staged, folder / REFUSED)
    for name, artifact in promoted.items():
        _fetch_signatures(name, artifact, ledgers[name], tracker, context, folder / "artifacts")
    _tell(facts, write_report(facts, folder, html), tracker, folder)


def _promote(
    facts: ReleaseFacts, passed: dict[str, Artifact], climbs: list[Climb], context: Context, staged: Path, folder: Path
) -> dict[str, str]:
    """Record, sign and promote; return why targets were not promoted that passed."""
    handles = [climb.judged.artifact for climb in climbs if climb.judged and climb.passed]
    signing, digest = context.config.signing, release_json.digest_of(facts)
    baseline, output = context.baseline.candidate, str(folder.parent)
    not_promoted: dict[str, str] = promote_release(
        facts, digest, baseline, handles, list(passed), context.tracking, signing, str(staged), output
    ).load()
    return not_promoted


def _lay_out(
    promoted: dict[str, Artifact], others: dict[str, Artifact], climbs: list[Climb], context: Context, folder: Path
) -> None:
    """Leave what was promoted and what was not, each with what drift is measured against."""
    dataset, beside = context.dataset.load(), [SUFFIX, *([MODEL_SIGNATURE] if context.config.signing.model_signing else [])]
    deliver(promoted, folder / "artifacts", *beside)
    deliver(others, folder / REFUSED, SUFFIX, REFERENCE_SUFFIX)
    describe(promoted, climbs, dataset, folder / "references")
    describe(others, climbs, dataset, folder / REFUSED, REFERENCE_SUFFIX)


def _fetch_signatures(name: str, artifact: Artifact, ledger: Ledger, tracker: Tracker, context: Context, folder: Path) -> None:
    """Lay the champion's signed bundle beside its artifact, and a model signature where it is asked for."""
    champion, signing = ledger.read().champion, context.config.signing
    if champion is None or champion.digest != artifact.digest:
        return
    tracker.fetch_bundle(champion.model, champion.version, folder / f"{name}{SUFFIX}")
    if signing.model_signing:
        sign_model(artifact, champion.model, signer_for(signing), folder / f"{name}{MODEL_SIGNATURE}")


def _tell(facts: ReleaseFacts, written: tuple[Path, Path], tracker: Tracker, folder: Path) -> None:
    """Print how it ended, and where everything lies.

    Raises:
        GateRefused: at least one target was not promoted.
    """
    console, (page, facts_file) = Console(), written
    render_table(facts, console)
    promoted = len(facts.targets) > len(facts.refused)
    signed = f"signed   {folder / 'artifacts'}/*{SUFFIX} by key {facts.key[:12]}\n" if promoted and facts.key else ""
    shown = f"report   {page}\nfacts    {facts_file}\n{signed}mlflow   {tracker.shown}"
    console.print(shown, soft_wrap=True, highlight=False)
    if facts.refused:
        names = ", ".join(target.name for target in facts.refused)
        raise GateRefused(f"{len(facts.refused)} of {len(facts.targets)} targets not promoted: {names}", where=str(page))


def _in_place(ledger: Ledger, artifact: Artifact, run_id: str) -> bool:
    """Whether the artifact is champion, signed with what this release says of it, and the aliases say so."""
    chain = ledger.read()
    if chain.champion is None or chain.champion.digest != artifact.digest or ledger.misplaced(chain):
        return False
    known = ledger.registry.champion(ledger.model)
    return known is not None and known.run == run_id
