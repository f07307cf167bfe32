# SPDX-License-Identifier: Apache-2.0
"""The end of a release: facts, report, record, signatures, promotion, and the verdict as an exit code."""

import fcntl
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from edgewright import __version__
from edgewright.artifact import Artifact, Candidate
from edgewright.config import ModelSpec, ReleaseConfig, Signing, Target, Tracking
from edgewright.data.dataset import Dataset
from edgewright.errors import GateRefused, StoreError
from edgewright.fingerprint import of_code, of_path, toolchain
from edgewright.metrics import metric
from edgewright.pipelines.climb import Climb, outcome_of
from edgewright.pipelines.context import Context
from edgewright.pipelines.deliver import deliver, deliver_bundles, describe
from edgewright.plugins import create
from edgewright.promotion.chain import Chain
from edgewright.promotion.ledger import Ledger
from edgewright.promotion.place import policy_of
from edgewright.promotion.release import REFERENCE_SUFFIX, REFUSED
from edgewright.registry import Champion, Tracker, for_steps, store_uri
from edgewright.report import release_json
from edgewright.report.facts import CheckResult, ConfusionChange, ReleaseFacts, TargetFacts
from edgewright.report.table import render_table
from edgewright.report.write import write_report
from edgewright.steps.promote_release import promote_release
from edgewright.steps.report_release import report_release
from edgewright.trust.keys import own_key, signer_for
from edgewright.trust.model_signature import SUFFIX as MODEL_SIGNATURE
from edgewright.trust.model_signature import sign_model
from edgewright.trust.signed import SUFFIX
from edgewright.validation import Baseline

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
    return [_ledger(tracker, config.tracking, model, Path(config.output)).read() for model in models]


def starting_weights(model: ModelSpec) -> str:
    """Digest of the files a model starts from, and of the user's own architecture; empty where there are none."""
    weights = "".join(of_path(file) for file in create("frameworks", model.framework).files(model))
    return weights + (of_code(model.architecture.partition(":")[0]) if ":" in model.architecture else "")


def facts_of(context: Context, climbs: list[Climb], checks: list[CheckResult], candidate: Candidate) -> ReleaseFacts:
    """Put together everything the release found out."""
    config, dataset, baseline = context.config, context.dataset.load(), context.baseline.outputs.load()
    modules = {module for target in config.targets for module in create("runtimes", target.runtime).requires}
    return ReleaseFacts(
        release=config.name,
        edgewright=__version__,
        metric=config.metric_name,
        higher_is_better=metric(config.metric_name).higher_is_better,
        config=json.loads(config.model_dump_json(exclude={"signing": True})),  # where a key lies is told to nobody
        data=dataset.card,
        data_digest=dataset.digest,
        code_digest=of_code("edgewright.pipelines.edge_release"),
        checks=tuple(checks),
        candidate=candidate.facts,
        candidate_digest=candidate.digest,
        baseline=baseline.facts.measurements,
        targets=tuple(_target_facts(climb, dataset, baseline) for climb in climbs),
        key=signer_for(config.signing).public_key.keyid,
        toolchain=toolchain(tuple(sorted({*modules, *create("frameworks", config.model.framework).requires}))),
    )


