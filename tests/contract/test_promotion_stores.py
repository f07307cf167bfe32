# SPDX-License-Identifier: Apache-2.0
"""Promotion on a sqlite store, on a real MLflow server over HTTP with PostgreSQL behind it, and in PostgreSQL itself."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from promotions import Line, Shop
from release_project import Project, meeting
from tracked_releases import connected
from tracking_server import another_database, mlflow_server, postgresql

from edgewright.errors import GateRefused, StoreError
from edgewright.promotion.drill import drill
from edgewright.promotion.promote import roll_back

_numbers = count()


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """One PostgreSQL for all tests here."""
    with postgresql() as uri:
        yield uri


@pytest.fixture(scope="module")
def server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests here."""
    with mlflow_server(postgres, tmp_path_factory.mktemp("server")) as uri:
        yield uri


@pytest.fixture(scope="module")
def direct(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database without a server before it, and an experiment whose files go into a folder."""
    uri = another_database(postgres)
    with pytest.raises(StoreError, match="a database keeps no files") as told:
        connected(uri)
    assert "mlflow experiments create -n edge --artifact-location" in told.value.to_do
    for name in ("edge", "edgewright"):
        MlflowClient(uri).create_experiment(name, artifact_location=tmp_path_factory.mktemp(name).as_uri())
    return uri


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/mlflow.db"


@pytest.fixture(params=["sqlite", "server"])
def uri(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("server" if request.param == "server" else "database"))


@pytest.fixture
def shop(uri: str, tmp_path: Path) -> Shop:
    """A store with a model of its own."""
    return Shop(uri, tmp_path / "out", f"digits{next(_numbers)}")


def champion(shop: Shop) -> str:
    found = shop.place.tracker.registry.champion(shop.model)
    assert found is not None
    return found.digest


def test_promotions_and_a_rollback_are_what_clients_get_and_what_the_history_says(shop: Shop, tmp_path: Path) -> None:
    (first, recorded), (second, _) = shop.two()
    assert champion(shop) == second.artifact.digest
    done = roll_back(shop.ledger, shop.place.signer, "it crashed in the field")
    assert champion(shop) == first.artifact.digest == done.champion.digest
    assert shop.alias("rollback") is None
    chain = shop.look()
    assert (chain.problems, chain.void) == ([], [])
    assert [(link.entry.what, link.entry.version, link.entry.why) for link in chain.valid] == [
        ("promote", "1", f"release {shop.name} passed the gate"),
        ("promote", "2", f"release {shop.name} passed the gate"),
        ("rollback", "1", "it crashed in the field"),
    ]
    assert chain.valid[2].entry.verdict.run_id == recorded.run_id
    fetched = shop.place.tracker.registry.fetch(done.champion, tmp_path / "fetched")
    assert fetched.main_file.read_bytes() == b"first"
    assert len(shop.ledger.mirror.read_text().splitlines()) == 3
    with pytest.raises(GateRefused, match="has no champion before this one"):
        roll_back(shop.ledger, shop.place.signer)


RACES = [("database", "promote"), ("server", "promote"), ("server", "rollback"), ("direct", "rollback")]


@pytest.mark.parametrize(("store", "other"), RACES)
def test_of_two_processes_that_read_the_same_history_one_wins_and_the_other_is_told(
    request: pytest.FixtureRequest, tmp_path: Path, store: str, other: str
) -> None:
    shop = Shop(str(request.getfixturevalue(store)), tmp_path / "out", f"digits{next(_numbers)}")
    _, (second, _) = shop.two()
    left, right = (("promote", str(shop.folder_of(shop.release(name, before=second)[0]))) for name in ("left", "right"))
    ended = at_once([left, right if other == "promote" else ("rollback", shop.model)], shop.uri, tmp_path)
    (code, won), (lost_code, lost) = sorted(ended)
    assert (code, lost_code) == (0, 1), ended
    assert f"champion is version {shop.alias()} " in won
    assert f"Error: another promotion of {shop.model} was faster: " in lost
    assert f"made version {shop.alias()} champion" in lost
    assert (lost.count("\n"), "to do: " in lost) == (3, True), lost
    chain = shop.look()
    assert chain.problems == shop.ledger.misplaced(chain) == []
    assert [link.number for link in chain.void] == [4]
    assert chain.champion is not None
    after = shop.release("after", champion_before=chain.champion.digest)
    assert shop.promote(after).changed, "it goes on after a void entry"


def at_once(commands: list[tuple[str, ...]], uri: str, folder: Path) -> list[tuple[int | None, str]]:
    """Run commands, each in a process of its own; none writes its entry before all have read the history."""
    project, together = Project(folder, {}), meeting(len(commands))
    where = "edgewright.integrations.services.mlflow.registry:MlflowRegistry.append"
    runs = [
        project.start(*command, meet_in=where, meeting=together, environment={"MLFLOW_TRACKING_URI": uri}, log=f"{number}.txt")
        for number, command in enumerate(commands)
    ]
    return [(each.code, each.output) for each in [run.end() for run in runs]]


def test_an_alias_that_was_moved_by_hand_is_set_again_and_told(shop: Shop) -> None:
    offered = shop.release("only")
    assert shop.promote(offered).changed
    client = MlflowClient(shop.uri)
    client.delete_registered_model_alias(shop.model, "champion")
    done = shop.promote(offered)
    assert done.repaired == (f"alias 'champion' of {shop.model} is on version none, and the history says 1",)
    assert shop.alias() == "1"
    assert not done.changed
    assert shop.promote(offered).repaired == ()
    assert shop.look().numbers == 1


def test_what_was_done_to_a_history_by_hand_is_found_and_nothing_is_promoted_on_it(shop: Shop) -> None:
    first, _ = shop.two()
    client, log = MlflowClient(shop.uri), f"{shop.model}.history"
    entry = client.get_model_version(log, "2").tags["edgewright.entry"]
    client.set_model_version_tag(log, "2", "edgewright.entry", client.get_model_version(log, "1").tags["edgewright.entry"])
    assert shop.look().problems == ["entry 2 is not what the mirror holds"]
    with pytest.raises(StoreError, match="cannot be trusted: entry 2"):
        shop.promote(first)
    client.set_model_version_tag(log, "2", "edgewright.entry", entry)
    assert shop.look().problems == []
    client.delete_model_version(log, "2")
    assert shop.look().problems == ["entry 2 is missing (the mirror holds a copy)"]
    client.delete_model_version(log, "1")
    with pytest.raises(StoreError, match="cannot be trusted: entry 1 is missing"):
        roll_back(shop.ledger, shop.place.signer)
    assert shop.alias() == "2"


def test_a_drill_shows_clients_a_champion_at_every_moment_and_leaves_it_as_it_was(shop: Shop) -> None:
    _, (second, recorded) = shop.two()
    third, third_run = shop.release("third", before=second)
    for offer, run, whats in ((second, recorded, ["rollback", "promote"]), (third, third_run, ["promote", "rollback"])):
        facts = drill(offer, run, shop.place)
        assert [move.what for move in facts.moves] == whats
        assert facts.asked >= 2
        assert champion(shop) == second.artifact.digest
        assert facts.champion == shop.alias() == "2"
        assert shop.look().problems == []
    assert {link.entry.why for link in shop.look().valid[2:]} == {"drill"}


def test_a_server_that_goes_away_in_mid_promotion_leaves_the_old_champion_and_the_next_try_ends_it(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    direct = Shop(server, tmp_path / "out", f"digits{next(_numbers)}")
    old, line = direct.release("old"), Line(server)
    direct.promote(old)
    new = direct.release("new", before=old[0])
    cut = Shop(line.uri, tmp_path / "out", direct.name)
    registry = cut.place.tracker.registry
    append = registry.append
    monkeypatch.setattr(registry, "append", lambda *entry: (append(*entry), line.cut())[0])
    with pytest.raises(StoreError, match=r"cannot read the history of .*: ") as told:
        cut.promote(new)
    assert told.value.exit_code == 2
    assert champion(direct) == old[0].artifact.digest
    done = direct.promote(new)
    assert champion(direct) == new[0].artifact.digest
    assert done.repaired
    assert direct.look().numbers == 2
