# SPDX-License-Identifier: Apache-2.0
"""What reading a damaged .npy or .npz file raises, none of which has a base of its own."""

import zlib
from tokenize import TokenError
from zipfile import BadZipFile

#: of the file, numpy's header and what tokenizes it, the archive (RuntimeError: packed with a password or unknown), zlib
UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError, RuntimeError,
    TokenError, BadZipFile, zlib.error,
)  # fmt: skip
