# SPDX-License-Identifier: Apache-2.0
"""The prepared root of device qemu-aarch64, in build/cache of this checkout: fetched once, and shared by all tests."""

import os
from functools import cache
from pathlib import Path

from edgewright.plugins import create

CACHE = Path(__file__).parents[2] / "build" / "cache"


@cache
def prepare() -> None:
    """Point the devices at it, and make what is not there yet: less than a minute."""
    os.environ["XDG_CACHE_HOME"] = str(CACHE)
    create("devices", "qemu-aarch64").prepare(("tvm",))
