# SPDX-License-Identifier: Apache-2.0
"""The prepared root of device qemu-aarch64, in the cache that tests/conftest.py names: fetched once, shared by all tests."""

from functools import cache

from edgewright.plugins import create


@cache
def prepare() -> None:
    """Make what is not there yet: less than a minute."""
    create("devices", "qemu-aarch64").prepare(("tvm",))
