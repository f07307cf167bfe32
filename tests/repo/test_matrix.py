# SPDX-License-Identifier: Apache-2.0
"""docs/reference/matrix.md is what the integrations say of themselves."""

from pathlib import Path

from edgewright import plugins
from edgewright.cli.matrix import render, tables

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "matrix.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "python -m edgewright.cli.matrix > docs/reference/matrix.md"


def test_passes_are_as_the_runtime_has_them() -> None:
    passes = next(table for table in tables() if table.title == "passes on files")
    row = next(row for row in passes.rows() if row[0] == "coreml")
    can = {column for column, cell in zip(passes.columns, row[1:], strict=True) if cell == "yes"}
    assert can == {"float", "wo_w8", "palettize", "fp16", "qat_w8a8"}


def test_a_file_is_told_with_the_frameworks_of_whoever_writes_it() -> None:
    row = next(row for row in tables()[0].rows() if row[0] == "tflite_micro")
    assert row[2] == ", ".join(plugins.find("runtimes", "litert").frameworks)
