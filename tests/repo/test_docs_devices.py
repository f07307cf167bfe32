# SPDX-License-Identifier: Apache-2.0
"""Targets shown on the pages about devices and measuring are valid; every option of the devices stands in a table."""

import re
from pathlib import Path

import arm_root
import pytest
import yaml

from edgewright.bench import bench_of
from edgewright.config import ReleaseConfig
from edgewright.plugins import find

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
PAGE, MEASURE, ANDROID = ((HOW_TO / f"{name}.md").read_text(encoding="utf-8") for name in ("devices", "measure", "android"))


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE + MEASURE + ANDROID, re.DOTALL))
def test_targets_of_the_pages_are_valid(block: str) -> None:
    config = ReleaseConfig.model_validate(yaml.safe_load(block))
    arm_root.prepare()
    for target in config.targets:
        bench = bench_of(target, config.measuring)
        if target.device != "adb":  # which looks for the user's programs
            bench.device.check(target.runtime, bench.options)


@pytest.mark.parametrize(("page", "device"), [(PAGE, "ssh"), (PAGE, "recorded"), (PAGE, "qemu-aarch64"), (ANDROID, "adb")])
def test_the_page_lists_every_option(page: str, device: str) -> None:
    listed = re.findall(r"^\| `(\w+)` \|", page.split(f"device: {device}")[1].split("\n## ")[0], re.MULTILINE)
    assert listed == list(find("devices", device).Options.model_fields)
