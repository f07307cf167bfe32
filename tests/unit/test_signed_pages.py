# SPDX-License-Identifier: Apache-2.0
"""Pages by a signer whose key is trusted and whose program is broken: whatever they hold, the answer is a refusal."""

import json
from pathlib import Path
from typing import Any

import pytest
from signed_bundles import Signed, sign_release

from edgewright.errors import StoreError
from edgewright.trust.signed import BOM, MANIFEST, PROVENANCE, VERDICT
from edgewright.trust.verify import checked


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return sign_release(tmp_path_factory.mktemp("signed"))


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
