# SPDX-License-Identifier: Apache-2.0
"""Where the archives of the small races lie, what they have to hold, and what is said when they do not."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BESIDE = Path(__file__).parents[2].parent / "shared" / "data"


@dataclass(frozen=True)
class Archive:
    """A .npz file of a public data set, and where that comes from."""

    file: str
    keys: Mapping[str, tuple[str, str]]
    """Arrays it holds: dtype, and what they are."""
    origin: str

    @property
    def path(self) -> Path:
        """In the folder EDGEWRIGHT_DATA, or in ../shared/data beside the repository."""
        return Path(os.environ.get("EDGEWRIGHT_DATA") or BESIDE).absolute() / self.file

    def read(self) -> dict[str, NDArray[Any]]:
        """Return the arrays.

        Raises:
            ValueError: there is no such file, or it holds something else; the message says where to get it.
        """
        if not self.path.is_file():
            raise ValueError(f"there is no {self.path}\n\n{self._help}")
        with np.load(self.path, allow_pickle=False) as stored:
            found = {key: stored[key] for key in self.keys if key in stored.files}
        strange = [
            f"{key}: {found[key].dtype if key in found else 'missing'}"
            for key, (dtype, _) in self.keys.items()
            if key not in found or found[key].dtype != dtype
        ]
        if strange:
            raise ValueError(f"{self.path} holds something else ({', '.join(strange)})\n\n{self._help}")
        return found

    def require(self) -> None:
        """Without the archive, say where to get it and how it looks, and end with exit code 2."""
        try:
            self.read()
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            sys.exit(2)

    @property
    def _help(self) -> str:
        arrays = "\n".join(f"  {key:8} {dtype:8} {what}" for key, (dtype, what) in self.keys.items())
        asked = f"Save it as {self.file}, with numpy.savez, and name its folder in EDGEWRIGHT_DATA. It holds:"
        return f"{self.origin}\n{asked}\n{arrays}"
