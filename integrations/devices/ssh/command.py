# SPDX-License-Identifier: Apache-2.0
"""Commands on a device: asked for one answer, or followed while they run."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import paramiko

from edgewright.errors import DeviceError
from edgewright.integrations.devices.ssh.options import SshOptions
from edgewright.onboard.__main__ import HOLDING, WAITING
from edgewright.progress import stage

_LAST_LINES = 12
_BLOCK = 2**16
_KEPT = 2**20


def ask(client: paramiko.SSHClient, command: str, options: SshOptions) -> tuple[int, str]:
    """Return a command's exit status and all it printed.

    Raises:
        EOFError: the link broke.
        DeviceError: it did not end in `timeout` seconds.
    """
    return _follow(client, command, options, options.timeout, lambda _: None)


def run(client: paramiko.SSHClient, command: str, options: SshOptions) -> tuple[int, str]:
    """Run a probe: say that it waits for the device, and stop it when it runs for too long once it holds it.

    Raises:
        EOFError: the link broke.
        DeviceError: it did not end in time.
    """
    with ExitStack() as waiting:

        def heard(line: str) -> float | None:
            if line == WAITING:
                waiting.enter_context(stage(f"Waiting for {options.host}: another measurement runs on it"))
            if line != HOLDING:
                return None
            waiting.close()
            return options.timeout

        return _follow(client, command, options, options.wait + options.timeout, heard)


def last_lines(printed: str) -> str:
    """Say what a command printed last."""
    lines = [line for line in printed.strip().splitlines() if line not in (WAITING, HOLDING)][-_LAST_LINES:]
    return "its last lines: " + "\n    ".join(lines) if lines else "it printed nothing"


def _follow(
    client: paramiko.SSHClient, command: str, options: SshOptions, seconds: float, heard: Callable[[str], float | None]
) -> tuple[int, str]:
    """Run a command; what ``heard`` returns of a line are the seconds it may take from then on."""
    transport = client.get_transport()
    if transport is None:
        raise EOFError
    with transport.open_session(timeout=options.connect_timeout) as channel:
        channel.set_combine_stderr(True)
        channel.exec_command(f"{command}; exit $?")  # the shell stays, and turns a signal into a status
        printed, rest, ends = "", "", time.monotonic() + seconds
        while data := _receive(channel, ends - time.monotonic(), printed, options):
            text = data.decode(errors="replace")
            printed = (printed + text)[-_KEPT:]
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                more = heard(line)
                ends = ends if more is None else time.monotonic() + more
        status = channel.recv_exit_status()
    if status < 0:
        raise EOFError("the command ended without a status")
    return status, printed


def _receive(channel: paramiko.Channel, seconds: float, printed: str, options: SshOptions) -> bytes:
    channel.settimeout(max(seconds, 0.01))
    try:
        return channel.recv(_BLOCK)
    except TimeoutError:  # closing the channel ends the probe: its standard input ends
        raise DeviceError(
            f"what ran on {options.host} was stopped: it took longer than device_options allow",
            where=last_lines(printed),
            to_do="raise device_options.timeout, or lower measuring.invocations",
        ) from None
