# SPDX-License-Identifier: Apache-2.0
"""The rules a history is read by: valid, void, and whatever was done to it by hand."""

import base64
import json
import tempfile
from pathlib import Path

import pytest
from histories import Book, key, write_policy
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.promotion.chain import read_chain
from edgewright.promotion.policy import May, OpenPolicy, Policy, load_policy
from edgewright.registry import Kept
from edgewright.trust.keys import signer_of

KEYS = Path(tempfile.mkdtemp(prefix="edgewright-keys-"))
MODEL = "digits-phone"
SIGNER, STRANGER = signer_of(key(KEYS / "trusted", "release")), signer_of(key(KEYS, "stranger"))
OPEN = OpenPolicy()


def book() -> Book:
    """Three champions, one after the other."""
    made = Book(SIGNER)
    for version in (1, 2, 3):
        made.write("promote", version)
    return made


def problems(kept: list[Kept], mirror: list[Kept] | None = None) -> list[str]:
    return read_chain(MODEL, kept, OPEN, {each.number: each.envelope for each in mirror or []}).problems


def test_the_last_promotion_is_champion_and_each_rollback_goes_back_by_one() -> None:
    made = book()
    made.write("rollback", 2)
    made.write("rollback", 1)
    chain = read_chain(MODEL, made.kept, OPEN)
    assert chain.champion is not None
    assert chain.champion.version == "1"
    assert chain.rollback is None
    made.write("override", 3)
    chain = read_chain(MODEL, made.kept, OPEN)
    assert not chain.problems
    assert (chain.champion and chain.champion.version, chain.rollback and chain.rollback.version) == ("3", "1")


def test_without_entries_there_is_no_champion() -> None:
    chain = read_chain(MODEL, [], OPEN)
    assert (chain.champion, chain.rollback, chain.problems) == (None, None, [])


def test_an_entry_that_lost_a_race_is_void_and_the_history_goes_on() -> None:
    made = Book(SIGNER)
    first = made.write("promote", 1)
    made.write("promote", 2)
    made.write("promote", 9, at=2, head=first)  # was written for number 2, which another got
    made.write("promote", 3)
    chain = read_chain(MODEL, made.kept, OPEN)
    assert not chain.problems
    assert [link.number for link in chain.void] == [3]
    assert (chain.champion and chain.champion.version, chain.rollback and chain.rollback.version) == ("3", "2")


def test_an_old_entry_that_is_kept_again_has_no_effect() -> None:
    made = book()
    made.kept.append(Kept(number=4, envelope=made.kept[0].envelope))
    chain = read_chain(MODEL, made.kept, OPEN)
    assert [link.number for link in chain.void] == [4]
    assert chain.champion is not None
    assert chain.champion.version == "3"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_edited_entry_is_found(number: int) -> None:
    made = book()
    envelope = json.loads(made.kept[number - 1].envelope)
    content = json.loads(base64.b64decode(envelope["payload"]))
    content["version"] = "7"
    envelope["payload"] = base64.b64encode(json.dumps(content).encode()).decode()
    found = problems(made.replaced(number, json.dumps(envelope)))
    assert found[0].startswith(f"entry {number}: no trusted key signed this")


@pytest.mark.parametrize("number", [1, 2])
def test_a_missing_entry_is_found(number: int) -> None:
    kept = [each for each in book().kept if each.number != number]
    assert problems(kept)[0] == f"entry {number} is missing"


def test_numbering_anew_does_not_hide_a_missing_entry() -> None:
    first, _, third = book().kept
    assert "does not follow" in problems([first, Kept(number=2, envelope=third.envelope)])[0]


def test_entries_in_another_order_are_found() -> None:
    first, second, third = book().kept
    swapped = [first, Kept(number=2, envelope=third.envelope), Kept(number=3, envelope=second.envelope)]
    assert "entry 2 does not follow" in problems(swapped)[0]


