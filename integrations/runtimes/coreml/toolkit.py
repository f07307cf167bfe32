# SPDX-License-Identifier: Apache-2.0
"""coremltools, imported without what it does not need here."""

import logging
import sys
from typing import Any

#: it imports them where they are installed, for conversions that are not made here; TensorFlow alone takes seconds
_NOT_NEEDED = ("tensorflow", "sklearn", "libsvm", "xgboost")


def toolkit() -> Any:
    """Import coremltools, and keep its remarks to itself: on versions newer than its own, on parts that only macOS has."""
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    hidden = [module for module in _NOT_NEEDED if module not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: importing it raises ImportError
    try:
        import coremltools
    finally:
        for module in hidden:
            sys.modules.pop(module, None)
    return coremltools
