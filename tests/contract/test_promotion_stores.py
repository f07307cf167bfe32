# SPDX-License-Identifier: Apache-2.0
"""Promotion on a sqlite store, and on a real MLflow server over HTTP that keeps its store in PostgreSQL."""

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from promotions import Line, Shop
from tracking_server import mlflow_server, postgresql

from edgewright.errors import GateRefused, StoreError
from edgewright.promotion.drill import drill
from edgewright.promotion.promote import roll_back

_numbers = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests here."""
    with postgresql() as database, mlflow_server(database, tmp_path_factory.mktemp("server")) as uri:
        yield uri


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


def test_of_two_promotions_that_read_the_same_history_one_wins_and_the_other_is_told(shop: Shop, monkeypatch: Any) -> None:
    base = shop.release("base")
    shop.promote(base)
    both = threading.Barrier(2)
    ended: dict[str, Any] = {}

    def run(content: str) -> None:
        own = Shop(shop.uri, shop.folder, shop.name)
        offered = own.release(content, before=base[0])
        append = own.place.tracker.registry.append
        own.place.tracker.registry.append = lambda *entry: (both.wait(60), append(*entry))[1]  # type: ignore[method-assign]
        try:
            ended[content] = own.promote(offered).champion.digest
        except GateRefused as told:
            ended[content] = told

    threads = [threading.Thread(target=run, args=(content,)) for content in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won, lost = sorted(ended.values(), key=lambda end: isinstance(end, GateRefused))
    assert isinstance(won, str), ended
    assert isinstance(lost, GateRefused), ended
    assert "was faster" in lost.what
    assert champion(shop) == won
    chain = shop.look()
    assert chain.problems == []
    assert [link.number for link in chain.void] == [3]
    assert chain.rollback is not None
    assert chain.rollback.digest == base[0].artifact.digest
    assert roll_back(shop.ledger, shop.place.signer).champion.digest == base[0].artifact.digest, "it goes on after a void entry"


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
