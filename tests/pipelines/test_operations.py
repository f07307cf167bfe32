# SPDX-License-Identifier: Apache-2.0
"""The tutorial from a release to the next one, as a reader types it: sign, publish, roll back, drill, drift, retrain."""

import json
from pathlib import Path

from documented import follow


def test_every_block_does_what_the_page_says(tmp_path: Path) -> None:
    told = dict(follow("operations.md", tmp_path))
    assert "✓ every entry signed and in its place" in told["$ edgewright history --verify"]
    out = tmp_path / "edgewright-out" / "pump"
    [target] = json.loads((out / "release.json").read_text())["targets"]
    judged = [finding["reason"] for finding in target["rungs"][-1]["gate"] if finding["rule"] == "champion"]
    assert ["batch 'first'" in judged[0], "batch 'autumn'" in judged[1]] == [True, True]
    drill = json.loads((out / "drill.json").read_text())
    assert drill
