# SPDX-License-Identifier: Apache-2.0
"""A real MLflow server over HTTP, with PostgreSQL as its store; both are started here, and both are ended."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root."""


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a database and yield its URI."""
    folder = Path(tempfile.mkdtemp(prefix="edgewright-pg-"))  # pytest's own folders can be entered by one user alone
    binaries, data, port = _binaries(), folder / "data", _free_port()
    who = {"user": _UNPRIVILEGED, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    if who:
        shutil.chown(folder, _UNPRIVILEGED)
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"

    def run(program: str, *arguments: str) -> None:
        subprocess.run([binaries / program, *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL, **who)

    run("initdb", "-D", str(data), "-U", "edgewright", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions")
    run("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://edgewright@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


def another_database(uri: str) -> str:
    """Make one more database beside the one of the URI; return its URI, with a password, though none is needed."""
    import psycopg2

    connection = psycopg2.connect(uri)
    connection.autocommit = True
    connection.cursor().execute("CREATE DATABASE another")
    connection.close()
    return uri.replace("edgewright@", "edgewright:secret@").replace("/postgres", "/another")


@contextmanager
def mlflow_server(store: str, folder: Path) -> Iterator[str]:
    """Run MLflow's server on a store and yield its URI; artifacts go through the server."""
    uri = f"http://127.0.0.1:{(port := _free_port())}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONUNBUFFERED": "1"}
    with (folder / "server.log").open("w") as log, subprocess.Popen(
        command, env=environment, cwd=folder, stdout=log, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as server:  # fmt: skip
        assert server.stderr is not None
        said = []
        for line in server.stderr:
            said.append(line)
            if "Application startup complete" in line:
                break
        else:
            raise AssertionError("the server did not start:\n" + "".join(said))
        drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
        try:
            yield uri
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # nothing of it is needed any more, and a polite end takes seconds
            server.wait()
            drain.wait()


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "PostgreSQL is not installed: make system-packages"
    return found[-1].parent


def _free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])
