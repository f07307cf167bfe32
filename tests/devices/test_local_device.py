# SPDX-License-Identifier: Apache-2.0
"""The local device: fresh processes that run a user's own runtime, fail loudly, never overlap and outlive nobody."""

import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from edgewright.bench import Timings
from edgewright.device import ProbeFacts, ProbePlan
from edgewright.errors import DeviceError
from edgewright.integrations.devices.local import LocalDevice
from edgewright.testing.device_contract import FLOAT, IMAGES, adding

OWN_RUNTIMES = '''
import fcntl, os, signal, sys, tempfile
from pathlib import Path
import numpy as np
from edgewright.testing.adding import AddingSession
from edgewright.testing.device_contract import AddingRuntime

class Plain(AddingRuntime):
    """Adds."""

class Crashing(AddingRuntime):
    def load(self, file, threads):
        print("about to dereference null", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)

class Failing(AddingRuntime):
    def load(self, file, threads):
        raise RuntimeError("operator 17 is not implemented")

class Endless(AddingRuntime):
    def load(self, file, threads):
        print("waiting for an accelerator", flush=True)
        fifo = Path("pid")
        if fifo.exists():
            fifo.write_text(f"{os.getpid()}\\n")
        signal.pause()

class Greedy(AddingRuntime):
    """Needs 64 MiB to open the file, and gives them back; its toolkit needed 128 MiB to import."""
    runs_with = ("own_toolkit",)
    def load(self, file, threads):
        np.ones(64 * 2**20, np.uint8)
        return super().load(file, threads)

class Leased(AddingRuntime):
    """Answers whether somebody holds this machine while it runs."""
    def load(self, file, threads):
        class Session(AddingSession):
            def run(self, sample):
                lock = os.open(Path(tempfile.gettempdir()) / "edgewright-local-device.lock", os.O_RDONLY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return np.ones((1, 1), np.float32)
                finally:
                    os.close(lock)
                return np.zeros((1, 1), np.float32)
        return Session(0.0)

class Located(AddingRuntime):
    """Answers how many bytes its samples take in the probe's own folder: a link takes none."""
    def load(self, file, threads):
        place = Path(sys.argv[1]) / "inputs.npy"
        class Session(AddingSession):
            def run(self, sample):
                return np.array([[0 if place.is_symlink() else place.stat().st_size]], np.float32)
        return Session(0.0)

class Threads(AddingRuntime):
    """Answers how many threads it was told to use, twice over."""
    def load(self, file, threads):
        class Session(AddingSession):
            def run(self, sample):
                return np.array([[threads, int(os.environ["OMP_NUM_THREADS"])]], np.float32)
        return Session(0.0)
'''
OWN_TOOLKIT = "import numpy\nkept = numpy.ones(64 * 2**20, numpy.uint8)\nnumpy.ones(64 * 2**20, numpy.uint8)\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's working folder with runtimes of their own and a file that adds 1."""
    (tmp_path / "own_runtimes.py").write_text(OWN_RUNTIMES, encoding="utf-8")
    (tmp_path / "own_toolkit.py").write_text(OWN_TOOLKIT, encoding="utf-8")
    (tmp_path / "model.json").write_text("1.0", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def probe(
    folder: Path, runtime: str, timeout: float = 120, samples: np.ndarray = IMAGES, **plan: Any
) -> tuple[ProbeFacts, Any]:
    asked = ProbePlan.model_validate({"runtime": f"own_runtimes:{runtime}", "outputs": True} | plan)
    options = LocalDevice.Options(timeout=timeout)
    return LocalDevice().probe(folder / "model.json", adding(FLOAT), samples, asked, options)


def test_a_crash_names_the_signal_and_the_last_words(folder: Path) -> None:
    with pytest.raises(DeviceError, match=r"crashed with SIGSEGV[\s\S]*about to dereference null"):
        probe(folder, "Crashing")


def test_an_error_in_the_process_arrives_here(folder: Path) -> None:
    with pytest.raises(DeviceError, match="RuntimeError: operator 17 is not implemented"):
        probe(folder, "Failing")


def test_a_probe_that_does_not_end_is_stopped(folder: Path) -> None:
    with pytest.raises(DeviceError, match=r"stopped after 0\.5 s[\s\S]*device_options\.timeout"):
        probe(folder, "Endless", timeout=0.5)


def test_an_answer_after_a_failure_is_not_disturbed_by_it(folder: Path) -> None:
    with pytest.raises(DeviceError):
        probe(folder, "Crashing")
    assert probe(folder, "Threads")[1].shape == (7, 2)


def test_runtime_and_libraries_get_the_threads_asked_for(folder: Path) -> None:
    np.testing.assert_array_equal(probe(folder, "Threads", threads=2)[1], np.full((7, 2), 2))


def test_samples_of_a_whole_file_are_not_copied(folder: Path) -> None:
    """A split may be of many gigabytes, and lies in a file already."""
    np.save("split.npy", IMAGES)
    stored = np.load("split.npy", mmap_mode="r", allow_pickle=False)
    assert not probe(folder, "Located", samples=stored)[1].any()
    assert probe(folder, "Located", samples=IMAGES)[1].all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("part", [slice(None), slice(2, 5), slice(None, None, -2)])
def test_mapped_samples_are_answered_as_those_in_memory(folder: Path, part: slice, order: Literal["C", "F"]) -> None:
    np.save("split.npy", np.asarray(IMAGES, order=order))
    mapped = np.load("split.npy", mmap_mode="r", allow_pickle=False)[part]
    np.testing.assert_array_equal(probe(folder, "Plain", samples=mapped)[1], probe(folder, "Plain", samples=IMAGES[part])[1])


def test_samples_changed_in_memory_are_not_read_from_their_file(folder: Path) -> None:
    np.save("split.npy", IMAGES)
    changed = np.load("split.npy", mmap_mode="c", allow_pickle=False)
    changed[:] = 0
    np.testing.assert_array_equal(
        probe(folder, "Plain", samples=changed)[1], probe(folder, "Plain", samples=np.zeros_like(IMAGES))[1]
    )


def test_peak_memory_is_the_files_own(folder: Path) -> None:
    """The 64 MiB that opening the file took are in it; the 128 MiB that importing the toolkit took are not.

    Linux counts pages per processor and adds them up now and then: a MiB more or less is what its peak can tell.
    """
    facts, _ = probe(folder, "Greedy", invocations=1, outputs=False)
    assert facts.peak_memory_bytes is not None
    assert 63 * 2**20 <= facts.peak_memory_bytes < 72 * 2**20


def test_a_timed_process_says_how_long_its_start_took_and_how_busy_the_machine_was(folder: Path) -> None:
    facts, _ = probe(folder, "Plain", invocations=3, outputs=False)
    assert facts.cold_start_ms is not None
    assert facts.cold_start_ms > 0
    assert facts.load_per_core is not None


@pytest.mark.parametrize(("load", "said"), [(0.9, ""), (2.56, "; the device was busy: load average 2.6 a core")])
def test_times_taken_on_a_busy_machine_say_so(load: float, said: str) -> None:
    timings = Timings()
    timings.add(ProbeFacts(latencies_ms=(1.0,), load_per_core=0.1))
    timings.add(ProbeFacts(latencies_ms=(2.0,), load_per_core=load))
    assert timings.busy == said


def test_the_machine_is_leased_while_a_probe_runs_on_it(folder: Path) -> None:
    assert probe(folder, "Leased")[1].all()


def test_a_probe_waits_for_its_turn(folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: probe(folder, "Leased")[1], range(2)))
    assert [answer.all() for answer in answers] == [True, True]


def test_the_process_ends_with_the_one_that_asked(folder: Path) -> None:
    """Killed outright, the parent cannot clean up; the kernel does."""
    os.mkfifo(folder / "pid")
    ask = "import pathlib, test_local_device as test; test.probe(pathlib.Path('.'), 'Endless')"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    parent = subprocess.Popen([sys.executable, "-c", ask], cwd=folder, env=environment)
    child = int((folder / "pid").read_text(encoding="ascii"))
    watched = os.pidfd_open(child)
    try:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        ended, _, _ = select.select([watched], [], [], 60)
    finally:
        os.close(watched)
    assert ended


def test_the_fingerprint_says_on_what_a_number_was_taken() -> None:
    facts = LocalDevice().facts(1, LocalDevice.Options())
    assert facts.machine.endswith(f"({os.uname().machine})")
    assert facts.cores == len(os.sched_getaffinity(0))
    assert os.uname().release in facts.os
