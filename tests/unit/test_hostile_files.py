# SPDX-License-Identifier: Apache-2.0
"""No file from outside makes a reader stumble: it is read, or refused in a few printable words; nothing else, and soon.

`make fuzz` tries the same for long; see CONTRIBUTING.md.
"""

import base64
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import yaml
from drift_fleet import NOW, Fleet, make_training
from histories import Book
from hostile import damaged, hostile, hostile_yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from signed_bundles import Signed, sign_release

from edgewright.artifact import Artifact
from edgewright.config.drift import load_drift_config
from edgewright.config.load import load_config
from edgewright.config.load_as import load_as
from edgewright.config.promotion import PromotionConfig
from edgewright.config.retrain import RetrainConfig
from edgewright.data.sources import _npz
from edgewright.device import ProbePlan
from edgewright.drift import reference as drift_reference
from edgewright.drift.reference import Reference
from edgewright.drift.report import Refused, check, parse, sketches
from edgewright.errors import EdgewrightError
from edgewright.integrations.devices.recorded.answers import read_outputs
from edgewright.onboard.probe import ERROR, FACTS, OUTPUTS
from edgewright.probe import new_request, read_answer
from edgewright.promotion.chain import read_chain
from edgewright.promotion.entry import PAYLOAD_TYPE as ENTRY
from edgewright.promotion.ledger import _read_mirror
from edgewright.promotion.policy import OpenPolicy, load_policy
from edgewright.registry import Kept
from edgewright.report import release_json
from edgewright.trust.envelope import opened, sign
from edgewright.trust.keys import public_key, signer_of
from edgewright.trust.signed import BOM, MANIFEST, PROVENANCE, REFERENCE, VERDICT
from edgewright.trust.statement import PAYLOAD_TYPE
from edgewright.trust.verify import checked

ROOT = Path(__file__).parents[2]
#: characters of a refusal's three parts
SCREEN = 8000
#: arrays that claim to have a terabyte, in bytes or in one axis
HUGE = tuple(
    b"\x93NUMPY\x01\x00\x76\x00"
    + f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}".ljust(117).encode()
    + b"\n"
    for kind, shape in (("<f4", f"{10**12},"), ("|V1000000000", "1000,"), ("<f4", f"{2**62}, 4"), ("|O", "3,"))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return sign_release(tmp_path_factory.mktemp("signed"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return make_training(tmp_path_factory.mktemp("training"))


def read_or_refused(read: Callable[[], Any]) -> None:
    """Whatever is raised beside a refusal fails the test; a refusal is short and gives a terminal no orders."""
    try:
        read()
    except (EdgewrightError, Refused) as error:
        told = str(error)
    else:
        return
    assert len(told) <= SCREEN
    assert told.replace("\n", "").isprintable()


def in_file(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


# ---- what a release writes and others read ----


@given(data=st.data())
def test_manifests(signed: Signed, data: st.DataObject) -> None:
    sound = (signed.artifact.path / "bundle.json").read_bytes()
    try:
        in_file(signed.artifact.path, "bundle.json", data.draw(hostile(json.loads(sound))))
        read_or_refused(lambda: Artifact.open(signed.artifact.path))
    finally:
        in_file(signed.artifact.path, "bundle.json", sound)


@given(data=st.data())
def test_release_json(signed: Signed, folder: Path, data: st.DataObject) -> None:
    page = json.loads(release_json.dump(signed.facts))
    file = in_file(folder, "release.json", data.draw(hostile(page)))
    read_or_refused(lambda: release_json.read(file))


@given(data=st.data())
def test_references(reference: Reference, folder: Path, data: st.DataObject) -> None:
    file = in_file(folder, "reference.json", data.draw(hostile(json.loads(reference.model_dump_json()))))
    read_or_refused(lambda: drift_reference.read(file))


# ---- signed bundles: by strangers, and by a signer whose program is broken ----


@given(data=st.data())
def test_bundles_of_strangers(signed: Signed, folder: Path, data: st.DataObject) -> None:
    whole = signed.path.read_bytes()
    blocks = [whole[at : at + 512] for at in range(0, len(whole), 512)]
    shuffled = st.lists(st.sampled_from(blocks) | st.binary(max_size=600), max_size=40).map(b"".join)
    content = data.draw(damaged(whole) | shuffled | shuffled.map(lambda more: whole + more + b"\0"))
    assume(content != whole)
    with pytest.raises(EdgewrightError):
        checked(in_file(folder, "a.bundle", content), signed.trusted)


@given(name=st.sampled_from([MANIFEST, VERDICT, BOM, REFERENCE]), data=st.data())
def test_pages_of_signed_bundles(signed: Signed, folder: Path, name: str, data: st.DataObject) -> None:
    page = json.loads(signed.files.get(name, b'{"model": ""}'))
    file = signed.with_files(folder / "a.bundle", {name: data.draw(hostile(page))}, signed_again=True)
    read_or_refused(lambda: checked(file, signed.trusted))


@given(data=st.data())
def test_signed_statements(signed: Signed, folder: Path, data: st.DataObject) -> None:
    page = json.loads(base64.b64decode(json.loads(signed.files[PROVENANCE])["payload"]))
    envelope = sign(data.draw(hostile(page)), PAYLOAD_TYPE, signer_of(f"file:{signed.key}"))
    file = signed.with_files(folder / "a.bundle", {PROVENANCE: envelope})
    read_or_refused(lambda: checked(file, signed.trusted))


@given(data=st.data())
def test_envelopes(signed: Signed, data: st.DataObject) -> None:
    envelope = data.draw(hostile(json.loads(signed.files[PROVENANCE])))
    read_or_refused(lambda: opened(envelope, PAYLOAD_TYPE, signed.trusted, "here"))


# ---- histories ----


@given(data=st.data())
def test_entries_and_their_envelopes(signed: Signed, data: st.DataObject) -> None:
    signer = signer_of(f"file:{signed.key}")
    book = Book(signer)
    book.write("promote", 1)
    envelope = json.loads(book.kept[0].envelope)
    content = hostile(json.loads(base64.b64decode(envelope["payload"])))
    unsigned = content.map(lambda entry: json.dumps({**envelope, "payload": base64.b64encode(entry).decode()}).encode())
    drawn = data.draw(hostile(envelope) | unsigned | content.map(lambda entry: sign(entry, ENTRY, signer)))
    chain = read_chain(book.model, [Kept(number=1, envelope=drawn.decode(errors="replace"))], OpenPolicy())
    assert all(len(problem) <= SCREEN and problem.isprintable() for problem in chain.problems)


@given(data=st.data())
def test_mirrors(signed: Signed, folder: Path, data: st.DataObject) -> None:
    book = Book(signer_of(f"file:{signed.key}"))
    book.write("promote", 1)
    file = in_file(folder, "mirror.jsonl", data.draw(hostile(book.kept[0].model_dump())))

    def read() -> None:
        chain = read_chain(book.model, book.kept, OpenPolicy(), _read_mirror(file))
        assert len(chain.problems) < 10

    read_or_refused(read)


# ---- configurations ----

_CONFIGS: dict[str, Callable[[Path], Any]] = {
    "release": load_config,
    "drift": load_drift_config,
    "promotion": lambda file: load_as(PromotionConfig, file),
    "retrain": lambda file: load_as(RetrainConfig, file),
    "policy": load_policy,
}
_SOUND: dict[str, Any] = {
    "release": yaml.safe_load((ROOT / "examples" / "quickstart" / "release.yaml").read_text()),
    "drift": {"reports": "reports", "references": ["a.bundle"], "levels": {"alpha": 0.01}, "checks": {"max_hours": 50}},
    "promotion": {"release": "edgewright-out/digits", "target": "phone", "reason": "because", "override": True},
    "policy": {"keys": {"a": "a.pub"}, "may": [{"key": "a", "do": ["promote"], "models": ["a-*"], "until": "2027-01-01"}]},
}
_SOUND["retrain"] = {"drift": _SOUND["drift"], "release": "release.yaml", "new_data": {"name": "new", "source": "new.npz"}}


@pytest.mark.parametrize("kind", _CONFIGS)
@given(data=st.data())
def test_configurations(folder: Path, kind: str, data: st.DataObject) -> None:
    file = in_file(folder, f"{kind}.yaml", data.draw(hostile_yaml(_SOUND[kind])))
    read_or_refused(lambda: _CONFIGS[kind](file))


# ---- what devices send ----


@pytest.fixture(scope="module")
def report(reference: Reference, folder: Path) -> Any:
    return json.loads(Fleet(reference, folder).send("a").read_bytes())


@given(data=st.data())
def test_drift_reports(reference: Reference, report: Any, data: st.DataObject) -> None:
    def read() -> None:
        found = parse(data.draw(hostile(report)))
        check(found, reference, NOW)
        sketches(found)

    read_or_refused(read)


@given(data=st.data())
def test_answers_of_devices(signed: Signed, folder: Path, data: st.DataObject) -> None:
    request = new_request("a", signed.artifact.facts, ProbePlan(runtime="null", outputs=True))
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 3), np.float32))
    outputs = data.draw(st.just(stream.getvalue()) | damaged(stream.getvalue()) | st.sampled_from(HUGE))
    page = {"nonce": request.nonce, "outputs": hashlib.sha256(outputs).hexdigest(), "facts": {"latencies_ms": [1.0]}}
    in_file(folder, OUTPUTS, outputs)
    in_file(folder, FACTS, data.draw(st.just(json.dumps(page).encode()) | hostile(page)))
    read_or_refused(lambda: read_answer(folder, request))


