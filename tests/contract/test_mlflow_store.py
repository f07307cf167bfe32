# SPDX-License-Identifier: Apache-2.0
"""MLflow's store: two processes make it at once, and one that cannot be used is refused in one screen."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tracked_releases
from tracked_releases import active_runs, connected

from edgewright.errors import StoreError, ToolkitMissing
from edgewright.promotion.ledger import Ledger
from edgewright.promotion.policy import OpenPolicy


def test_two_first_releases_at_once_on_a_fresh_store(tmp_path: Path, report_files: Path) -> None:
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    workers = [
        subprocess.Popen(
            [sys.executable, tracked_releases.__file__, uri, str(tmp_path), number], stderr=subprocess.PIPE, text=True
        )
        for number in ("1", "2")
    ]
    said = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    tracker = connected(uri)
    history = Ledger.of("digits-phone", tracker, OpenPolicy(), tmp_path).look()
    assert (len(history.valid), history.problems) == (1, []), "one of them was promoted, the other one was told"
    assert tracker.registry.champion("digits-phone").digest == history.valid[0].entry.digest
    assert all(tracker.recorded(digit * 64) for digit in "125")
    assert len(active_runs(uri)) == 3 * 4, "the release both had was recorded once"


def _unwritable(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "file").write_text("a file, not a folder")
    (tmp_path / "text.db").write_text("this is no database, and says so at some length " * 10)
    (tmp_path / "folder.db").mkdir()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    return {
        "below a file": f"sqlite:///{tmp_path}/file/mlflow.db",
        "not a database": f"sqlite:///{tmp_path}/text.db",
        "a folder": f"sqlite:///{tmp_path}/folder.db",
        "no server": f"http://user:secret@127.0.0.1:{port}",
        "no database server": f"postgresql://user:secret@127.0.0.1:{port}/mlflow",
        "password in the query": f"postgresql://127.0.0.1:{port}/mlflow?user=somebody&password=secret",
        "unknown scheme": "ftp2://somewhere/mlflow",
        "a plain folder": str(tmp_path / "mlruns"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "below a file",
        "not a database",
        "a folder",
        "no server",
        "no database server",
        "password in the query",
        "unknown scheme",
        "a plain folder",
    ],
)
def test_a_store_that_cannot_be_used_is_refused_in_one_screen(tmp_path: Path, case: str) -> None:
    uri = _unwritable(tmp_path)[case]
    with pytest.raises(StoreError) as caught:
        connected(uri)
    message = caught.value.format_message()
    assert "cannot open the tracking store" in message
    assert "tracking.uri" in message
    assert "secret" not in message
    assert len(message) < 800
    assert message.count("\n") < 6


def test_a_database_whose_driver_is_not_installed_is_told_as_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as answers, pytest.raises(ToolkitMissing) as told:
        connected(f"mysql://user:secret@127.0.0.1:{answers.getsockname()[1]}/mlflow")
    assert "the tracking store needs MySQLdb, which is not installed" in told.value.format_message()
    assert "secret" not in told.value.format_message()
