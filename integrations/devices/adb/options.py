# SPDX-License-Identifier: Apache-2.0
"""Options of the adb device."""

from typing import Annotated

from pydantic import Field

from edgewright.config.base import Config

Seconds = Annotated[float, Field(gt=0)]


class AdbOptions(Config):
    """Options in `targets[].device_options`."""

    runner: str
    """File of the program, built for the phone, that runs a file over samples; how it is called: docs/how-to/android.md."""
    benchmark_model: str | None = None
    """File of LiteRT's benchmark_model, built for the phone: it takes cold start and memory. Left out, they are unknown."""
    arguments: tuple[str, ...] = ()
    """Further arguments of benchmark_model and runner, such as --use_gpu=true."""
    serial: str | None = None
    """Which phone, as `adb devices` lists it; left out, the only one."""
    adb: str = "adb"
    """The adb command."""
    folder: str = "/data/local/tmp"
    """Folder on the phone in which each run makes one of its own, and removes it."""
    timeout: Seconds = 600
    """Seconds one command on the phone may take."""
    wait: Seconds = 600
    """Seconds to wait while another measurement of this machine runs on the phone."""