def conclude(facts: ReleaseFacts, climbs: list[Climb], context: Context, tracker: Tracker, folder: Path) -> None:
    """Write the report, record the release, sign and promote what passed, each only where it has not been done yet.

    Raises:
        GateRefused: at least one target was not promoted.
    """
    dataset, html, signing = context.dataset.load(), report_release(facts).load(), context.config.signing
    judged: dict[str, Artifact] = {climb.target.name: climb.judged.artifact.load() for climb in climbs if climb.judged}
    passed = {climb.target.name: judged[climb.target.name] for climb in climbs if climb.passed}
    ledgers = {name: _ledger(tracker, context.tracking, f"{facts.release}-{name}", folder.parent) for name in passed}
    run_id = tracker.recorded(release_json.digest_of(facts))
    # The report reaches the output folder after promotion: what lies there never claims what did not happen.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".report-") as name:
        staged = Path(name)
        if run_id is None or not all(_in_place(ledgers[name], artifact, run_id) for name, artifact in passed.items()):
            write_report(facts, staged, html)
            describe(passed, climbs, dataset, staged / "references")
            facts = facts.with_refusals(_promote(facts, passed, climbs, context, staged, folder))
        if any(target.not_promoted for target in facts.targets):
            html = report_release(facts).load()
            tracker.keep_report(release_json.digest_of(facts), *write_report(facts, staged, html))
        promoted = {name: each for name, each in passed.items() if name not in {target.name for target in facts.refused}}
        others = {name: each for name, each in judged.items() if name not in promoted}
        deliver(promoted, folder / "artifacts", SUFFIX, *([MODEL_SIGNATURE] if signing.model_signing else []))
        deliver(others, folder / REFUSED, SUFFIX, REFERENCE_SUFFIX)
        deliver_bundles(set(others) & set(passed), staged, folder / REFUSED)
    for name in promoted:
        champion = ledgers[name].read().champion
        if champion is not None and champion.digest == promoted[name].digest:
            tracker.fetch_bundle(champion.model, champion.version, folder / "artifacts" / f"{name}{SUFFIX}")
            if signing.model_signing:
                signature = folder / "artifacts" / f"{name}{MODEL_SIGNATURE}"
                sign_model(promoted[name], champion.model, signer_for(signing), signature)
    describe(promoted, climbs, dataset, folder / "references")
    describe(others, climbs, dataset, folder / REFUSED, REFERENCE_SUFFIX)
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


def _target_facts(climb: Climb, dataset: Dataset, baseline: Baseline) -> TargetFacts:
    rungs, target = list(climb.rungs), climb.target
    if climb.stop is not None:
        rungs[climb.stop.index] = rungs[climb.stop.index].model_copy(update={"confusion": _confusion(climb, dataset, baseline)})
    before = climb.stop.champion_before if climb.stop else None
    runtime = create("runtimes", target.runtime)
    return TargetFacts(
        name=target.name,
        runtime=target.runtime,
        device=target.device,
        runtime_versions=toolchain(runtime.runs_with or runtime.requires),
        bundle=f"artifacts/{target.name}{SUFFIX}" if climb.passed else None,
        model=f"{climb.context.config.name}-{target.name}",
        outcome=outcome_of(climb),
        passed_rung=climb.stop.index if climb.passed and climb.stop else None,
        rungs=tuple(rungs),
        budget=target.budget.model_dump(exclude_none=True),
        champion_before=before.digest if before else None,
        test_looks=climb.looks,
    )


def _confusion(climb: Climb, dataset: Dataset, baseline: Baseline) -> ConfusionChange | None:
    if dataset.card.task != "classification" or climb.stop is None:
        return None
    labels, count = dataset.labels("test"), len(dataset.card.labels)

    def table(outputs: Any) -> tuple[tuple[int, ...], ...]:
        flat = np.bincount(labels * count + outputs.argmax(axis=1), minlength=count * count)
        return tuple(tuple(int(cell) for cell in row) for row in flat.reshape(count, count))

    return ConfusionChange(
        labels=dataset.card.labels, baseline=table(baseline.outputs("test")), artifact=table(climb.stop.test.load().outputs())
    )


def _ledger(tracker: Tracker, tracking: Tracking, model: str, output: Path) -> Ledger:
    return Ledger.of(model, tracker, policy_of(tracking), output)


def _in_place(ledger: Ledger, artifact: Artifact, run_id: str) -> bool:
    """Whether the artifact is champion, signed with what this release says of it, and the aliases say so."""
    chain = ledger.read()
    if chain.champion is None or chain.champion.digest != artifact.digest or ledger.misplaced(chain):
        return False
    known = ledger.registry.champion(ledger.model)
    return known is not None and known.run == run_id
