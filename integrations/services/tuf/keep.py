# SPDX-License-Identifier: Apache-2.0
"""Start a repository, offer bundles in it, keep it from expiring, and change its keys."""

import fcntl
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import TOP_LEVEL_ROLE_NAMES, DelegatedRole, Delegations, TargetFile
from tuf.repository import AbortEdit

from edgewright.errors import ConfigError, StoreError, nearest
from edgewright.integrations.services.tuf.metadata import LIFE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Files, KeyRing
from edgewright.trust.signed import SUFFIX, SignedBundle

#: what a role's renewal waits for: this share of its life
_DUE = 0.5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def create(folder: Path, keys: Sequence[Path], root_keys: int, threshold: int, now: datetime | None = None) -> list[str]:
    """Start a repository with new keys; see `Tuf.create`."""
    if not 1 <= threshold <= root_keys:
        raise ConfigError(f"{threshold} of {root_keys} root keys cannot sign", to_do="--threshold must be at most --root-keys")
    with _held(folder):
        ring = KeyRing(keys)
        files = Files(folder, ring, now)
        if files.exists:
            raise StoreError(
                "there is a repository already", where=str(folder), to_do="edgewright publish offers bundles in it"
            )
        with files.edit_root() as root:
            for _ in range(root_keys):
                root.add_key(ring.make(ROOT), ROOT)
            root.roles[ROOT].threshold = threshold
            for role in (TARGETS, SNAPSHOT, TIMESTAMP):
                root.add_key(ring.make(role), role)
        with files.edit_targets() as targets:
            targets.delegations = Delegations({}, {})
        files.offer()
    return [
        f"repository  {folder}",
        f"root        {folder / 'metadata' / '1.root.json'}: give it to whoever verifies",
        f"keys        {keys[0]}: keep {ROOT}-*.pem and {TARGETS}-*.pem away from here until they are needed",
    ]


def publish(bundles: Sequence[SignedBundle], folder: Path, keys: Sequence[Path], family: str | None) -> list[str]:
    """Offer bundles; see `Tuf.publish`. A bundle of the same model takes the place of the one before it."""
    with _opened(folder, keys) as files:
        told = []
        for bundle in bundles:
            role = family or bundle.verdict.runtime
            _require_family(files, role)
            path = f"{role}/{bundle.verdict.model}{SUFFIX}"
            offered = TargetFile.from_file(path, str(bundle.path), ["sha256"])
            if offered.hashes["sha256"] != bundle.digest:
                raise StoreError("the bundle was changed since it was checked", where=str(bundle.path), to_do="do not use it")
            _lay(bundle.path, folder / "targets" / role / f"{bundle.digest}.{bundle.verdict.model}{SUFFIX}")
            with files.edit_targets(role) as targets:
                if targets.targets.get(path) == offered:
                    told.append(f"unchanged {path}")
                    raise AbortEdit
                targets.targets[path] = offered
                told.append(f"offered   {path} (sha256 {bundle.digest[:12]})")
        files.offer()
        return told


def refresh(folder: Path, keys: Sequence[Path], now: datetime | None = None) -> list[str]:
    """Sign anew what will expire; see `Tuf.refresh`. The timestamp is signed each time."""
    with _opened(folder, keys, now) as files:
        for role in (ROOT, TARGETS, *files.families):
            if _left(files, role) < _DUE and _signable(files, role):
                with files.edit(role):
                    pass
        files.do_snapshot(force=_left(files, SNAPSHOT) < _DUE)
        files.do_timestamp(force=True)
        roles = (ROOT, TARGETS, *files.families, SNAPSHOT, TIMESTAMP)
        expired = [role for role in roles if _left(files, role) <= 0]
        if expired:
            raise StoreError(
                f"{expired[0]} has expired, and its keys are not here: no client takes anything from this repository",
                where=str(files.keys),
                to_do=f"refresh again with the keys of {', '.join(expired)}: --keys FOLDER",
            )
        return [
            f"{role:<14} version {files.open(role).signed.version}, until {files.open(role).signed.expires:%Y-%m-%d}"
            + ("" if _left(files, role) >= _DUE else ": due, and its keys are not here")
            for role in roles
        ]


