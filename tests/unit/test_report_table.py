# SPDX-License-Identifier: Apache-2.0
"""The table for terminals and logs."""

import io

import pytest
from report_facts import make_facts
from rich.console import Console

from edgewright.report.table import as_text, render_table


@pytest.mark.parametrize("width", [80, 100, 160])
def test_table_fits_and_cuts_no_number(width: int) -> None:
    table = as_text(make_facts(), width)
    assert max(map(len, table.splitlines())) <= width
    for number in (
        "98.22 %",
        "[96.53, 99.09]",
        "−0.44 pp",
        "1.4 LSB",
        "98.4 kB",
        "/ 318 kB",
        "×0.309",
        "344 µs",
        "/ 671 µs",
        "/ 4.10 MB",
    ):
        assert number in table


def test_table_opens_with_the_verdict_and_closes_with_the_reasons() -> None:
    table = as_text(make_facts(), 160)
    assert table.startswith("digits: 1 of 3 targets promoted\n")
    assert [sign in table for sign in ("✓ pass", "? inconclusive", "✕ fail")] == [True] * 3
    reasons = table[table.index("board was not promoted") :]
    assert "ptq_w8a8 inconclusive: On 449 test samples" in reasons
    assert "fp16 failed: The converter refused the model" in reasons
    assert "fp16 skipped: tflite_micro cannot execute fp16" in reasons
    assert "phone" not in reasons


def test_evidence_is_marked_and_the_marks_are_explained() -> None:
    table = as_text(make_facts(), 120)
    assert "34.8 kB*" in table
    assert "3.10 ms*" in table
    assert "*: emulated, ~: estimated, no mark: measured" in table


def test_what_nobody_took_is_unknown() -> None:
    facts = make_facts()
    rung = facts.targets[2].rungs[0]
    kept = {name: taken for name, taken in rung.validation.measurements.items() if name == "top1"}
    run = rung.validation.model_copy(update={"measurements": kept})
    target = facts.targets[2].model_copy(update={"rungs": (rung.model_copy(update={"validation": run}),)})
    nothing = facts.targets[2].model_copy(update={"rungs": ()})
    assert as_text(facts.model_copy(update={"targets": (target,)}), 120).count("unknown") == 3
    assert as_text(facts.model_copy(update={"targets": (nothing,)}), 120).count("unknown") == 5


def test_words_of_others_change_neither_colours_nor_the_terminal() -> None:
    facts = make_facts()
    failed = facts.targets[1].rungs[1].model_copy(update={"reasons": ("[red]no[/red] \x1b[2J\x07 [/]\nline",)})
    target = facts.targets[1].model_copy(update={"rungs": (failed,)})
    table = as_text(facts.model_copy(update={"targets": (target,)}), 120)
    assert "fp16 failed: [red]no[/red] [2J [/] line" in table
    assert "\x1b" not in table


def test_terminal_gets_colours() -> None:
    page = io.StringIO()
    render_table(make_facts(), Console(file=page, width=120, force_terminal=True, color_system="standard"))
    assert "\x1b[32m✓ pass" in page.getvalue()
