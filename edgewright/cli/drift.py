# SPDX-License-Identifier: Apache-2.0
"""`edgewright drift`: what devices have reported, held against what their models were made for."""

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from edgewright.errors import ConfigError


@click.command()
@click.argument("reports", type=click.Path(path_type=Path))
@click.option(
    "--reference",
    "references",
    multiple=True,
    required=True,
    metavar="BUNDLE|FILE",
    help="Of an artifact in the field: its signed bundle, or reference.json.",
)
@click.option("--config", type=click.Path(path_type=Path), help="A drift.yaml: its levels, checks and name apply.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("drift"), show_default=True, help="Folder for page and facts."
)
@click.option("--now", metavar="TIME", help="Judge as of this time, such as 2026-11-21T06:00:00; left out, as of now.")
@click.option("--tracking", metavar="URI", help="MLflow tracking URI to record the check in; left out, it is not recorded.")
def drift(
    reports: Path, references: tuple[str, ...], config: Path | None, output: Path, now: str | None, tracking: str | None
) -> None:
    """Say whether devices' data have drifted.

    REPORTS is the folder that devices' reports go to, or one file of them. Those of the last day are judged, and those of
    the last week together.
    Ends with 0 when there is no drift, 11 when there is a difference that is real and small, 10 when there is drift, 2 when
    the reports cannot be judged by.
    """
    from rich.console import Console

    from edgewright.config.drift import DriftLevels, ReportChecks, load_drift_config
    from edgewright.drift.check import conclude, read_references, record, require_sound, show
    from edgewright.drift.judge import judge
    from edgewright.drift.merge import merge_reports
    from edgewright.drift.page import write_drift
    from edgewright.plugins import create
    from edgewright.progress import stage

    given = load_drift_config(config) if config else None
    levels, rules = (given.levels, given.checks) if given else (DriftLevels(), ReportChecks())
    known = read_references(references)
    with stage("Merging reports"):
        fleet = merge_reports(reports, known, _seconds(now), levels.max_device_share)
    with stage("Checking the reports"):
        checks = create("services", "great_expectations").check_reports(fleet, rules)
    facts = judge(fleet, known, levels, checks, given.name if given else "drift")
    page, _ = write_drift(facts, output)
    show(facts, Console())
    click.echo(f"report   {page.absolute()}")
    if tracking:
        record(facts, output, tracking, given.tracking.experiment if given else "edgewright")
    require_sound(checks)
    conclude(facts, page)


def _seconds(now: str | None) -> float:
    if now is None:
        return time.time()
    try:
        moment = datetime.fromisoformat(now)
    except ValueError:
        raise ConfigError(f"{now!r} is no time", where="--now", to_do="such as 2026-11-21T06:00:00 (UTC)") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