def rotate(folder: Path, role: str, keys: Sequence[Path]) -> list[str]:
    """Give a role new keys, as many as it had; see `Tuf.rotate`."""
    with _opened(folder, keys) as files:
        roles = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP, *files.families)
        if role not in roles:
            raise ConfigError(f"the repository has no role {role!r}", where=str(folder), to_do=nearest(role, roles))
        decides = ROOT if role in TOP_LEVEL_ROLE_NAMES else TARGETS
        before = files.root() if decides == ROOT else files.targets()
        old = list(before.get_delegated_role(role).keyids)
        if not _signable(files, decides):
            raise StoreError(
                f"the keys of {decides} decide who signs {role}, and too few of them are here", where=str(files.keys),
                to_do="give their folders too: --keys FOLDER --keys FOLDER",
            )  # fmt: skip
        new = [files.keys.make(role) for _ in old]
        with files.edit(decides) as holder:
            for keyid in old:
                holder.revoke_key(keyid, role)  # type: ignore[attr-defined]
            for key in new:
                holder.add_key(key, role)  # type: ignore[attr-defined]
        if role == SNAPSHOT:
            files.do_snapshot(force=True)
        elif role not in (ROOT, TIMESTAMP):
            with files.edit(role):
                pass
        files.do_snapshot()
        files.do_timestamp(force=True)
        gone, made = (", ".join(ids) for ids in ([one[:12] for one in old], [key.keyid[:12] for key in new]))
        return [f"{role}: {gone} may sign no more; {made} may, in {keys[0]}"]


def _require_family(files: Files, family: str) -> None:
    """Make a family's role, with a key of its own, where there is none yet."""
    if family in files.families:
        return
    if family in TOP_LEVEL_ROLE_NAMES or not _NAME.fullmatch(family):
        raise ConfigError(f"{family!r} cannot be the name of a target family", to_do="letters, digits, '-' and '_'")
    if not _signable(files, TARGETS):
        raise StoreError(
            f"{family} is a new target family, and the key of {TARGETS}, which lets it in, is not here",
            where=str(files.keys),
            to_do=f"give its folder too (--keys FOLDER), or name a family that is there: {', '.join(files.families) or 'none'}",
        )
    key = files.keys.make(family)
    with files.edit_targets() as targets:
        if targets.delegations is None or targets.delegations.roles is None:
            targets.delegations = Delegations({}, {})
        assert targets.delegations.roles is not None, "just made"  # noqa: S101
        targets.delegations.roles[family] = DelegatedRole(family, [], 1, terminating=True, paths=[f"{family}/*"])
        targets.add_key(key, family)


def _signable(files: Files, role: str) -> bool:
    holder = files.root() if role in TOP_LEVEL_ROLE_NAMES else files.targets()
    decided = holder.get_delegated_role(role)
    return len(files.keys.signers(decided.keyids)) >= decided.threshold


def _left(files: Files, role: str) -> float:
    """Share of a role's life that is left."""
    expires: datetime = files.open(role).signed.expires
    return (expires - files.now).total_seconds() / (LIFE.get(role, LIFE[TARGETS]) * 86_400)


def _lay(source: Path, out: Path) -> None:
    staged = out.with_name(f".{out.name}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, staged)
        staged.replace(out)
    except OSError as error:
        raise StoreError(f"cannot write a bundle: {error.strerror}", where=str(out)) from error


@contextmanager
def _opened(folder: Path, keys: Sequence[Path], now: datetime | None = None) -> Iterator[Files]:
    if not (folder / "metadata" / "1.root.json").is_file():
        raise StoreError("there is no repository", where=str(folder), to_do=f"edgewright repository init {folder} --keys KEYS")
    with _held(folder):
        yield Files(folder, KeyRing(keys), now)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Let one process at a time change a repository."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield
    except PermissionError as error:
        raise StoreError("cannot write the repository", where=str(error.filename or folder)) from error
