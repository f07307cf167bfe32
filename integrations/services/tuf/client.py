# SPDX-License-Identifier: Apache-2.0
"""Fetch a bundle from a repository that may be hostile: python-tuf's client decides, and its refusals are put into plain words.

What was seen of a repository is remembered, so that it can never offer less again; the first time, its root.json has to
come from whoever keeps it, not from where it is hosted.
"""

import fcntl
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tuf.api import exceptions as tuf
from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher
from urllib3.exceptions import HTTPError

from edgewright.credentials import without_credentials
from edgewright.errors import ConfigError, StoreError
from edgewright.trust.keys import config_home
from edgewright.trust.signed import SUFFIX, Check

_CHUNK = 1 << 20
_REFUSE = "do not use what it offers; ask whoever keeps the repository"


def fetch(url: str, root: Path | None, out: Path, told: Callable[[Check], None]) -> Path:
    """Download a bundle that a repository offers now; see `Tuf.fetch`."""
    base, path = _parts(url)
    shown = without_credentials(base)
    with _memory(base, root, shown) as memory, _in_words(shown):
        updater = Updater(
            str(memory),
            f"{base}/metadata/",
            target_base_url=f"{base}/targets/",
            fetcher=_Fetcher(),
            config=UpdaterConfig(),
            bootstrap=_read(root) if root else None,
        )
        updater.refresh()
        offered = updater.get_targetinfo(path)
        if offered is None:
            raise StoreError(
                f"the repository offers no {path}", where=shown, to_do="check the URL; edgewright publish names it"
            )
        file = out / PurePosixPath(path).name
        updater.download_target(offered, str(file))
    told(Check("repository", f"{shown}, signed by its roles, not expired and no older than before"))
    told(Check("offered", _shown(path, offered)))
    return file


class _Fetcher(Urllib3Fetcher):
    """Reads file:// beside http and https."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        if urlsplit(url).scheme != "file":
            return super()._fetch(url)
        file = Path(url2pathname(urlsplit(url).path))
        if not file.is_file():
            raise tuf.DownloadHTTPError(f"there is no {file.name}", 404)
        return _chunks_of(file)


def _chunks_of(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _parts(url: str) -> tuple[str, str]:
    """Split a URL into the repository and the path of the bundle in it."""
    parts = urlsplit(url)
    base, found, path = url.rpartition("/targets/")
    if parts.scheme not in ("http", "https", "file") or not found or parts.query or parts.fragment:
        raise ConfigError(
            f"{url!r} names no bundle in a repository",
            to_do=f"such as https://models.example/repository/targets/onnxruntime/digits-phone{SUFFIX}",
        )
    return base, path


@contextmanager
def _memory(base: str, root: Path | None, shown: str) -> Iterator[Path]:
    """What is remembered of a repository; of one that is new, nothing is until it has proven itself."""
    kept = config_home() / "repositories" / hashlib.sha256(base.encode()).hexdigest()[:16]
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if kept.is_dir():
                yield kept
                return
            if root is None:
                raise ConfigError(
                    "this repository is not known yet, so nothing says whose it is",
                    where=shown,
                    to_do="get its root.json from whoever keeps it, and name it once: --root root.json",
                )
            with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".new-") as folder:
                fresh = Path(folder) / "repository"
                fresh.mkdir()
                yield fresh
                fresh.rename(kept)
    except OSError as error:
        raise StoreError(f"cannot keep what was seen: {error.strerror or error}", where=str(kept)) from error


@contextmanager
def _in_words(base: str) -> Iterator[None]:
    try:
        yield
    except tuf.ExpiredMetadataError as error:
        raise StoreError(
            f"the repository's metadata has expired: nobody refreshed it, or news are kept from you ({error})",
            where=base,
            to_do=_REFUSE,
        ) from error
    except tuf.BadVersionNumberError as error:
        raise StoreError(
            f"the repository was rolled back or mixed up: this is not the version that was promised ({error})",
            where=base,
            to_do=_REFUSE,
        ) from error
    except tuf.UnsignedMetadataError as error:
        raise StoreError(f"the repository is not signed by the keys that may ({error})", where=base, to_do=_REFUSE) from error
    except tuf.LengthOrHashMismatchError as error:
        raise StoreError(f"a file is not what the repository's metadata says ({error})", where=base, to_do=_REFUSE) from error
    except tuf.RepositoryError as error:
        raise StoreError(f"the repository's metadata is wrong ({error})", where=base, to_do=_REFUSE) from error
    except (tuf.DownloadError, HTTPError) as error:
        raise StoreError(
            f"cannot fetch from the repository: {without_credentials(str(error))}",
            where=base,
            to_do="check the URL and the network",
        ) from error


def _read(root: Path) -> bytes:
    try:
        return root.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read the repository's root: {error.strerror}", where=str(root)) from error


def _shown(path: str, offered: TargetFile) -> str:
    return f"{path}, sha256 {offered.hashes.get('sha256', 'by another method')[:12]}"
