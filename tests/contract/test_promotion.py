# SPDX-License-Identifier: Apache-2.0
"""What may be promoted and by whom, and what kill -9 leaves behind; on a sqlite store."""

import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from histories import key, write_policy
from promotions import Shop

from edgewright.errors import ConfigError, GateRefused, StoreError
from edgewright.integrations.services.mlflow.registry import MlflowRegistry
from edgewright.promotion import ledger
from edgewright.promotion.policy import load_policy
from edgewright.promotion.promote import Done, roll_back
from edgewright.promotion.release import Offer, Recorded
from edgewright.trust.keys import signer_of
from edgewright.trust.release import sign_target
from edgewright.trust.verify import checked

_numbers = count()
MAY_ALL = {"key": "release", "do": ["promote", "rollback", "override"]}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/mlflow.db"


@pytest.fixture
def shop(uri: str, tmp_path: Path) -> Shop:
    return Shop(uri, tmp_path, f"digits{next(_numbers)}")


def under(shop: Shop, *may: dict[str, Any], signer: str = "release", **more: Any) -> Shop:
    """The shop under a policy that lists two keys."""
    for name in ("release", "alice"):
        key(shop.folder, name)
    return shop.with_policy(load_policy(write_policy(shop.folder, may, **more)), signer)


def second_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the first call through, and die in the second."""
    calls = count()

    def called(*arguments: Any) -> Any:
        return function(*arguments) if next(calls) == 0 else os.kill(os.getpid(), signal.SIGKILL)

    return called


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


POINTS: list[tuple[Any, str, Callable[..., Any]]] = [
    (MlflowRegistry, "register", die),
    (MlflowRegistry, "append", die),
    (ledger.Ledger, "settle", die),
    (MlflowRegistry, "set_alias", die),
    (MlflowRegistry, "set_alias", second_call(MlflowRegistry.set_alias)),
    (ledger, "_write_mirror", die),
]


def test_kill_9_at_any_point_leaves_the_old_or_the_new_champion_and_the_next_try_ends_it(shop: Shop) -> None:
    before = shop.release("v0")
    shop.promote(before)
    current = shop.release("v1", before=before[0])
    shop.promote(current)
    for number, (owner, name, last) in enumerate(POINTS, start=2):
        wanted = shop.release(f"v{number}", before=current[0])
        child = os.fork()
        if child == 0:
            setattr(owner, name, last)
            Shop(shop.uri, shop.folder, shop.name).promote(wanted)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, name
        served = shop.place.tracker.registry.champion(shop.model)
        assert served is not None, name
        assert served.digest in (current[0].artifact.digest, wanted[0].artifact.digest), name
        assert shop.look().problems == [], name
        shop.promote(wanted)
        assert (shop.alias(), shop.alias("rollback")) == (str(number + 1), str(number)), name
        current = wanted
    assert [link.entry.version for link in shop.look().valid] == [str(number) for number in range(1, len(POINTS) + 3)]


def test_without_a_policy_nobody_may_override(shop: Shop) -> None:
    refused = shop.release("slow", outcome="fail", passed_rung=None)
    with pytest.raises(GateRefused, match="is not promoted: the verdict is fail"):
        shop.promote(refused)
    with pytest.raises(GateRefused, match="the policy forbids overrides"):
        shop.promote(refused, "the fleet is down", override=True)
    assert shop.look().numbers == 0


def test_an_override_needs_a_reason_and_is_recorded_as_one(shop: Shop) -> None:
    allowed = under(shop, MAY_ALL, overrides=True)
    refused = allowed.release("slow", outcome="inconclusive", passed_rung=None)
    with pytest.raises(ConfigError, match="needs a reason"):
        allowed.promote(refused, "  ", override=True)
    done = allowed.promote(refused, "the fleet is down", override=True)
    assert done.overruled[0].startswith("the verdict is inconclusive")
    entry = allowed.look().valid[0].entry
    assert (entry.what, entry.why, entry.verdict.outcome) == ("override", "the fleet is down", "inconclusive")
    assert entry.overruled == done.overruled
    fetched = allowed.place.tracker.registry.fetch(done.champion, allowed.folder / "fetched")
    assert fetched.main_file.read_bytes() == b"slow"
    assert_signed_as_an_override(allowed, done, refused)
    forbidden = under(shop, MAY_ALL, overrides=False)
    assert "by the present policy, key release may not do this (override)" in forbidden.look().disallowed[0]
    with pytest.raises(GateRefused, match="the policy forbids overrides"):
        forbidden.promote(
            forbidden.release("slower", before=refused[0], outcome="fail", passed_rung=None), "again", override=True
        )


def assert_signed_as_an_override(shop: Shop, done: Done, offered: tuple[Offer, Recorded]) -> None:
    """Its bundle is refused unless it is asked for, says who decided, is kept with the version, and is that person's alone."""
    assert done.bundle is not None
    trusted = [shop.place.signer.public_key]
    with pytest.raises(StoreError, match=r"no pass \(it is 'inconclusive'\); it was overridden by .*: 'the fleet is down'"):
        checked(done.bundle, trusted)
    bundle = checked(done.bundle, trusted, overridden=True)
    assert bundle.verdict.override is not None
    assert (bundle.verdict.override.why, bundle.verdict.override.overruled) == ("the fleet is down", done.overruled)
    assert bundle.verdict.override.when == shop.look().valid[0].entry.when
    done.bundle.unlink()
    assert shop.promote(offered, "again", override=True).bundle == done.bundle, "what is missing is fetched, not signed anew"
    assert checked(done.bundle, trusted, overridden=True).digest == bundle.digest
    alice, run = signer_of(key(shop.folder, "alice")), offered[1].run_id
    at = shop.place.tracker.recorded_at(run)
    sign_target(
        offered[0].facts, offered[0].target, offered[0].artifact, run, at, alice, done.bundle, None, bundle.verdict.override
    )
    with pytest.raises(StoreError, match="is said to have overridden the verdict, and key"):
        checked(done.bundle, [alice.public_key], overridden=True)


