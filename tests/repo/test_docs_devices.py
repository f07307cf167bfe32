# SPDX-License-Identifier: Apache-2.0
"""Targets shown on the page about devices are valid, and every option of the devices stands in a table of it."""

import re
from pathlib import Path

import arm_root
import pytest
import yaml

from edgewright.bench import bench_of
from edgewright.config import ReleaseConfig
from edgewright.plugins import find

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "devices.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_targets_of_the_page_are_valid(block: str) -> None:
    config = ReleaseConfig.model_validate(yaml.safe_load(block))
    arm_root.prepare()
    for target in config.targets:
        bench = bench_of(target, config.measuring)
        bench.device.check(target.runtime, bench.options)


@pytest.mark.parametrize("device", ["ssh", "recorded", "qemu-aarch64"])
def test_the_page_lists_every_option(device: str) -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.split(f"device: {device}")[1].split("\n## ")[0], re.MULTILINE)
    assert listed == list(find("devices", device).Options.model_fields)
