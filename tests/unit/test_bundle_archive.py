# SPDX-License-Identifier: Apache-2.0
"""The archive of a bundle is written in one way, and whatever differs from that is refused before anything is made of it."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_bundles import Signed, sign_release

from edgewright.errors import EdgewrightError, StoreError
from edgewright.trust import archive
from edgewright.trust.verify import checked


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return sign_release(tmp_path_factory.mktemp("signed"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


def tar_of(path: Path, *members: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT, mode: str = "w") -> Path:
    with tarfile.open(path, mode, format=form) as tar:  # type: ignore[call-overload]
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def member(name: str = "a", kind: bytes = tarfile.REGTYPE, size: int = 0, **more: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size = kind, size
    for key, value in more.items():
        setattr(made, key, value)
    return made


def test_any_tar_unpacks_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(range(256)) * 40)
    archive.write(tmp_path / "a.tar", {"b/c.bin": tmp_path / "large", "b/ü.txt": b"text", "a": b""})
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == ["a", "b/c.bin", "b/ü.txt"]
        assert {info.mtime for info in tar} == {0}
        tar.extractall(tmp_path / "out", filter="data")
    assert (tmp_path / "out" / "b" / "c.bin").read_bytes() == (tmp_path / "large").read_bytes()
    entries = archive.read(tmp_path / "a.tar")
    assert [archive.content(tmp_path / "a.tar", entry, 10**6) for entry in entries.values()] == [
        b"", bytes(range(256)) * 40, b"text",
    ]  # fmt: skip


_HOSTILE: dict[str, Callable[[Path], Path]] = {
    "a link": lambda path: tar_of(path, member(kind=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "a hard link": lambda path: tar_of(path, member("a", size=1), member("b", tarfile.LNKTYPE, linkname="a")),
    "a device": lambda path: tar_of(path, member(kind=tarfile.CHRTYPE, devmajor=1, devminor=5)),
    "a pipe": lambda path: tar_of(path, member(kind=tarfile.FIFOTYPE)),
    "a folder": lambda path: tar_of(path, member(kind=tarfile.DIRTYPE)),
    "a sparse file": lambda path: tar_of(path, member(kind=tarfile.GNUTYPE_SPARSE)),
    "an owner": lambda path: tar_of(path, member(uid=1000, uname="somebody")),
    "a time": lambda path: tar_of(path, member(mtime=1)),
    "a program": lambda path: tar_of(path, member(mode=0o755)),
    "packed": lambda path: tar_of(path, member(size=10**6), mode="w:gz"),
    "a pax header": lambda path: tar_of(path, member("x" * 300), form=tarfile.PAX_FORMAT),
    "a long name in GNU's way": lambda path: tar_of(path, member("x" * 300), form=tarfile.GNU_FORMAT),
    "a file above the folder": lambda path: tar_of(path, member("../a")),
    "a file above a folder in it": lambda path: tar_of(path, member("a/../../b")),
    "an absolute name": lambda path: tar_of(path, member("/etc/passwd")),
    "a drive": lambda path: tar_of(path, member("C:a")),
    "backslashes": lambda path: tar_of(path, member("..\\a")),
    "an empty part": lambda path: tar_of(path, member("a//b")),
    "a dot": lambda path: tar_of(path, member("./a")),
    "a control character": lambda path: tar_of(path, member("a\x1b[2J")),
    "a name twice": lambda path: tar_of(path, member("a"), member("a")),
    "names that differ in case alone": lambda path: tar_of(path, member("A"), member("a")),
    "a file where a folder is": lambda path: tar_of(path, member("a"), member("a/b")),
    "out of order": lambda path: tar_of(path, member("b"), member("a")),
    "more behind its end": lambda path: tar_of(path, member()),  # tarfile fills up to 10,240 bytes
}


@pytest.mark.parametrize("kind", _HOSTILE)
def test_what_write_would_not_have_written_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        archive.read(_HOSTILE[kind](tmp_path / "a.tar"))
    assert [file.name for file in tmp_path.iterdir()] == ["a.tar"]


def test_sizes_and_counts_are_bounded_before_they_are_believed(tmp_path: Path) -> None:
    header = archive._header("a", archive.LARGEST_FILE)
    assert header is not None
    (tmp_path / "claims 4 GB").write_bytes(header)
    with pytest.raises(StoreError, match="cut short"):
        archive.read(tmp_path / "claims 4 GB")
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(archive.LARGEST + 1)
    with pytest.raises(StoreError, match="are no bundle"):
        archive.read(tmp_path / "huge")
    archive.write(tmp_path / "many", {f"{index:04}": b"" for index in range(archive.MOST_FILES + 1)})
    with pytest.raises(StoreError, match="files are no bundle"):
        archive.read(tmp_path / "many")
    archive.write(tmp_path / "one", {"page": b"12345"})
    with pytest.raises(StoreError, match="at most 4 are read"):
        archive.content(tmp_path / "one", archive.read(tmp_path / "one")["page"], 4)


def test_names_that_no_archive_can_hold_are_refused_when_it_is_written(tmp_path: Path) -> None:
    for name in ("../a", "/a", "a" * 300, "a\nb", ""):
        with pytest.raises(StoreError):
            archive.write(tmp_path / "a.tar", {name: b""})


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot read a bundle: No such file"):
        archive.read(tmp_path / "a.bundle")


@settings(max_examples=400)
@given(data=st.data())
def test_every_bit_of_a_bundle_counts(signed: Signed, folder: Path, data: st.DataObject) -> None:
    content = bytearray(signed.path.read_bytes())
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    changed = folder / "bit.bundle"
    changed.write_bytes(content)
    with pytest.raises(EdgewrightError):
        checked(changed, signed.trusted)
