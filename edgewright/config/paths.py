# SPDX-License-Identifier: Apache-2.0
"""Paths as configurations write them."""

from pathlib import Path

from edgewright.errors import ConfigError


def path_from(folder: Path, text: str) -> str:
    """Return a path of a configuration, taken from the folder of its file; `~` is the home of a user.

    Raises:
        ConfigError: there is no such user.
    """
    try:
        return str(folder / Path(text).expanduser())
    except RuntimeError as error:
        raise ConfigError(f"{text!r} is in nobody's home: there is no such user", to_do="write the whole path") from error