def test_a_cut_off_end_and_a_history_that_was_written_anew_are_found_by_the_mirror() -> None:
    made, other = book(), Book(STRANGER)
    assert problems(made.kept[:2]) == []
    assert problems(made.kept[:2], mirror=made.kept) == ["entry 3 is missing (the mirror holds a copy)"]
    other.write("promote", 5)
    assert problems(other.kept) == []
    assert problems(other.kept, mirror=made.kept)[0] == "entry 1 is not what the mirror holds"


def test_a_mirror_that_lags_behind_is_no_problem() -> None:
    made = book()
    assert problems(made.kept, mirror=made.kept[:1]) == []


def test_an_entry_of_another_model_and_a_rollback_to_what_never_was_champion_are_found() -> None:
    made = Book(SIGNER, "digits-sensor")
    made.write("promote", 1)
    assert problems(made.kept) == ["entry 1 belongs to the history of digits-sensor"]
    made = book()
    made.write("rollback", 1)
    assert "rolls back to version 1, which was not champion before" in problems(made.kept)[0]


def test_a_key_that_the_policy_does_not_list_makes_no_champion(policy: Policy) -> None:
    made = Book(SIGNER)
    made.write("promote", 1)
    made.write("promote", 2, signer=STRANGER)
    chain = read_chain(MODEL, made.kept, policy)
    assert chain.problems[0].startswith("entry 2: no trusted key signed this")
    assert chain.champion is not None
    assert chain.champion.version == "1"


def test_what_the_present_policy_does_not_allow_is_told_and_stays_valid(policy: Policy) -> None:
    made = Book(SIGNER)
    made.write("promote", 1)
    tighter = policy.model_copy(update={"may": (May(key="release", do=("rollback",)),)})
    chain = read_chain(MODEL, made.kept, tighter)
    assert chain.problems == []
    assert chain.disallowed == ["entry 1: by the present policy, key release may not do this (promote)"]
    assert chain.champion is not None


def test_an_entry_that_names_another_key_than_the_one_that_signed_is_refused(policy: Policy) -> None:
    made, other = Book(SIGNER), STRANGER.public_key
    who = {"name": "somebody else", "key_id": other.keyid, "public_key": other.to_dict()}
    made.write("promote", 1)
    honest = read_chain(MODEL, made.kept, policy).valid[0].entry
    made = Book(SIGNER)
    made.write("promote", 1, who=honest.who.model_copy(update=who))
    assert read_chain(MODEL, made.kept, policy).problems == ["entry 1: it names another key than the one that signed it"]


def test_nobody_signs_in_the_name_of_another_key_where_no_policy_lists_keys() -> None:
    made, theirs = book(), STRANGER.public_key.to_dict()
    who = read_chain(MODEL, made.kept, OPEN).valid[0].entry.who.model_copy(update={"public_key": theirs})
    made.write("promote", 4, signer=STRANGER, who=who)
    envelope = json.loads(made.kept[3].envelope)
    envelope["signatures"][0]["keyid"] = who.key_id
    assert problems(made.replaced(4, json.dumps(envelope))) == ["entry 4: it brings a key whose id is not the one it names"]


def test_a_number_that_was_never_given_is_one_problem() -> None:
    made = book()
    late = Kept(number=10**15, envelope=made.kept[0].envelope)
    assert problems([*made.kept, late])[0] == "entries 4 to 999999999999999 are missing"
    assert len(problems(made.kept, mirror=[late])) == 2


@settings(max_examples=40)
@given(st.integers(0, 5000), st.integers(0, 255))
def test_no_byte_of_an_entry_can_be_changed_unseen(position: int, byte: int) -> None:
    made = book()
    content = bytearray(base64.b64decode(json.loads(made.kept[1].envelope)["payload"]))
    position %= len(content)
    same = content[position] == byte
    content[position] = byte
    envelope = json.loads(made.kept[1].envelope) | {"payload": base64.b64encode(bytes(content)).decode()}
    found = problems(made.replaced(2, json.dumps(envelope)))
    assert bool(found) != same


@pytest.fixture(scope="module")
def policy() -> Policy:
    """A policy that lists the signer alone."""
    return load_policy(write_policy(KEYS / "trusted", [{"key": "release", "do": ["promote", "rollback"]}]))
