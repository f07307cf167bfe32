# SPDX-License-Identifier: Apache-2.0
"""Opening an MLflow store: reachable or refused within seconds, its schema created once, one writer at a time."""

import fcntl
import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edgewright.credentials import without_credentials
from edgewright.errors import MAKE_ROOM, EdgewrightError, StoreError, ToolkitMissing
from edgewright.sqlite import made_whole

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


class Store:
    """An MLflow store by its URI. ``client`` and ``experiment`` (its id) are there once it is open."""

    client: "MlflowClient"
    experiment: str

    def __init__(self, uri: str) -> None:
        self.uri, self.database = uri, _sqlite_file(uri)

    def open(self, experiment: str) -> None:
        """Open the store, creating schema and experiment when there are none.

        Raises:
            StoreError: it cannot be reached or written.
        """
        with self.errors("cannot open the tracking store"), self.lock(), _impatient(), self._made_whole():
            self._check_reachable()
            _silence()
            from mlflow.tracking import MlflowClient

            self.client = MlflowClient(tracking_uri=self.uri)
            self.client.search_registered_models(max_results=1)
            self.experiment = self._experiment_id(experiment)

    @property
    def shown(self) -> str:
        """The URI as it may be printed: without user and password."""
        return without_credentials(self.uri)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process or thread at a time change a sqlite store; a server orders its clients itself."""
        if self.database is None:
            yield
            return
        self.database.parent.mkdir(parents=True, exist_ok=True)
        with self.database.with_name(self.database.name + ".lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    @contextmanager
    def errors(self, what: str) -> Iterator[None]:
        """Turn what MLflow, its database and its transport raise into a StoreError of one screen."""
        try:
            yield
        except EdgewrightError:
            raise
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and self.uri.startswith(tuple(_DATABASE_PORTS)):
                raise self._no_driver(error) from error
            foreign = type(error).__module__.startswith(("mlflow.", "sqlalchemy."))
            if not (foreign or isinstance(error, OSError | sqlite3.Error)):
                raise
            # From nothing: ZenML keeps the traceback, and MLflow's own words hold the URI with its password.
            raise StoreError(f"{what}: {_said(error)}", where=self.shown, to_do=_to_do(error)) from None

    def _no_driver(self, error: ModuleNotFoundError) -> ToolkitMissing:
        own = "pip install 'edgewright[postgresql]'"
        other = "install the database's driver, or name an MLflow server before it"
        to_do = own if self.uri.startswith("postgresql") else other
        return ToolkitMissing(f"the tracking store needs {error.name}, which is not installed", where=self.shown, to_do=to_do)

    def _made_whole(self) -> AbstractContextManager[None]:
        if self.database is None:
            return nullcontext()
        return made_whole(self.database, self.database.with_name(self.database.name + ".making"))

    def _check_reachable(self) -> None:
        """Fail now rather than after the minutes for which SQLAlchemy retries."""
        url = urlsplit(self.uri)
        port = _DATABASE_PORTS.get(url.scheme.partition("+")[0])
        if port is not None and url.hostname:
            socket.create_connection((url.hostname, url.port or port), timeout=5).close()
        if self.database is not None:
            database = sqlite3.connect(self.database, timeout=20)
            try:
                database.execute("BEGIN IMMEDIATE")
                database.execute("SELECT count(*) FROM sqlite_master")
                database.rollback()
            finally:
                database.close()

    def _experiment_id(self, name: str) -> str:
        """Find or create the experiment; a sqlite store keeps its files in a folder beside the database."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None and self.uri.startswith(tuple(_DATABASE_PORTS)):
            raise StoreError(  # MLflow would take ./mlruns, where nobody else would find what was promoted
                f"a database keeps no files, and experiment {name!r}, which would say where they go, is not there",
                where=self.shown,
                to_do=f"mlflow experiments create -n {name} --artifact-location PLACE, such as s3://bucket/{name} or a folder "
                "that all can reach (MLFLOW_TRACKING_URI names the database); or name an MLflow server before it",
            )
        if found is None:
            beside = self.database.with_name(f"{self.database.stem}-artifacts").as_uri() if self.database else None
            try:
                return str(self.client.create_experiment(name, artifact_location=beside))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self.client.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage != "active":
            raise StoreError(
                f"experiment {name!r} was deleted", where=self.shown, to_do="restore it, or name another in tracking.experiment"
            )
        return str(found.experiment_id)


@contextmanager
def _impatient() -> Iterator[None]:
    """Try once instead of for four minutes while it is not known whether there is a server at all."""
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _silence() -> None:
    """Turn off telemetry, progress bars, links to each run and log lines of routine; what the user has set stays."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")  # a minute instead of four: someone may be waiting
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.model_registry.abstract_store").setLevel(logging.WARNING)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _said(error: BaseException) -> str:
    """The deepest reason of the system in its own few words, where there is one; else the first line of what is said."""
    system = [cause.strerror for cause in _chain(error) if type(cause).__module__ in ("builtins", "socket")
              and isinstance(cause, OSError) and cause.strerror]  # fmt: skip
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return system[-1] if system else without_credentials(lines[0])[:300]


def _to_do(error: BaseException) -> str:
    words = str(error)
    if "not a database" in words or "malformed" in words:
        return "restore the file from a copy, or name another in tracking.uri, where no champion is known yet"
    if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
        return "check the name and the number; edgewright history shows what there is"
    if "is full" in words or "No space left" in words:
        return MAKE_ROOM
    return (
        "check tracking.uri (such as sqlite:///folder/mlflow.db or http://server:5000), and that it runs and can be written; "
        "then run the same command again: what was done is kept"
    )


def _sqlite_file(uri: str) -> Path | None:
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]).absolute()
