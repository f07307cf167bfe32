# SPDX-License-Identifier: Apache-2.0
"""Two devices of one target: machines over SSH that run the same file, and recorded boards of which one is wrong."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bare_python import bare_python
from boards import hand_in
from digits_files import Digits, digits_files
from ssh_server import closed_port, ssh_server

from edgewright.config import GateConfig, Target
from edgewright.errors import DeviceError
from edgewright.fleet import join_runs
from edgewright.gate.fleet import worst_of
from edgewright.gate.screen import screen
from edgewright.validation import ValidationFacts, ValidationRun


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    return digits_files(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Two machines that are reached over SSH: one server, and two users' places on it."""
    folder = tmp_path_factory.mktemp("machines")
    for name in ("pi-a", "pi-b"):
        bare_python(folder / name, "numpy")
    with ssh_server(folder) as server:
        keys = {"identity": str(folder / "user_key"), "known_hosts": server.known_hosts(), "port": server.port}
        fleet = {name: {"python": str(folder / name / "python"), "folder": str(folder / name)} for name in ("pi-a", "pi-b")}
        options = {"host": "127.0.0.1", "retries": 0, **keys}
        yield Target.model_validate(
            {"name": "pi", "runtime": "null", "device": "ssh", "device_options": options, "fleet": fleet,
             "budget": {"latency_p95_ms": 10_000}}
        )  # fmt: skip


def on_all(digits: Digits, target: Target, folder: Path) -> ValidationRun:
    runs = [digits.validate(member, folder / member.member, with_parent=False) for member in target.members]
    (folder / "joined").mkdir()
    return join_runs(runs, "top1", folder / "joined")


def screened(target: Target, every: tuple[ValidationFacts, ...], drop: float = 0.0) -> dict[str, tuple[str, str]]:
    """Outcome and reason of each rule."""
    verdict = worst_of({facts.device.name: screen(target, facts, drop, GateConfig()) for facts in every})
    return {finding.rule: (finding.outcome, finding.reason) for finding in verdict.findings}


def test_two_machines_run_the_same_file_and_the_slower_one_is_held_to_the_limit(
    digits: Digits, machines: Target, tmp_path: Path
) -> None:
    joined = on_all(digits, machines, tmp_path)
    first, second = joined.facts.fleet
    assert (first.device.name, second.device.name) == ("pi-a", "pi-b")
    slower = max(first, second, key=lambda facts: facts.measurements["latency_p95_ms"].value)
    latency = joined.facts.measurements["latency_p95_ms"]
    assert latency.value == slower.measurements["latency_p95_ms"].value
    assert latency.method.endswith(f"on {slower.device.name}, the worst of 2 devices")
    np.testing.assert_array_equal(joined.outputs("pi-a"), joined.outputs("pi-b"))
    outcome, reason = screened(machines, joined.facts.fleet)["latency"]
    assert outcome == "pass"
    assert reason.startswith(f"{slower.device.name}: ")


def test_a_machine_that_cannot_be_reached_is_named_as_the_fleet_has_it(
    digits: Digits, machines: Target, tmp_path: Path
) -> None:
    assert machines.fleet
    gone = machines.model_copy(update={"fleet": machines.fleet | {"pi-b": {"port": closed_port(), "connect_timeout": 1}}})
    with pytest.raises(DeviceError, match=r"^pi-b: .* cannot be reached"):
        digits.validate(gone.members[1], tmp_path / "pi-b")


def test_a_board_that_disagrees_on_a_tenth_of_the_samples_fails_the_fleet_and_is_named(digits: Digits, tmp_path: Path) -> None:
    fleet = {name: {"folder": str(tmp_path / name), "board": name} for name in ("desk-a", "desk-b")}
    target = Target(name="desk", runtime="null", device="recorded", device_options={"machine": "Cortex-M4"}, fleet=fleet)
    for member, wrong in zip(target.members, (0.0, 0.1), strict=True):
        with pytest.raises(DeviceError, match=f"{member.member}: .*were not handed in yet"):
            digits.validate(member, tmp_path / "asked" / member.member)
        (samples,) = (tmp_path / member.member).glob("int8-*/samples-*")
        hand_in(samples, wrong)
    joined = on_all(digits, target, tmp_path / "runs")
    good, bad = joined.facts.fleet
    assert good.parity.agreement is not None
    assert bad.parity.agreement is not None
    assert bad.parity.agreement == pytest.approx(good.parity.agreement - 0.1, abs=0.01)
    assert joined.facts.parity == bad.parity
    assert joined.facts.measurements["top1"].value == bad.measurements["top1"].value
    np.testing.assert_array_equal(joined.outputs(), joined.outputs("desk-b"))
    assert {file.partition("/")[0] for file in joined.facts.device.handed_in} == {"desk-a", "desk-b"}
    outcome, reason = screened(target, joined.facts.fleet)["parity"]
    assert outcome == "fail"
    assert reason.startswith("desk-b: ")
