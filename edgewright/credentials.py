# SPDX-License-Identifier: Apache-2.0
"""Credentials in URIs: found before one is written down, and left out of whatever is shown."""

import re
from urllib.parse import urlsplit

_IN_QUERY = re.compile(r"([?&][^=&\s]*(?:password|passwd|pwd|token|secret)[^=&\s]*=)[^&\s]+", re.IGNORECASE)


def holds_password(uri: str) -> bool:
    """Whether a URI holds a password, before its host or in its query."""
    return bool(urlsplit(uri).password or _IN_QUERY.search(uri))


def without_credentials(text: str) -> str:
    """Return a URI, or a text with URIs in it, without users and passwords."""
    return _IN_QUERY.sub(r"\1…", re.sub(r"//[^/\s]*@", "//", text))
