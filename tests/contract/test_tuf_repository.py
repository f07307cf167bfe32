# SPDX-License-Identifier: Apache-2.0
"""A repository of bundles on a real static host: what is offered arrives, and who holds the host cannot deceive a client."""

import contextlib
import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from signed_bundles import Signed, sign_release
from tuf.api.metadata import Metadata, TargetFile

from edgewright.errors import ConfigError, StoreError
from edgewright.integrations.services.tuf import Tuf
from edgewright.integrations.services.tuf.keep import create
from edgewright.trust.keys import signer_of
from edgewright.trust.verify import checked

PHONE = "targets/onnxruntime/digits-phone.bundle"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return sign_release(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def second(first: Signed, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """The same target's next release."""
    return sign_release(tmp_path_factory.mktemp("second"), content=b"better", key=first.key)


@pytest.fixture(scope="module")
def made(first: Signed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository that offers the first release, its keys, and its root for clients."""
    folder = tmp_path_factory.mktemp("made")
    Tuf().create(folder / "repository", [folder / "keys"], 3, 2)
    Tuf().publish([checked(first.path, first.trusted)], folder / "repository", [folder / "keys"], None)
    shutil.copy(folder / "repository" / "metadata" / "1.root.json", folder / "root.json")
    return folder


class Keeper:
    """Whoever keeps a repository, and a client that has seen nothing of it yet."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.repository, self.keys = folder, folder / "repository", [folder / "keys"]
        self.base = self.repository.as_uri()

    def publish(self, signed: Signed) -> list[str]:
        return Tuf().publish([checked(signed.path, signed.trusted)], self.repository, self.keys, None)

    def fetch(self, path: str = PHONE) -> bytes:
        out = self.folder / "fetched"
        out.mkdir(exist_ok=True)
        return Tuf().fetch(f"{self.base}/{path}", self.folder / "root.json", out, lambda check: None).read_bytes()

    def copy(self, name: str) -> Path:
        return shutil.copytree(self.repository, self.folder / name)

    def serve(self, other: Path) -> None:
        """Whoever holds the host puts other files there."""
        shutil.rmtree(self.repository)
        shutil.copytree(other, self.repository)

    def key(self, role: str, number: int = 1) -> Path:
        return self.keys[0] / f"{role}-{number}.pem"


@pytest.fixture
def keeper(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "client"))
    return Keeper(shutil.copytree(made, tmp_path / "made"))


@contextlib.contextmanager
def static_host(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_bundle_is_fetched_from_a_static_host_and_its_root_is_remembered(keeper: Keeper, first: Signed) -> None:
    with static_host(keeper.repository) as base:
        with pytest.raises(ConfigError, match="this repository is not known yet"):
            Tuf().fetch(f"{base}/{PHONE}", None, keeper.folder, lambda check: None)
        told: list[str] = []
        file = Tuf().fetch(f"{base}/{PHONE}", keeper.folder / "root.json", keeper.folder, lambda check: told.append(check.name))
        assert file.read_bytes() == first.path.read_bytes()
        assert told == ["repository", "offered"]
        assert Tuf().fetch(f"{base}/{PHONE}", None, keeper.folder, lambda check: None) == file
        with pytest.raises(StoreError, match=r"the repository offers no onnxruntime/other\.bundle"):
            Tuf().fetch(f"{base}/targets/onnxruntime/other.bundle", None, keeper.folder, lambda check: None)
    with pytest.raises(StoreError, match="cannot fetch from the repository"):
        Tuf().fetch(f"{base}/{PHONE}", None, keeper.folder, lambda check: None)


def test_the_next_release_takes_the_place_of_the_one_before(keeper: Keeper, first: Signed, second: Signed) -> None:
    assert keeper.fetch() == first.path.read_bytes()
    assert keeper.publish(first) == ["unchanged onnxruntime/digits-phone.bundle"]
    keeper.publish(second)
    assert keeper.fetch() == second.path.read_bytes()


def test_a_rollback_is_refused(keeper: Keeper, second: Signed) -> None:
    old = keeper.copy("old")
    keeper.publish(second)
    keeper.fetch()
    keeper.serve(old)
    with pytest.raises(StoreError, match="was rolled back or mixed up"):
        keeper.fetch()


def test_an_old_bundle_in_the_new_one_s_place_is_refused(keeper: Keeper, first: Signed, second: Signed) -> None:
    keeper.publish(second)
    offered = next((keeper.repository / "targets" / "onnxruntime").glob(f"{second.digest}.*"))
    offered.write_bytes(first.path.read_bytes())
    with pytest.raises(StoreError, match="a file is not what the repository's metadata says"):
        keeper.fetch()


def test_a_freeze_ends_with_the_timestamp(keeper: Keeper, first: Signed, tmp_path: Path) -> None:
    """Nothing is forged: the host goes on serving what was true eight days ago."""
    past = datetime.now(UTC) - timedelta(days=8)
    frozen = Keeper(tmp_path / "frozen")
    create(frozen.repository, frozen.keys, 1, 1, past)
    shutil.copy(frozen.repository / "metadata" / "1.root.json", frozen.folder / "root.json")
    with pytest.raises(StoreError, match=r"has expired: nobody refreshed it, or news are kept from you \(timestamp"):
        frozen.fetch()
    assert not list((tmp_path / "client" / "edgewright" / "repositories").glob("*/root.json")), (
        "what proved nothing is not kept"
    )
    Tuf().refresh(frozen.repository, frozen.keys)
    frozen.publish(first)
    assert frozen.fetch() == first.path.read_bytes()


def test_a_stolen_key_of_a_family_offers_nothing_by_itself(keeper: Keeper, second: Signed) -> None:
    """The thief holds the host and the family's key, and neither snapshot's nor timestamp's."""
    keeper.fetch()
    family = keeper.repository / "metadata" / "2.onnxruntime.json"
    stolen = Metadata.from_file(str(keeper.repository / "metadata" / "1.onnxruntime.json"))
    stolen.signed.targets["onnxruntime/digits-phone.bundle"] = TargetFile.from_file(
        "onnxruntime/digits-phone.bundle", str(second.path), ["sha256"]
    )
    stolen.signed.version = 2
    stolen.sign(signer_of(f"file:{keeper.key('onnxruntime')}"))
    stolen.to_file(str(family))
    shutil.copy(second.path, keeper.repository / "targets" / "onnxruntime" / f"{second.digest}.digits-phone.bundle")
    assert keeper.fetch() != second.path.read_bytes(), "no snapshot names it"
    stolen.to_file(str(family.with_name("1.onnxruntime.json")))
    shutil.rmtree(keeper.folder.parent / "client")
    with pytest.raises(StoreError, match="was rolled back or mixed up"):
        keeper.fetch()


def test_after_its_key_was_stolen_a_role_gets_a_new_one_and_the_thief_s_is_refused(
    keeper: Keeper, first: Signed, second: Signed
) -> None:
    """The thief holds the host and all keys but root's and targets': until the rotation, and not after."""
    keeper.fetch()
    thief = Keeper(shutil.copytree(keeper.folder, keeper.folder.parent / "thief"))
    for kept in [*thief.keys[0].glob("root-*"), *thief.keys[0].glob("targets-*")]:
        kept.unlink()
    for role in ("onnxruntime", "snapshot", "timestamp"):
        assert "may sign no more" in Tuf().rotate(keeper.repository, role, keeper.keys)[0]
    assert keeper.fetch() == first.path.read_bytes()
    thief.publish(second)
    for file in (thief.repository / "metadata").glob("*onnxruntime.json"):
        shutil.copy(file, keeper.repository / "metadata")
    for name in ("timestamp.json", *(file.name for file in (thief.repository / "metadata").glob("*.snapshot.json"))):
        shutil.copy(thief.repository / "metadata" / name, keeper.repository / "metadata")
    with pytest.raises(StoreError, match="is not signed by the keys that may"):
        keeper.fetch()


def test_a_stolen_key_of_targets_does_not_make_a_root(keeper: Keeper) -> None:
    forged = Metadata.from_file(str(keeper.repository / "metadata" / "1.root.json"))
    forged.signed.version = 2
    forged.signatures.clear()
    forged.sign(signer_of(f"file:{keeper.key('targets')}"))
    forged.sign(signer_of(f"file:{keeper.key('root')}"), append=True)  # one root key is not two
    forged.to_file(str(keeper.repository / "metadata" / "2.root.json"))
    with pytest.raises(StoreError, match=r"is not signed by the keys that may \(root was signed by 1/2 keys\)"):
        keeper.fetch()


def test_root_is_rotated_by_a_threshold_of_its_keys_and_clients_follow(keeper: Keeper, first: Signed) -> None:
    keeper.fetch()
    lost = [keeper.key("root", number).read_bytes() for number in (2, 3)]
    keeper.key("root", 3).unlink()
    assert "root: " in Tuf().rotate(keeper.repository, "root", keeper.keys)[0]
    assert keeper.fetch() == first.path.read_bytes(), "from the first root on, which the client has"
    for key in keeper.keys[0].glob("root-*"):
        key.unlink()
    keeper.key("root", 2).write_bytes(lost[0])
    with pytest.raises(StoreError, match="too few of them are here"):
        Tuf().rotate(keeper.repository, "timestamp", keeper.keys)


def test_refresh_renews_what_is_due_and_says_whose_keys_are_missing(keeper: Keeper) -> None:
    for name in ("root", "targets"):
        for key in keeper.keys[0].glob(f"{name}-*"):
            key.unlink()
    later = datetime.now(UTC) + timedelta(days=100)
    lines = {line.split()[0]: line for line in Tuf().refresh(keeper.repository, keeper.keys, later)}
    assert lines["root"].startswith("root           version 1")
    assert "due, and its keys are not here" in lines["targets"]
    assert "version 2" in lines["onnxruntime"]
    assert lines["timestamp"].endswith(f"{later + timedelta(days=7):%Y-%m-%d}")
    with pytest.raises(StoreError, match="targets has expired, and its keys are not here"):
        Tuf().refresh(keeper.repository, keeper.keys, later + timedelta(days=100))


def test_what_cannot_be_is_refused_in_a_sentence(keeper: Keeper, first: Signed) -> None:
    with pytest.raises(StoreError, match="there is a repository already"):
        Tuf().create(keeper.repository, keeper.keys, 1, 1)
    with pytest.raises(ConfigError, match="3 of 2 root keys cannot sign"):
        Tuf().create(keeper.folder / "new", keeper.keys, 2, 3)
    with pytest.raises(StoreError, match="there is no repository"):
        Tuf().refresh(keeper.folder / "nowhere", keeper.keys)
    with pytest.raises(ConfigError, match="did you mean 'timestamp'"):
        Tuf().rotate(keeper.repository, "timestmp", keeper.keys)
    with pytest.raises(ConfigError, match="cannot be the name of a target family"):
        Tuf().publish([checked(first.path, first.trusted)], keeper.repository, keeper.keys, "root")
    keeper.key("targets").unlink()
    with pytest.raises(StoreError, match="is a new target family, and the key of targets"):
        Tuf().publish([checked(first.path, first.trusted)], keeper.repository, keeper.keys, "phones")
    keeper.key("snapshot").unlink()
    with pytest.raises(StoreError, match="snapshot needs 1 of its 1 keys to sign, and 0 of them are here"):
        keeper.publish(sign_release(keeper.folder / "more", content=b"more", key=first.key))
    for url in ("https://host/no-bundle", "ftp://host/targets/a/b.bundle", "https://host/targets/a?b"):
        with pytest.raises(ConfigError, match="names no bundle in a repository"):
            Tuf().fetch(url, None, keeper.folder, lambda check: None)


def test_a_publication_that_was_killed_is_invisible_and_the_next_one_completes_it(
    keeper: Keeper, first: Signed, second: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("edgewright.integrations.services.tuf.metadata.Files.do_timestamp", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            keeper.publish(second)
    assert keeper.fetch() == first.path.read_bytes()
    keeper.publish(second)
    assert keeper.fetch() == second.path.read_bytes()


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
