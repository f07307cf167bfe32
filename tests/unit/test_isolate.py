# SPDX-License-Identifier: Apache-2.0
"""A function in a process of its own: results and errors come back, crashes are told, nothing is left behind."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.errors import DeviceError, ExportError
from edgewright.isolate import call

WORK = """
import os, threading
from edgewright.errors import DeviceError

def add(a, b):
    print("adding")
    return {"sum": a + b}

def size(path):
    return len(open(path).read())

def refuse():
    raise DeviceError("the board is asleep", where="board 7", to_do="wake it")

def fail():
    raise KeyError("conv_17")

def crash():
    os.write(2, b"kernel 17 went astray\\n")
    os.abort()

def leave():
    os._exit(5)

def wait(fifo):
    with open(fifo, "w") as stream:
        stream.write("waiting\\n")
        stream.flush()
        threading.Event().wait()
"""


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work_of_child.py").write_text(WORK, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def test_the_result_comes_back_and_what_was_printed_is_logged(tmp_path: Path) -> None:
    assert call("work_of_child:add", 2, 3, label="adding", log=tmp_path / "log.txt") == {"sum": 5}
    assert (tmp_path / "log.txt").read_text(encoding="utf-8").strip() == "adding"


def test_paths_travel_as_text(tmp_path: Path) -> None:
    (tmp_path / "three").write_text("abc", encoding="utf-8")
    assert call("work_of_child:size", tmp_path / "three", label="size") == 3


def test_an_error_of_ours_keeps_its_class_and_words() -> None:
    with pytest.raises(DeviceError) as caught:
        call("work_of_child:refuse", label="refuse")
    assert (caught.value.what, caught.value.where, caught.value.to_do) == ("the board is asleep", "board 7", "wake it")


def test_any_other_error_becomes_an_export_error_with_its_words() -> None:
    with pytest.raises(ExportError, match="KeyError: 'conv_17'") as caught:
        call("work_of_child:fail", label="export for mars")
    assert caught.value.where == "export for mars"


def test_a_crash_is_told_with_the_last_lines() -> None:
    with pytest.raises(ExportError, match=r"export for mars: the process crashed \(SIGABRT\)") as caught:
        call("work_of_child:crash", label="export for mars")
    assert "kernel 17 went astray" in caught.value.where


def test_a_process_that_leaves_without_an_answer_is_told() -> None:
    with pytest.raises(ExportError, match="exit status 5"):
        call("work_of_child:leave", label="export")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_child_ends_with_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = f"import signal, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    script += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # as a background job it ignores it
    script += f"from edgewright.isolate import call\ncall('work_of_child:wait', {str(fifo)!r}, label='wait')\n"
    with (
        subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as parent,
        fifo.open("rb", 0) as held_by_child,
    ):
        assert held_by_child.readline() == b"waiting\n"
        parent.send_signal(how)
        parent.wait()
        ended, _, _ = select.select([held_by_child], [], [], 60)
        assert ended
        assert held_by_child.read() == b""
