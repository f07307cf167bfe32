# SPDX-License-Identifier: Apache-2.0
"""History, comparison and drill as tables for terminals, and the comparison as a page."""

from datetime import UTC

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgewright.promotion.chain import Chain, Link
from edgewright.promotion.diff import Row, Side, cautions, compare
from edgewright.promotion.drill import DrillFacts
from edgewright.promotion.policy import Policy
from edgewright.report.page import environment
from edgewright.report.text import plain

GROUPS = {"measured": "Measured", "interface": "What a client has to know", "origin": "What it was made of"}


def history_table(chain: Chain, policy: Policy, console: Console) -> None:
    """Print every entry of a history, the newest last."""
    table = _table("No.", "When (UTC)", "Who", "What", "Version", "Digest", "Why")
    void = {link.number for link in chain.void}
    for link in sorted([*chain.valid, *chain.void]):
        table.add_row(*_entry(link, policy, void=link.number in void))
    champion, rollback = chain.champion, chain.rollback
    now = f"champion version {champion.version}" if champion else "no champion"
    back = f"rollback to version {rollback.version}" if rollback else "nothing to roll back to"
    told = "its history cannot be trusted" if chain.problems else f"{now}, {back}"
    console.print(Text(f"{chain.model}: {told}", style="bold"))
    if table.row_count:
        console.print(table)


def diff_table(champion: Side, challenger: Side, console: Console) -> None:
    """Print a comparison."""
    for group, rows in _groups(compare(champion, challenger)).items():
        table = _table(group, f"champion: {champion.title}", f"challenger: {challenger.title}", "Change")
        for row in rows:
            style = "yellow" if row.change == "differs" else ""
            table.add_row(*(_cell(each, style) for each in (row.name, row.champion, row.challenger, row.change)))
        console.print(table)
        console.print()
    for line in cautions(champion, challenger):
        console.print(line)


def diff_page(champion: Side, challenger: Side) -> str:
    """Return a comparison as one HTML page that needs nothing else."""
    return (
        environment()
        .get_template("diff.html.j2")
        .render(
            champion=champion,
            challenger=challenger,
            groups=_groups(compare(champion, challenger)),
            cautions=cautions(champion, challenger),
        )
    )


def drill_table(facts: DrillFacts, console: Console) -> None:
    """Print what a drill found."""
    table = _table("Move", "Champion after it", "Took", "A client saw it after")
    for move in facts.moves:
        table.add_row(move.what, f"version {move.version}", f"{move.seconds:.2f} s", f"{move.seen_after_s:.2f} s")
    console.print(table)
    console.print(
        f"A client asked {facts.asked} times meanwhile and was given a champion each time. "
        f"Champion of {facts.model} is version {facts.champion}, as before.",
        highlight=False,
    )


def _groups(rows: list[Row]) -> dict[str, list[Row]]:
    return {title: [row for row in rows if row.group == group] for group, title in GROUPS.items()}


def _entry(link: Link, policy: Policy, *, void: bool) -> list[Text]:
    entry = link.entry
    name = policy.name_of(entry.who.key_id)
    who = f"{name or entry.who.name} ({entry.who.key_id[:12]})"
    why = f"void: another was faster. {entry.why}" if void else entry.why
    overruled = "".join(f"\noverruled: {each}" for each in entry.overruled)
    when = f"{entry.when.astimezone(UTC):%Y-%m-%d %H:%M}"
    cells = (str(link.number), when, who, entry.what, entry.version, entry.digest[:12], f"{why}{overruled}")
    return [_cell(each, "dim" if void else "") for each in cells]


def _cell(text: str, style: str) -> Text:
    return Text("\n").join(Text(plain(line), style=style) for line in text.split("\n"))


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(Text(plain(heading)), overflow="fold")
    return table