def test_an_override_that_was_killed_before_it_was_signed_is_signed_by_the_next_try(shop: Shop, monkeypatch: Any) -> None:
    allowed = under(shop, MAY_ALL, overrides=True)
    refused = allowed.release("slow", outcome="fail", passed_rung=None)
    monkeypatch.setattr("edgewright.promotion.promote.sign_target", lambda *_: {}["killed"])
    with pytest.raises(KeyError):
        allowed.promote(refused, "the fleet is down", override=True)
    monkeypatch.undo()
    done = allowed.promote(refused, "the fleet is down", override=True)
    assert (done.changed, allowed.look().numbers) == (False, 1)
    assert done.bundle is not None
    assert checked(done.bundle, [allowed.place.signer.public_key], overridden=True).verdict.override is not None


def test_what_nothing_speaks_against_is_a_promotion_even_when_an_override_was_asked_for(shop: Shop) -> None:
    allowed = under(shop, MAY_ALL, overrides=True)
    allowed.promote(allowed.release("good"), "to be sure", override=True)
    assert allowed.look().valid[0].entry.what == "promote"


def test_a_key_may_do_what_its_line_says_and_no_more(shop: Shop) -> None:
    lines = (MAY_ALL | {"models": [shop.model]}, {"key": "alice", "do": ["rollback"]})
    release, alice = under(shop, *lines), under(shop, *lines, signer="alice")
    first = release.release("first")
    with pytest.raises(GateRefused, match="key alice may not promote"):
        alice.promote(first)
    release.promote(first)
    second = release.release("second", before=first[0])
    release.promote(second)
    roll_back(alice.ledger, alice.place.signer, "too warm")
    assert [link.entry.what for link in release.look().valid] == ["promote", "promote", "rollback"]
    assert release.policy.name_of(release.look().valid[2].entry.who.key_id) == "alice"
    stranger = release.with_policy(release.policy, "stranger")
    with pytest.raises(GateRefused, match="the policy does not list it"):
        stranger.promote(second)
    elsewhere = under(shop, MAY_ALL | {"models": ["other-*"]})
    with pytest.raises(GateRefused, match="key release may not promote"):
        elsewhere.promote(second)
    retired = under(shop, MAY_ALL | {"until": "2020-01-01"})
    with pytest.raises(GateRefused, match="key release may not promote"):
        retired.promote(second)
    assert shop.look().numbers == 3


