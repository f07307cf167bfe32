# SPDX-License-Identifier: Apache-2.0
"""The link to a device: opened to known hosts alone, and taken up again when it breaks."""

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import paramiko

from edgewright.errors import DeviceError
from edgewright.integrations.devices.ssh.options import SshOptions

T = TypeVar("T")
#: seconds without any answer after which the link counts as broken: a device that lost its power says nothing
_SILENT_S = 30
#: seconds before the link is taken up again, doubled each time
_PAUSE_S = 0.5
_BROKEN = (EOFError, OSError, paramiko.SSHException)


class Unreachable(DeviceError):  # noqa: N818 - a state of the device
    """Nobody answered."""


class Link:
    """An SSH connection, opened when it is first needed."""

    def __init__(self, options: SshOptions) -> None:
        self.options = options
        self._client: paramiko.SSHClient | None = None

    def keep(self, act: Callable[[paramiko.SSHClient], T]) -> T:
        """Do something over the link, and again from its beginning when the link breaks meanwhile.

        Raises:
            DeviceError: the link cannot be opened, or broke more often than the options allow.
            OSError: the device refused what was asked, over a link that is whole.
        """
        broke = 0
        while True:
            try:
                if self._client is None:
                    self._client = _connect(self.options)
                return act(self._client)
            except Unreachable:
                if not broke or broke > self.options.retries:
                    raise
            except _BROKEN as error:
                if not self._is_broken():
                    raise
                self.close()
                if broke == self.options.retries:
                    raise DeviceError(
                        f"the link to {self.options.address} broke {broke + 1} times: {type(error).__name__}: {error}",
                        to_do="check power, cable and network of the device, then run again; retries are in device_options",
                    ) from error
            time.sleep(_PAUSE_S * 2**broke)
            broke += 1

    def close(self) -> None:
        """Close it; what it is used for next opens it again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _is_broken(self) -> bool:
        transport = self._client.get_transport() if self._client is not None else None
        if transport is not None:
            transport.join(1)  # its end is seen by its channels a moment before it says so itself
        return transport is None or not transport.is_active()


def _connect(options: SshOptions) -> paramiko.SSHClient:
    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what matters is said in an error
    client = paramiko.SSHClient()
    if options.hosts_file.is_file():
        client.load_host_keys(str(options.hosts_file))
    client.set_missing_host_key_policy(_Refuse(options))
    identity = _identity(options)
    stream = _open_socket(options)
    try:
        client.connect(
            options.host,
            options.port,
            options.user,
            key_filename=identity,
            allow_agent=identity is None,
            look_for_keys=identity is None,
            sock=stream,
            banner_timeout=options.connect_timeout,
            auth_timeout=options.connect_timeout,
        )
    except (DeviceError, EOFError, OSError, paramiko.SSHException) as error:
        client.close()
        stream.close()
        _explain(error, options)
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(_SILENT_S // 3)
    return client


def _identity(options: SshOptions) -> str | None:
    if options.identity is None:
        return None
    file = Path(options.identity).expanduser()
    if not file.is_file():
        raise DeviceError(f"there is no key {file}", where="device_options.identity", to_do="name the private key's file")
    return str(file)


def _open_socket(options: SshOptions) -> socket.socket:
    try:
        stream = socket.create_connection((options.host, options.port), options.connect_timeout)
    except OSError as error:
        raise Unreachable(
            f"{options.host}:{options.port} cannot be reached: {error}",
            where="device_options.host",
            to_do=f"check that the device is on and runs an SSH server: ssh -p {options.port} {options.user}@{options.host}",
        ) from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENT_S * 1000)
    return stream


class _Refuse(paramiko.MissingHostKeyPolicy):
    def __init__(self, options: SshOptions) -> None:
        self._options = options

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        raise DeviceError(
            f"the host key of {self._options.host} is not known; it shows {key.get_name()} {key.fingerprint}",
            where=str(self._options.hosts_file),
            to_do=f"compare that with the device's own (ssh-keygen -lf on it), then: {_keyscan(self._options)}",
        )


def _explain(error: Exception, options: SshOptions) -> NoReturn:
    """Say what kept a connection from being made."""
    if isinstance(error, DeviceError):
        raise error
    if isinstance(error, paramiko.BadHostKeyException):
        name = options.host if options.port == 22 else f"[{options.host}]:{options.port}"
        raise DeviceError(
            f"{options.host} shows another host key than the known one: it was set up anew, or somebody stands in between",
            where=str(options.hosts_file),
            to_do=f"if it was set up anew: ssh-keygen -R '{name}' -f {options.hosts_file}, then: {_keyscan(options)}",
        ) from error
    if isinstance(error, paramiko.PasswordRequiredException):
        to_do = "add it to an agent: ssh-add FILE, and leave device_options.identity out"
        raise DeviceError("the key has a passphrase", where=str(options.identity), to_do=to_do) from error
    if isinstance(error, paramiko.AuthenticationException) or "No authentication methods" in str(error):
        raise DeviceError(
            f"{options.address} accepts none of the keys it was shown ({options.identity or 'the agent, ~/.ssh'})",
            where="device_options.identity",
            to_do=f"let the key in: ssh-copy-id -p {options.port} {options.user}@{options.host}; or name another user or key",
        ) from error
    raise Unreachable(
        f"{options.host}:{options.port} ended the connection: {error}", to_do="check that an SSH server answers there"
    ) from error


def _keyscan(options: SshOptions) -> str:
    return f"ssh-keyscan -p {options.port} {options.host} >> {options.hosts_file}"
