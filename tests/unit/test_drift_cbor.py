# SPDX-License-Identifier: Apache-2.0
"""Reports in CBOR say what those in JSON say, in fewer bytes; what CBOR can do beyond that is refused."""

import base64
import contextlib
import json
import struct
import sys
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
import pytest
from drift_fleet import HOUR, NOW, Fleet, answer, make_training, shift_first
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.drift.cbor import parse_cbor
from edgewright.drift.merge import merge_reports
from edgewright.drift.reference import Reference
from edgewright.drift.report import LONGEST, Refused, parse
from edgewright.errors import ConfigError, ToolkitMissing
from edgewright.monitor import Monitor


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return make_training(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def page(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a device has sent as CBOR."""
    sent = Fleet(reference, tmp_path_factory.mktemp("fleet")).send("camera-17", samples=500, encoding="cbor")
    read: dict[str, Any] = cbor2.loads(sent.read_bytes())
    return read


def as_json(page: dict[str, Any]) -> bytes:
    features = {
        name: {**feature, "kll": base64.b64encode(feature["kll"]).decode()} for name, feature in page["features"].items()
    }
    return json.dumps({**page, "features": features}, separators=(",", ":")).encode()


def test_a_report_says_the_same_in_both_encodings_and_is_smaller_in_cbor(page: dict[str, Any]) -> None:
    terse = cbor2.dumps(page)
    assert parse_cbor(terse) == parse(as_json(page))
    assert len(terse) < 0.8 * len(as_json(page))


def test_randomized_answers_travel_too(reference: Reference, tmp_path: Path) -> None:
    sent = Fleet(reference, tmp_path).send("camera-17", samples=500, epsilon=2.0, encoding="cbor")
    report = parse_cbor(sent.read_bytes())
    assert report.epsilon == 2.0
    assert sum(sum(feature.buckets) for feature in report.features.values()) + sum(report.classes or ()) == 500  # type: ignore[union-attr]


def test_devices_of_both_encodings_are_merged_and_one_that_changes_over_is_one_device(
    reference: Reference, tmp_path: Path
) -> None:
    fleet = Fleet(reference, tmp_path)
    fleet.send_many(3)
    for number in range(3):
        fleet.send(f"terse-{number}", encoding="cbor", change=shift_first(2))
    fleet.send("terse-0", days_ago=2)
    broken = fleet.send("broken", encoding="cbor")
    broken.write_bytes(broken.read_bytes() + b"\0")
    found = merge_reports(fleet.reports, {reference.model: reference}, NOW, 0.5, 1)
    assert found.refused == {"not CBOR": 1}
    assert found.examples["not CBOR"][0].startswith("broken-")
    day, week = sorted(found.groups, key=lambda group: group.window)
    assert (day.devices, day.samples, week.devices, week.samples) == (6, 600, 6, 700)


def test_a_device_goes_on_with_its_numbers_when_its_encoding_changes(reference: Reference, tmp_path: Path) -> None:
    now = [float(NOW)]
    numbers = []
    for encoding in ("json", "cbor", "json"):
        device = Monitor(
            json.loads(reference.model_dump_json()), "camera-17", tmp_path, encoding=encoding, clock=lambda: now[0]
        )
        samples = np.zeros((3, 3), np.float32)
        device.observe(samples, answer(samples))
        now[0] += 24 * HOUR
        written = device.report()
        assert written.suffix == f".{encoding}"
        numbers.append(int(written.stem))
        (tmp_path / "state.json").unlink()  # the outbox alone says where the numbers were
    assert numbers == sorted(set(numbers))


# ---- what is refused ----

HEAD = b"\xa1\x68features"  # a map of one key
HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not CBOR"),
    "JSON": (b'{"schema_version": 1}', "not CBOR"),
    "a number": (b"\x01", "breaks the schema"),
    "a list of reports": (b"\x80", "breaks the schema"),
    "a key twice": (b"\xa2\x61a\x01\x61a\x02", "not CBOR"),
    "a number as key": (b"\xa1\x01\x01", "not CBOR"),
    "bytes as key": (b"\xa1\x41a\x01", "breaks the schema"),
    "a map of indefinite length": (b"\xbf\x61a\x01\xff", "not CBOR"),
    "a text of indefinite length": (HEAD + b"\x7f\x61a\xff", "not CBOR"),
    "nesting": (HEAD + b"\x81" * 9 + b"\x01", "not CBOR"),
    "nesting without end": (b"\x81" * 900_000, "not CBOR"),
    "a list of 2^62": (HEAD + b"\x9b" + struct.pack(">Q", 2**62), "not CBOR"),
    "bytes of 2^62": (HEAD + b"\x5b" + struct.pack(">Q", 2**62), "not CBOR"),
    "a map of 2^62": (b"\xbb" + struct.pack(">Q", 2**62), "not CBOR"),
    "a decimal fraction of many digits": (HEAD + b"\xc4\x82\x1a\x7f\xff\xff\xff\x01", "not CBOR"),
    "no UTF-8": (HEAD + b"\x61\xff", "not CBOR"),
    "undefined": (HEAD + b"\xf7", "breaks the schema"),
    "a simple value": (HEAD + b"\xf8\x63", "breaks the schema"),
    "more than is read": (b"\x5a\x00\x0f\x42\x40" + bytes(LONGEST), "too long"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_device_of_ours_writes_is_refused(name: str) -> None:
    data, reason = HOSTILE[name]
    with pytest.raises(Refused) as refused:
        parse_cbor(data)
    assert refused.value.reason == reason
    assert len(refused.value.detail) < 300


@pytest.mark.parametrize("tag", [*range(64), 100, 256, 258, 260, 261, 1004, 43000, 55799, 2**32, 2**64 - 1])
def test_every_tag_is_refused_before_it_is_computed(tag: int) -> None:
    with pytest.raises(Refused) as refused:
        parse_cbor(HEAD + cbor2.dumps(cbor2.CBORTag(tag, [1, 1])))
    assert (refused.value.reason, "tag" in refused.value.detail) == ("not CBOR", True)


@pytest.mark.parametrize(
    "change",
    [
        {"samples": float("nan")},
        {"samples": 2**63},
        {"samples": -1},
        {"device": b"camera-17"},
        {"device": "../../etc"},
        {"epsilon": float("inf")},
        {"admin": True},
        {"features": [1]},
        {"features": {"feature 0": {"n": 1, "missing": 0, "kll": "AAAA"}}},
        {"features": {"feature 0": {"n": 1, "missing": 0, "kll": [1]}}},
        {"features": {"feature 0": {"n": 1, "missing": 0, "kll": bytes(7000)}}},
        {"features": {"feature 0": b"sketch"}},
    ],
    ids=str,
)
def test_the_schema_holds_for_both_encodings(page: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        parse_cbor(cbor2.dumps({**page, **change}))
    assert refused.value.reason == "breaks the schema"


@settings(max_examples=300)
@given(data=st.data())
def test_no_bytes_make_the_reader_stumble(page: dict[str, Any], data: st.DataObject) -> None:
    """Bytes of any kind, and a report with some of its bytes changed: refused, or read as a report."""
    good = cbor2.dumps(page)
    at = data.draw(st.integers(0, len(good) - 1))
    hostile = data.draw(
        st.one_of(st.binary(max_size=300), st.binary(max_size=8).map(lambda new: good[:at] + new + good[at + 1 :]))
    )
    with contextlib.suppress(Refused):
        parse_cbor(hostile)


def test_without_cbor2_both_sides_say_the_pip_line(
    reference: Reference, page: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = cbor2.dumps(page)
    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(ToolkitMissing, match="pip install 'cbor2"):
        Monitor(json.loads(reference.model_dump_json()), "camera-17", tmp_path, encoding="cbor")
    with pytest.raises(ToolkitMissing, match=r"pip install 'edgewright\[cbor\]'"):
        parse_cbor(data)
    with pytest.raises(ConfigError, match="not written as 'xml'"):
        Monitor(json.loads(reference.model_dump_json()), "camera-17", tmp_path, encoding="xml")
