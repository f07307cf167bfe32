# SPDX-License-Identifier: Apache-2.0
"""Write the report of a release: report.html for people, release.json for programs."""

from pathlib import Path

from edgewright.report import release_json
from edgewright.report.atomic import write_text
from edgewright.report.facts import ReleaseFacts
from edgewright.report.page import render_page


def write_report(facts: ReleaseFacts, folder: Path, html: str | None = None) -> tuple[Path, Path]:
    """Write report.html and release.json into ``folder``, each whole or not at all; return their paths.

    Args:
        facts: the whole release.
        folder: made when it is not there.
        html: the page of these facts, where it has been rendered already.

    Raises:
        StoreError: the folder cannot be written.
    """
    page, record = folder / "report.html", folder / "release.json"
    write_text(page, html or render_page(facts))
    release_json.write(facts, record)
    return page, record
