# SPDX-License-Identifier: Apache-2.0
"""`edgewright promote`, `rollback`, `history`, `diff` and `drill`: who is champion, and why."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgewright.errors import ConfigError, GateRefused

if TYPE_CHECKING:
    from edgewright.config import ReleaseConfig
    from edgewright.promotion.diff import Side
    from edgewright.promotion.place import Place
    from edgewright.promotion.promote import Done

PATH = click.Path(path_type=Path)
RELEASE = click.argument("release", type=PATH)
MODEL = click.argument("model", required=False)
TARGET = click.option("--target", help="Name of the target; left out, the only one.")
CONFIG = click.option(
    "--config", type=PATH, help="A release.yaml, whose store, policy and key apply; left out, release.yaml here."
)
OWN_CONFIG = click.option(
    "--config",
    type=PATH,
    help="A release.yaml, whose store, policy and key apply; left out, the release's own and your own key.",
)
REASON = click.option("--reason", default="", help="Why; kept in the history.")


@click.command()
@RELEASE
@TARGET
@click.option("--to", type=click.Choice(["champion"]), default="champion", show_default=True, help="What it becomes.")
@REASON
@click.option(
    "--override", is_flag=True, help="Promote though something speaks against it; needs --reason, and the policy's leave."
)
@OWN_CONFIG
def promote(release: Path, target: str | None, to: str, reason: str, override: bool, config: Path | None) -> None:
    """Make what a release made for a target the champion.

    It is refused without a passing verdict, when its files or its verdict were changed, when the champion is another one by
    now, when data or code are older than the policy allows, and to keys that may not.

    RELEASE is the folder it wrote (<output>/<name>), or the release.json in it.
    """
    from edgewright.promotion.place import offered
    from edgewright.promotion.promote import promote as promote_offer

    del to  # there is one alias to promote to
    place, offer, recorded = offered(release, target, _config(config) if config else None)
    done = promote_offer(offer, recorded, place.tracker, place.ledger(offer.model), place.signer, reason, override=override)
    _tell(done)


@click.command()
@MODEL
@click.option("--target", help="Name of a target of the release.yaml, instead of MODEL.")
@REASON
@CONFIG
def rollback(model: str | None, target: str | None, reason: str, config: Path | None) -> None:
    """Make the champion before this one champion again.

    MODEL is the registered name, <release>-<target>.
    """
    from edgewright.promotion.promote import roll_back

    place, models = _models(model, target, config)
    if len(models) != 1:
        raise ConfigError("there are several models", to_do=f"name one of: {', '.join(models)}")
    place.require_history(models[0])
    _tell(roll_back(place.ledger(models[0]), place.signer, reason))


@click.command()
@MODEL
@click.option("--target", help="Name of a target of the release.yaml, instead of MODEL.")
@click.option(
    "--verify", is_flag=True, help="Check every entry, the aliases and the policy; end with 1 when something is wrong."
)
@click.option("--repair", is_flag=True, help="Set the aliases to what the history says.")
@CONFIG
def history(model: str | None, target: str | None, verify: bool, repair: bool, config: Path | None) -> None:
    """Show who made what the champion, when and why.

    MODEL is the registered name, <release>-<target>; left out, all of the release.yaml.
    """
    from rich.console import Console

    from edgewright.promotion.shown import history_table

    place, models = _models(model, target, config)
    wrong: list[str] = []
    for each in models:
        ledger = place.ledger(each)
        chain = ledger.look()
        if (model or (verify and len(models) == 1)) and not chain.numbers:
            place.require_history(each)
        misplaced = ledger.misplaced(chain) if not chain.problems else []
        history_table(chain, place.policy, Console())
        for problem in [*chain.problems, *misplaced, *chain.disallowed]:
            click.echo(click.style(f"✗ {problem}", fg="red"))
        if repair:
            ledger.settle()
            for line in misplaced:
                click.echo(f"repaired: {line}")
            misplaced = []
        wrong += [f"{each}: {problem}" for problem in [*chain.problems, *misplaced, *chain.disallowed]]
        if verify and not wrong and not chain.numbers:
            click.echo("– there is no entry yet, and so nothing to verify")
        elif verify and not wrong:
            counted = f"{len(chain.valid)} valid, {len(chain.void)} void"
            click.echo(
                f"✓ every entry signed and in its place ({counted}); aliases as the history says; mirror {ledger.mirror}"
            )
    if verify and wrong:
        more = f" (and {len(wrong) - 1} more, above)" if len(wrong) > 1 else ""
        raise GateRefused(
            f"this is wrong: {wrong[0]}{more}",
            where=place.tracker.shown,
            to_do="docs/how-to/champion-and-rollback.md says what to do when a history is wrong",
        )


@click.command()
@click.argument("champion")
@click.argument("challenger")
@TARGET
@click.option("--page", type=PATH, default=Path("diff.html"), show_default=True, help="Where the page is written.")
@CONFIG
def diff(champion: str, challenger: str, target: str | None, page: Path, config: Path | None) -> None:
    """Compare champion and challenger, in a table and on a page.

    It shows what was measured of each, what clients would have to change, and what each was made of.

    CHAMPION and CHALLENGER are folders of releases, or versions such as digits-phone@champion or digits-phone/3.
    """
    from rich.console import Console

    from edgewright.promotion.shown import diff_page, diff_table
    from edgewright.report.atomic import write_text

    before, after = _side(champion, target, config), _side(challenger, target, config)
    diff_table(before, after, Console())
    write_text(page, diff_page(before, after))
    click.echo(f"page     {page.absolute()}")


@click.command()
@RELEASE
@TARGET
@OWN_CONFIG
def drill(release: Path, target: str | None, config: Path | None) -> None:
    """Rehearse promotion and rollback, as clients see it.

    What a release made takes the champion's place and gives it back; where it is champion already, the one before it does. The
    seconds are kept in drill.json beside release.json.

    RELEASE is the folder it wrote (<output>/<name>), or the release.json in it.
    """
    from rich.console import Console

    from edgewright.promotion.drill import drill as rehearse
    from edgewright.promotion.place import offered
    from edgewright.promotion.shown import drill_table
    from edgewright.report.atomic import write_text

    place, offer, recorded = offered(release, target, _config(config) if config else None)
    facts = rehearse(offer, recorded, place)
    drill_table(facts, Console())
    record = (release if release.is_dir() else release.parent) / "drill.json"
    write_text(record, facts.model_dump_json(indent=1) + "\n")
    click.echo(f"seconds  {record.resolve()}")


def _models(model: str | None, target: str | None, config: Path | None) -> "tuple[Place, list[str]]":
    """Find the store, and the models that are meant."""
    from edgewright.config import Signing, Tracking
    from edgewright.promotion.place import Place

    here = Path("release.yaml")
    release = _config(config or here) if config or here.is_file() else None
    if release is None and model is None:
        raise ConfigError("which model?", to_do="name it, such as digits-phone, or give --config release.yaml")
    place = Place.of(release) if release else Place.at(Tracking(), Signing(), Path("edgewright-out"))
    if model is not None or release is None:
        return place, [str(model)]
    names = [each.name for each in release.targets]
    if target is not None and target not in names:
        raise ConfigError(f"there is no target {target!r}", where="--target", to_do=f"one of: {', '.join(names)}")
    return place, [f"{release.name}-{name}" for name in ([target] if target else names)]


def _side(text: str, target: str | None, config: Path | None) -> "Side":
    from edgewright.promotion.diff import Side
    from edgewright.promotion.release import facts_in, target_in

    if Path(text).exists():
        facts, *_ = facts_in(Path(text))
        return Side(text, facts, target_in(facts, target))
    model, mark, which = text.partition("@") if "@" in text else text.partition("/")
    if not mark or not which or (mark == "/" and not which.isdecimal()):
        raise ConfigError(
            f"{text!r} is neither a folder of a release nor a version",
            to_do="such as edgewright-out/digits, digits-phone@champion, digits-phone@rollback or digits-phone/3",
        )
    place, _ = _models(model, None, config)
    place.require_history(model)
    version = place.ledger(model).version(which)
    facts, name = place.tracker.release_of(model, version)
    return Side(f"{model} version {version}", facts, target_in(facts, name))


def _config(file: Path) -> "ReleaseConfig":
    from edgewright.config.load import load_config

    return load_config(file)


def _tell(done: "Done") -> None:
    for line in done.repaired:
        click.echo(f"repaired: {line}", err=True)
    for line in done.overruled:
        click.echo(f"overruled: {line}", err=True)
    before = f", before it version {done.before.version}" if done.before and done.changed else ""
    stays = "" if done.changed else " already"
    click.echo(
        f"{done.champion.model}: champion is{stays} version {done.champion.version} ({done.champion.digest[:12]}){before}"
    )
    if done.bundle is not None:
        click.echo(f"signed: {done.bundle}, which says that it was overridden; verify and publish take it with --overridden")
