# SPDX-License-Identifier: Apache-2.0
"""What a target says of its fleet and of what lasts."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgewright.config import Target
from edgewright.config.load import resolve_paths
from edgewright.config.release import ReleaseConfig


def target(**keys: object) -> Target:
    return Target.model_validate({"name": "pi", "runtime": "null", **keys})


def test_a_fleet_is_a_target_for_each_device_with_options_of_its_own() -> None:
    given = target(device_options={"user": "pi"}, fleet={"a": {"host": "a.local"}, "b": {"host": "b.local", "user": "me"}})
    first, second = given.members
    assert (first.member, first.options_of_device) == ("a", {"user": "pi", "host": "a.local"})
    assert (second.member, second.options_of_device) == ("b", {"user": "me", "host": "b.local"})
    assert target().members == (target(),)


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        ({"a": {"host": "x"}, "b": {"host": "x"}}, "'a' and 'b' have the same options, so they are one device"),
        ({}, "at least 1 item"),
        ({"a b": {}}, "pattern"),
    ],
)
def test_a_fleet_that_is_none_is_refused(fleet: dict[str, dict[str, str]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        target(fleet=fleet)


@pytest.mark.parametrize(("given", "seconds"), [("300s", 300), ("5min", 300), ("0.5 h", 1800), (45, 45)])
def test_a_soak_is_as_long_as_it_says(given: object, seconds: float) -> None:
    assert target(soak=given).soak == seconds


@pytest.mark.parametrize("given", ["long", "5 days", 0, "-3s"])
def test_a_soak_of_no_length_is_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        target(soak=given)


def test_a_meters_file_is_taken_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    asked = [{"name": name, "runtime": "null", "energy": energy} for name, energy in (("a", "power.csv"), ("b", "rapl"))]
    config = resolve_paths(ReleaseConfig.model_validate({"targets": asked}), tmp_path)
    assert [one.energy for one in config.targets] == [f"{tmp_path}/power.csv", "rapl"]
