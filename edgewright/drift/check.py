# SPDX-License-Identifier: Apache-2.0
"""One drift check, from folders to facts: what the command line and the pipeline's steps share."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from edgewright.data.checks import require
from edgewright.drift.facts import DriftFacts, DriftVerdict
from edgewright.drift.page import probability, titled, why
from edgewright.drift.reference import Reference, read
from edgewright.errors import ConfigError, DriftFound, DriftWatched
from edgewright.plugins import create
from edgewright.report.facts import CheckResult

_SIGNS: dict[DriftVerdict, str] = {"none": "[green]✓ no drift[/]", "watch": "[yellow]? watch[/]", "drift": "[red]✕ drift[/]"}


def read_references(paths: Sequence[str]) -> dict[str, Reference]:
    """Read the references of all artifacts in the field, by the digest of the model.

    Raises:
        StoreError: one is none.
        ConfigError: two are of the same model.
    """
    found: dict[str, Reference] = {}
    for path in paths:
        reference = read(Path(path))
        if reference.model in found:
            raise ConfigError(f"two references are of the same model, {reference.model[:12]}", where=path, to_do="name it once")
        found[reference.model] = reference
    return found


def require_sound(checks: Sequence[CheckResult]) -> None:
    """Return when the reports can be judged by.

    Raises:
        DataError: rules are broken; of what is missing or wrong nobody can say whether it has drifted.
    """
    to_do = "look at the devices or the way their reports come; or change the rule if it asks for too much"
    require(checks, "the reports break", "checks", to_do)


def show(facts: DriftFacts, console: Console) -> None:
    """Print what was found, a line a group, and each feature that differs."""
    for group in facts.groups:
        console.print(f"{_SIGNS[group.verdict]}  {titled(group)}: {why(group)}", highlight=False, soft_wrap=True)
        for feature in group.features:
            if feature.verdict != "none":
                numbers = f"size {feature.size:.3f}, p {probability(feature.p_value)}, PSI {feature.psi:.3f}"
                console.print(
                    f"    {feature.verdict:5} {feature.name}: {numbers}", highlight=False, soft_wrap=True, markup=False
                )
    taken = f"{facts.reports} reports taken, {sum(facts.refused.values())} refused, {facts.old} older than a week"
    console.print(taken, highlight=False)
    for reason, count in facts.refused.items():
        console.print(
            f"    refused, {reason}: {count}, such as {facts.examples[reason][0]}",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )


def conclude(facts: DriftFacts, page: Path) -> None:
    """Return when there is no drift.

    Raises:
        DriftFound: there is.
        DriftWatched: there is a difference that is real and small.
    """
    if facts.verdict != "none":
        groups = [titled(group) for group in facts.groups if group.verdict == facts.verdict]
        kind = DriftFound if facts.verdict == "drift" else DriftWatched
        raise kind(
            f"{facts.verdict}: {'; '.join(groups)}",
            where=str(page),
            to_do="look at the page, then at the data of these devices",
        )


def record(facts: DriftFacts, folder: Path, uri: str, experiment: str) -> str:
    """Record a check in the tracker, once; return its run id.

    Args:
        facts: the whole check.
        folder: with drift.html and drift.json.
        uri: of the store.
        experiment: in it.

    Raises:
        StoreError: the store cannot be reached or written.
    """
    tracker = create("services", "mlflow")
    tracker.connect(uri, experiment)
    run: str = tracker.record_drift(facts, hashlib.sha256(facts.model_dump_json().encode()).hexdigest(), folder)
    return run
