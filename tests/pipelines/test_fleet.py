# SPDX-License-Identifier: Apache-2.0
"""A release to two fleets: every device runs the same file, the worst of them decides, and it is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from release_project import AFFINE, Project

DEVICE = '''
from edgewright.integrations.devices.null import NullDevice

class Board(NullDevice):
    """Turns round the answers to a share of the samples."""

    class Options(NullDevice.Options):
        wrong: float = 0.0
        desk: int = 0

    def probe(self, file, manifest, inputs, plan, options):
        facts, outputs = super().probe(file, manifest, inputs, plan, options)
        if outputs is not None:
            count = round(options.wrong * len(outputs))
            outputs[:count] = outputs[:count, ::-1]
        return facts, outputs
'''


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """Facts and page of a release to a fleet that agrees, and to one of whose devices a tenth of the answers is wrong."""
    project = Project(tmp_path_factory.mktemp("fleet"), AFFINE)
    (Path(project.folder) / "boards.py").write_text(DEVICE, encoding="utf-8")
    target = AFFINE["targets"][0] | {"device": "boards:Board"}
    agrees, disagrees = {"pi-a": {}, "pi-b": {"desk": 1}}, {"pi-a": {}, "pi-c": {"wrong": 0.1}}
    more = {"agrees": {"batches": [2], "soak": "1s"}, "disagrees": {}}
    fleets = {"agrees": agrees, "disagrees": disagrees}
    targets = [target | {"name": name, "fleet": fleet} | more[name] for name, fleet in fleets.items()]
    project.write(ladder=["ptq_w8a8"], targets=targets)
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 1, ended.output
    facts = json.loads((project.out / "release.json").read_text())
    return {one["name"]: one for one in facts["targets"]}, (project.out / "report.html").read_text()


def test_a_fleet_that_agrees_is_promoted_with_a_row_a_device(released: tuple[dict[str, Any], str]) -> None:
    targets, page = released
    assert targets["agrees"]["outcome"] == "pass"
    test = targets["agrees"]["rungs"][0]["test"]
    assert [one["device"]["name"] for one in test["fleet"]] == ["pi-a", "pi-b"]
    assert test["device"]["name"] == "pi-a, pi-b"
    assert page.count('<th scope="row">pi-b</th>') == 2, "one row on validation data, one on test data"


def test_one_device_that_disagrees_on_a_tenth_of_the_samples_stops_the_target_and_is_named(
    released: tuple[dict[str, Any], str],
) -> None:
    targets, _ = released
    assert targets["disagrees"]["outcome"] == "fail"
    screening = targets["disagrees"]["rungs"][0]["screening"]
    broken = {finding["rule"]: finding for finding in screening if finding["outcome"] != "pass"}
    assert {"accuracy", "parity"} <= broken.keys()
    for finding in broken.values():
        assert finding["reason"].startswith("pi-c: ")


def test_what_lasts_is_taken_once_of_the_rung_that_stands(
    released: tuple[dict[str, Any], str],
) -> None:
    targets, page = released
    rung = targets["agrees"]["rungs"][0]
    assert {"throughput_b2", "soak_drift"} <= rung["test"]["measurements"].keys()
    assert not {"throughput_b2", "soak_drift"} & rung["validation"]["measurements"].keys()
    assert "Throughput, batches of 2" in page
