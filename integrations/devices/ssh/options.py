# SPDX-License-Identifier: Apache-2.0
"""Options of the ssh device."""

import getpass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from edgewright.config.base import Config

Seconds = Annotated[float, Field(gt=0)]


class SshOptions(Config):
    """Options in `targets[].device_options`."""

    host: str
    """Name or address."""
    port: Annotated[int, Field(gt=0, lt=65536)] = 22
    user: str = Field(default_factory=getpass.getuser)
    """Left out, the name you are logged in with."""
    identity: str | None = None
    """File of the private key; left out, the agent's keys and those in ~/.ssh are tried. A key with a passphrase: ssh-add."""
    known_hosts: str = "~/.ssh/known_hosts"
    """File with the keys of known hosts; a host that is not in it is refused."""
    python: str = "python3"
    """Python 3.9 or later on the device, with numpy and the runtime's module."""
    folder: str = "/tmp"  # noqa: S108 - on the device; each run has a folder of its own in it, for its user alone
    """Folder on the device in which each run makes one of its own, and removes it."""
    timeout: Seconds = 600
    """Seconds one probe may take, loading the runtime included, before it is stopped."""
    wait: Seconds = 600
    """Seconds to wait while another measurement runs on the device."""
    connect_timeout: Seconds = 10
    """Seconds in which the device has to answer a connection."""
    retries: Annotated[int, Field(ge=0)] = 3
    """How often a link that broke is taken up again, within one probe."""

    @property
    def address(self) -> str:
        """For messages: user@host:port."""
        return f"{self.user}@{self.host}:{self.port}"

    @property
    def hosts_file(self) -> Path:
        """The known_hosts file."""
        return Path(self.known_hosts).expanduser()
