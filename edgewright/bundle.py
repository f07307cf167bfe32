# SPDX-License-Identifier: Apache-2.0
"""A folder of files with facts, whose identity is its content.

Everything that travels between steps in files is a bundle: datasets, candidates, artifacts, validation runs.
`bundle.json` holds the facts and the sha256 of each file; the digest of the bundle is the digest of that page.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel

from edgewright.errors import StoreError
from edgewright.onboard.digest import sha256_of

PAGE = "bundle.json"
FactsT = TypeVar("FactsT", bound=BaseModel)


class Bundle(Generic[FactsT]):
    """A folder of files and the facts about them. Subclasses name the type of their facts."""

    Facts: ClassVar[type[BaseModel]]

    def __init__(self, path: Path, facts: FactsT, files: dict[str, str], page: str) -> None:
        self.path, self.facts, self.files, self._page = path, facts, files, page

    @property
    def digest(self) -> str:
        """The sha256 (hex) of the page as it was sealed: what later versions add to the facts does not change it."""
        return hashlib.sha256(self._page.encode()).hexdigest()

    @classmethod
    def seal(cls, path: Path, facts: FactsT) -> Self:
        """Turn a folder that has been filled into a bundle: digest every file and write the page last."""
        files = {
            str(file.relative_to(path)): sha256_of(file)
            for file in sorted(path.rglob("*"))
            if file.is_file() and file.name != PAGE
        }
        content = {"type": cls.__name__, "facts": facts.model_dump(mode="json"), "files": files}
        page = json.dumps(content, indent=1, sort_keys=True)
        (path / PAGE).write_text(page, encoding="utf-8")
        return cls(path, facts, files, page)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a sealed folder, checking that it is whole.

        Raises:
            StoreError: the page is missing or unreadable, or a file is missing or was changed.
        """
        again = "delete it and run again; what depends on it is made anew"
        try:
            page = (path / PAGE).read_text(encoding="utf-8")
            content: dict[str, Any] = json.loads(page)
            facts, files = cls.Facts.model_validate(content["facts"]), _files(content["files"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(f"not a readable {cls.__name__}: {error}", where=str(path), to_do=again) from error
        for name, digest in files.items():
            _require_whole(path, name, digest, again)
        return cls(path, facts, files, page)  # type: ignore[arg-type]

    def copy_to(self, path: Path) -> Self:
        """Copy the files that belong to the bundle into ``path``, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".incoming-") as folder:
            staged = Path(folder) / "bundle"
            for name in [*self.files, PAGE]:
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.path / name, staged / name)
            if path.exists():
                shutil.rmtree(path)
            staged.rename(path)
        return type(self)(path, self.facts, self.files, self._page)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.digest[:12]}, {len(self.files)} files)"


def _files(named: object) -> dict[str, str]:
    if not isinstance(named, dict) or not all(isinstance(digest, str) for digest in named.values()):
        raise ValueError("it names no files")
    return named


def _require_whole(path: Path, name: str, digest: str, to_do: str) -> None:
    """Make sure that a file lies in the bundle and is what its page says.

    Raises:
        StoreError: it is missing, was changed, or lies elsewhere.
    """
    file = path / name
    try:
        if not file.resolve().is_relative_to(path.resolve()):
            raise StoreError(f"{name!r} points outside the bundle", where=str(path), to_do="do not trust this bundle")
        there = file.is_file()
        whole = there and sha256_of(file) == digest
    except (OSError, ValueError, RuntimeError) as error:  # a name that no file can have, links in a circle
        raise StoreError(f"{name!r} cannot be read: {error}", where=str(path), to_do=to_do) from error
    if not whole:
        state = "was changed or cut short (its sha256 differs)" if there else "is missing"
        raise StoreError(f"{name!r} {state}", where=str(path), to_do=to_do)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def copy_whole(source: Path, out: Path) -> None:
    """Copy a file, or a folder that is one artifact's main file; links are not followed out of it."""
    if source.is_dir():
        shutil.copytree(source, out, symlinks=True)
    else:
        shutil.copyfile(source, out)
