# SPDX-License-Identifier: Apache-2.0
"""Every error edgewright raises on purpose. A message says what was wrong, where, and what to do.

    EdgewrightError (exit 2)
    ├── ConfigError        release.yaml: unknown key, wrong type, wrong range
    ├── DataError          data that cannot be read, split or trusted
    ├── ModelError         a model that cannot be built, loaded or trained
    ├── ToolkitMissing     an optional toolkit that is not installed: the pip line
    ├── ExportError        a toolkit that refused or produced a wrong file
    ├── DeviceError        a device that cannot run the file
    ├── StoreError         a store or registry that cannot be read or written
    ├── GateRefused (exit 1)   everything ran, and at least one target was not promoted
    └── DriftFound (exit 10, or 11: watch)   everything ran, and devices' data are not what the model was made for

They are click exceptions, so that both `edgewright` and `zenml pipeline run` print them as one screen
and end with their exit code.
"""

import difflib
import errno
from collections.abc import Iterable

try:
    from click import ClickException
except ImportError:  # on a device, whose probe carries this module and has no command line
    ClickException = Exception  # type: ignore[misc, assignment]

#: numbers of the system's errors that say that a disk or a quota is full
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAKE_ROOM = "make room there, then run again: what had finished is kept"
#: characters of each part of a message
_LONGEST = 2500


class EdgewrightError(ClickException):
    """Base of all errors: ``what`` went wrong, ``where``, and what ``to_do``."""

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", to_do: str = "") -> None:
        what, where, to_do = _shown(what), _shown(where), _shown(to_do)
        lines = [what, f"  where: {where}" if where else "", f"  to do: {to_do}" if to_do else ""]
        super().__init__("\n".join(line for line in lines if line))
        self.what, self.where, self.to_do = what, where, to_do

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.to_do)


class ConfigError(EdgewrightError):
    """The configuration asks for something that does not exist or cannot be."""


class DataError(EdgewrightError):
    """The data cannot be read, cannot be split as asked, or breaks a rule."""


class ModelError(EdgewrightError):
    """The model cannot be built, loaded, trained, or does not fit the data."""


class ToolkitMissing(EdgewrightError):  # noqa: N818 - reads as what it is
    """An optional toolkit is asked for and not installed."""

    def __init__(self, what: str, *, where: str = "", to_do: str = "") -> None:
        super().__init__(what, where=where, to_do=to_do)

    @classmethod
    def of(cls, asked_for: str, modules: Iterable[str], install: str) -> "ToolkitMissing":
        """Say which modules ``asked_for`` needs and the exact pip line that brings them."""
        return cls(f"{asked_for} needs {', '.join(modules)}, which is not installed", to_do=install)


class ExportError(EdgewrightError):
    """A toolkit refused the model, crashed, or wrote a file that is not what it claims."""


class DeviceError(EdgewrightError):
    """The device cannot run the artifact or did not answer."""


class StoreError(EdgewrightError):
    """A folder, store or registry cannot be read or written."""


class GateRefused(EdgewrightError):  # noqa: N818 - a verdict, not a malfunction
    """At least one target was not promoted."""

    exit_code = 1


class DriftFound(EdgewrightError):  # noqa: N818 - a verdict, not a malfunction
    """Devices' data differ from the reference: exit code 10, or 11 where the difference is real and small."""

    exit_code = 10


class DriftWatched(DriftFound):
    """Devices' data differ from the reference, by little."""

    exit_code = 11


def nearest(name: str, valid: Iterable[str]) -> str:
    """Say which valid name was probably meant, or list the valid ones (at most twelve)."""
    valid = sorted(valid)
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "valid: " + ", ".join(valid[:12]) + (" …" if len(valid) > 12 else "")


def _shown(text: str) -> str:
    """Keep what prints, and a screen of it: names in foreign files may be a megabyte long, or orders to a terminal."""
    kept = "".join(one if one.isprintable() or one == "\n" else "?" for one in text[:_LONGEST].expandtabs())
    return kept + (" …" if len(text) > _LONGEST else "")


def _rebuild(kind: type[EdgewrightError], what: str, where: str, to_do: str) -> EdgewrightError:
    return kind(what, where=where, to_do=to_do)