def test_an_entry_of_a_key_that_the_policy_does_not_list_is_no_promotion(shop: Shop) -> None:
    stranger = Shop(shop.uri, shop.folder, shop.name, key_name="stranger")
    stranger.promote(stranger.release("theirs"))
    (shop.folder / "stranger.pub").unlink()
    listed = under(shop, MAY_ALL)
    assert listed.look().problems[0].startswith("entry 1: no trusted key signed this")
    with pytest.raises(StoreError, match="or name the key that signed in policy"):
        listed.promote(listed.release("ours"))


def test_a_verdict_on_old_data_or_code_is_refused_where_the_policy_says_so(shop: Shop, monkeypatch: Any) -> None:
    offered = shop.release("old")
    assert shop.place.tracker.first_used("data", offered[0].facts.data_digest) is not None
    assert shop.place.tracker.first_used("code", "9" * 64) is None
    strict = under(shop, MAY_ALL, max_data_age_days=0.000001, overrides=True)
    with pytest.raises(GateRefused, match=r"its data is in use since \d{4}-\d\d-\d\d, and the policy allows 1e-06 days"):
        strict.promote(offered)
    strict_code = under(shop, MAY_ALL, max_code_age_days=0.000001)
    with pytest.raises(GateRefused, match="its code is in use since"):
        strict_code.promote(offered)
    assert strict.promote(offered, "no newer data this year", override=True).changed
    assert under(shop, MAY_ALL, max_data_age_days=365, max_code_age_days=365).promote(offered).repaired == ()


@pytest.mark.parametrize("before", [None, "0" * 64])
def test_what_was_not_judged_against_the_champion_does_not_take_its_place(shop: Shop, before: str | None) -> None:
    first = shop.release("first")
    shop.promote(first)
    other = shop.release("other", champion_before=before)
    with pytest.raises(GateRefused, match="its champion is version 1 by now") as told:
        shop.promote(other)
    assert "edgewright run" in told.value.to_do
    assert (shop.look().numbers, shop.alias()) == (1, "1")


def test_a_champion_from_before_there_was_a_history_gives_way_to_the_first_promotion(shop: Shop) -> None:
    offered = shop.release("first")
    registry = shop.place.tracker.registry
    version = registry.register(shop.model, offered[0].artifact, offered[1].run_id, {})
    registry.set_alias(shop.model, "champion", version)
    assert shop.look().champion is None
    assert shop.ledger.misplaced(shop.look()) == []
    shop.ledger.settle()
    assert shop.alias() == version, "nothing is taken from clients"
    shop.promote(offered)
    assert shop.look().champion is not None


def test_a_request_that_was_repeated_after_a_lost_answer_promotes_once(shop: Shop, monkeypatch: Any) -> None:
    registry = shop.place.tracker.registry
    append = registry.append
    monkeypatch.setattr(registry, "append", lambda *entry: (append(*entry), append(*entry))[1])
    assert shop.promote(shop.release("only")).changed
    chain = shop.look()
    assert (len(chain.valid), len(chain.void), chain.problems) == (1, 1, [])


def test_a_store_that_is_gone_in_mid_promotion_is_told_in_one_screen(shop: Shop, monkeypatch: Any) -> None:
    offered = shop.release("only")
    database = Path(shop.uri.removeprefix("sqlite:///"))
    registry, away = shop.place.tracker.registry, database.with_name("away.db")
    register = registry.register
    monkeypatch.setattr(registry, "register", lambda *given: (register(*given), database.rename(away))[0])
    with pytest.raises(StoreError) as told:
        shop.promote(offered)
    monkeypatch.undo()
    database.unlink(missing_ok=True)
    away.rename(database)
    assert len(told.value.format_message()) < 900
    assert shop.promote(offered).changed
