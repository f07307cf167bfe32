# SPDX-License-Identifier: Apache-2.0
"""Targets shown on the pages about devices and measuring are valid; every option of the devices stands in a table."""

import re
from pathlib import Path

import pytest
import yaml

from edgewright.bench import bench_of
from edgewright.config import ReleaseConfig
from edgewright.plugins import find

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "devices.md").read_text(encoding="utf-8")


MEASURE = (Path(__file__).parents[2] / "docs" / "how-to" / "measure.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE + MEASURE, re.DOTALL))
def test_targets_of_the_pages_are_valid(block: str) -> None:
    config = ReleaseConfig.model_validate(yaml.safe_load(block))
    for target in config.targets:
        bench = bench_of(target, config.measuring)
        bench.device.check(target.runtime, bench.options)


@pytest.mark.parametrize("device", ["ssh", "recorded"])
def test_the_page_lists_every_option(device: str) -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.split(f"device: {device}")[1].split("\n## ")[0], re.MULTILINE)
    assert listed == list(find("devices", device).Options.model_fields)