@given(data=st.data())
def test_archives_of_arrays(signed: Signed, folder: Path, data: st.DataObject) -> None:
    stream = io.BytesIO()
    arrays = {"x": np.zeros((4, 3), np.float32), "y": np.arange(4), "id": np.arange(4), "outputs": np.zeros((4, 4), np.float32)}
    data.draw(st.sampled_from((np.savez, np.savez_compressed)))(stream, **arrays)
    file = in_file(folder, "outputs.npz", data.draw(damaged(stream.getvalue())))
    read_or_refused(lambda: read_outputs(file, list("0123"), signed.artifact.facts))
    read_or_refused(lambda: _npz(file))


@given(data=st.data())
def test_errors_of_devices(signed: Signed, data: st.DataObject) -> None:
    request = new_request("a", signed.artifact.facts, ProbePlan(runtime="null", outputs=True))
    with TemporaryDirectory() as folder:
        in_file(Path(folder), ERROR, data.draw(hostile({"what": "it broke", "where": "there", "to_do": "mend it"})))
        read_or_refused(lambda: read_answer(Path(folder), request))


# ---- keys ----


@given(data=st.data())
def test_keys(signed: Signed, folder: Path, data: st.DataObject) -> None:
    private, public = signed.key.read_bytes(), signed.key.with_suffix(".pub").read_bytes()
    file = in_file(folder, "a.pem", data.draw(damaged(private) | damaged(public) | st.binary(max_size=200)))
    read_or_refused(lambda: public_key(file))
    read_or_refused(lambda: signer_of(f"file:{file}"))


@given(kind=st.sampled_from(["", "file:", "env:", "hsm:"]), name=st.text(max_size=20))
def test_names_of_keys(kind: str, name: str) -> None:
    read_or_refused(lambda: signer_of(kind + name))
