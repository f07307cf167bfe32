# SPDX-License-Identifier: Apache-2.0
"""Pages by a signer whose key is trusted and whose program is broken: whatever they hold, the answer is a refusal."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_bundles import Signed, sign_release

from edgewright.errors import EdgewrightError, StoreError
from edgewright.trust.signed import BOM, MANIFEST, PROVENANCE, VERDICT
from edgewright.trust.verify import checked

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return sign_release(tmp_path_factory.mktemp("signed"))


@settings(max_examples=120)
@given(name=st.sampled_from([MANIFEST, VERDICT, BOM, PROVENANCE]), data=st.data())
def test_no_page_makes_the_reader_stumble(signed: Signed, name: str, data: st.DataObject) -> None:
    def change(page: Any) -> None:
        """Put anything at one place of the page, at any depth."""
        at = page
        while True:
            keys = range(len(at)) if isinstance(at, list) else sorted(at)
            key = data.draw(st.sampled_from(keys))
            if not (isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans())):
                at[key] = data.draw(_JSON)
                return
            at = at[key]

    out = signed.path.with_name("changed.bundle")
    try:
        checked(signed.with_page(out, name, change), signed.trusted)
    except EdgewrightError:
        return
    finally:
        assert {file.name for file in out.parent.iterdir()} == {
            "changed.bundle", "made", "phone.bundle", "release.pem", "release.pub",
        }  # fmt: skip


@pytest.mark.parametrize("name", [MANIFEST, VERDICT, BOM])
@pytest.mark.parametrize("page", [b"", b"[]", b"[" * 200_000, b'{"a":' * 200_000, b"\xff", b"9" * 5000, b'"\\ud800"', b"{}"])
def test_what_is_no_page_is_told(signed: Signed, name: str, page: bytes, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is not JSON|is not a JSON object|does not hold|of a None|CycloneDX"):
        checked(signed.with_files(tmp_path / "a.bundle", {name: page}, signed_again=True), signed.trusted)


def test_what_a_signer_claims_cannot_write_to_the_terminal(signed: Signed, tmp_path: Path) -> None:
    envelope = json.loads(signed.files[PROVENANCE])
    claims = [{"keyid": f"\x1b[2J{index}", "sig": "aGk="} for index in range(1000)]
    hostile = signed.with_files(tmp_path / "a.bundle", {PROVENANCE: json.dumps({**envelope, "signatures": claims}).encode()})
    with pytest.raises(StoreError) as told:
        checked(hostile, signed.trusted)
    assert "\x1b" not in str(told.value)
    assert len(str(told.value)) < 1000

    def change(page: Any) -> None:
        page["predicate"]["runDetails"]["metadata"]["invocationId"] = "\x1b[2J"

    bundle = checked(signed.with_page(tmp_path / "b.bundle", PROVENANCE, change), signed.trusted)
    assert not [check for check in bundle.checks if "\x1b" in check.found]
