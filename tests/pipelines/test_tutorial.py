# SPDX-License-Identifier: Apache-2.0
"""The tutorial on one's own model, as a reader types it."""

from pathlib import Path

from documented import follow


def test_every_block_does_what_the_page_says(tmp_path: Path) -> None:
    first, again, more = (output for line, output in follow("own-model.md", tmp_path) if line == "$ edgewright run")
    assert "Training" in first
    assert "Training" not in again + more
    assert "Timing" not in again
