# SPDX-License-Identifier: Apache-2.0
"""The ssh device against a real sshd: what it runs there, links that break, and devices that lack something.

The device's Python has numpy alone: neither edgewright nor pydantic.
"""

import fcntl
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bare_python import bare_python
from ssh_server import Link, Server, closed_port, ssh_server

from edgewright.config.base import Config
from edgewright.device import Device, ProbePlan
from edgewright.errors import DeviceError
from edgewright.integrations.devices.ssh import SshDevice, command, files
from edgewright.integrations.devices.ssh.options import SshOptions
from edgewright.meter import Unreadable, energies
from edgewright.onboard.lease import LOCK
from edgewright.testing.device_contract import FLOAT, IMAGES, DeviceContract, adding

LARGE = np.random.default_rng(1).integers(0, 256, (40000, 4, 6, 3), dtype=np.uint8)
OWN_RUNTIME = """
from edgewright.runtime import Onboard
from edgewright.testing.device_contract import AddingRuntime
class Own(AddingRuntime):
    onboard = Onboard(("own_session", "edgewright.testing.adding"), "pip install numpy")
class Several(Own):
    companions = (".bin",)
"""
OWN_SESSION = """
import os, signal, sys, time
from pathlib import Path
from edgewright.testing.adding import AddingSession
assert "edgewright.runtime" not in sys.modules and "pydantic" not in sys.modules
def open_session(file, threads):
    if file.is_dir():
        file = file / "deep" / "model.json"
    what = file.read_text()
    if what == "beside":
        return AddingSession(float(file.with_suffix(".bin").read_text()))
    if what == "crash":
        print("about to dereference null", file=sys.stderr, flush=True)
        os.abort()
    if what == "jump":
        clock = iter(range(10**6, 0, -3600))
        time.time = lambda: next(clock)
    if what == "link" and not (file.parent.parent / "met").exists():
        (file.parent.parent / "met").touch()  # first: the link is cut, and this process ended, as soon as it is heard of
        with open(file.parent.parent / "meet", "w") as fifo:
            fifo.write("here")
    if what == "stale":
        (file.parent / "facts.json").write_text('{"nonce": "of yesterday", "facts": {}, "outputs": null}')
        os._exit(0)
    if what == "endless":
        signal.pause()
    return AddingSession(1.0)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("device")
    bare_python(folder / "plain", "numpy")
    bare_python(folder / "without-numpy")
    (folder / "runs").mkdir()
    with ssh_server(folder) as running:
        yield running


def options_of(server: Server, **keys: Any) -> SshOptions:
    own = {
        "host": "127.0.0.1",
        "port": server.port,
        "identity": str(server.folder / "user_key"),
        "known_hosts": server.known_hosts(*[keys["port"]] if "port" in keys else []),
        "python": str(server.folder / "plain" / "python"),
        "folder": str(server.folder / "runs"),
    }
    return SshOptions.model_validate(own | keys)


class TestSshDevice(DeviceContract):
    @pytest.fixture(autouse=True)
    def _on(self, server: Server) -> Iterator[None]:
        self.server = server
        yield
        assert list((server.folder / "runs").iterdir()) == []  # whatever happened, nothing is left behind

    def device(self) -> Device:
        return SshDevice()

    def options(self) -> Config:
        return options_of(self.server)


def probe(folder: Path, options: SshOptions, samples: np.ndarray = IMAGES, text: str = "1.0", **plan: Any) -> Any:
    (folder / "model.json").write_text(text, encoding="utf-8")
    runtime = "edgewright.testing.device_contract:AddingRuntime"
    asked = ProbePlan.model_validate({"runtime": runtime, "outputs": True} | plan)
    return SshDevice().probe(folder / "model.json", adding(FLOAT), samples, asked, options)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's own runtime: its session goes to the device with the probe."""
    (tmp_path / "own_runtime.py").write_text(OWN_RUNTIME, encoding="utf-8")
    (tmp_path / "own_session.py").write_text(OWN_SESSION, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "own_runtime:Own"


def test_companions_of_a_file_go_with_it(server: Server, tmp_path: Path, own: str) -> None:
    (tmp_path / "model.bin").write_text("1.0", encoding="utf-8")
    outputs = probe(tmp_path, options_of(server), text="beside", runtime="own_runtime:Several")[1]
    np.testing.assert_array_equal(outputs, probe(tmp_path, options_of(server))[1])


def test_an_artifact_that_is_a_folder_goes_as_a_whole(server: Server, tmp_path: Path, own: str) -> None:
    (tmp_path / "model.package" / "deep").mkdir(parents=True)
    (tmp_path / "model.package" / "deep" / "model.json").write_text("1.0", encoding="utf-8")
    plan = ProbePlan(runtime=own, outputs=True)
    outputs = SshDevice().probe(tmp_path / "model.package", adding(FLOAT), IMAGES, plan, options_of(server))[1]
    np.testing.assert_array_equal(outputs, probe(tmp_path, options_of(server))[1])
    assert list((server.folder / "runs").iterdir()) == []


def test_a_transfer_whose_link_breaks_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    link = Link(server.port, 500_000, 1_000_000)
    outputs = probe(tmp_path, options_of(server, port=link.port), LARGE)[1]
    link.close()
    assert len(outputs) == len(LARGE)
    assert link.sent < 1.4 * LARGE.nbytes  # what was under way is sent again, twice 256 KiB at most


def test_a_run_whose_link_breaks_is_run_again(server: Server, tmp_path: Path, own: str) -> None:
    link = Link(server.port)
    os.mkfifo(server.folder / "runs" / "meet")

    def cut() -> None:
        (server.folder / "runs" / "meet").read_text()
        link.cut()

    thread = threading.Thread(target=cut)
    thread.start()
    outputs = probe(tmp_path, options_of(server, port=link.port), text="link", runtime=own)[1]
    thread.join()
    link.close()
    for name in ("meet", "met"):
        (server.folder / "runs" / name).unlink()
    assert len(outputs) == len(IMAGES)


def test_a_device_that_dies_half_way_is_an_error(server: Server, tmp_path: Path) -> None:
    link = Link(server.port, 500_000, then_dead=True)
    with pytest.raises(DeviceError, match=r"127\.0\.0\.1:\d+ cannot be reached"):
        probe(tmp_path, options_of(server, port=link.port, retries=1), LARGE)
    for left in (server.folder / "runs").iterdir():
        subprocess.run(["rm", "-r", left], check=True)


def refused_options(server: Server) -> dict[str, tuple[dict[str, Any], str]]:
    nobody = closed_port()
    return {
        "unreachable": ({"port": nobody}, rf"cannot be reached[\s\S]*ssh -p {nobody}"),
        "unknown host": (
            {"known_hosts": "/dev/null"},
            rf"SHA256:[\s\S]*ssh-keyscan -p {server.port} 127\.0\.0\.1 >>",
        ),
        "another host key": ({"known_hosts": server.known_hosts(key="other_key")}, r"another host key[\s\S]*ssh-keygen -R"),
        "wrong key": ({"identity": str(server.folder / "other_key")}, r"accepts none of the keys[\s\S]*ssh-copy-id"),
        "no key": ({"identity": "nowhere"}, r"there is no key nowhere"),
        "no Python": (
            {"python": "python-of-nobody"},
            r"cannot run the probe[\s\S]*not found[\s\S]*Python 3\.9 or later",
        ),
        "no numpy": ({"python": str(server.folder / "without-numpy" / "python")}, r"-m pip install numpy"),
        "no folder": ({"folder": "/nowhere"}, r"no such folder[\s\S]*device_options\.folder"),
    }


@pytest.mark.parametrize(
    "case",
    ["unreachable", "unknown host", "another host key", "wrong key", "no key", "no Python", "no numpy", "no folder"],
)
def test_what_keeps_a_device_from_running_is_told_with_what_to_do(server: Server, tmp_path: Path, case: str) -> None:
    keys, said = refused_options(server)[case]
    with pytest.raises(DeviceError, match=said):
        probe(tmp_path, options_of(server, **keys))


def test_a_runtime_that_is_not_on_the_device_is_told_with_its_pip_line(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        DeviceError, match=r"ai_edge_litert\.interpreter, which is not installed on the device[\s\S]*pip install"
    ):
        probe(tmp_path, options_of(server), runtime="litert")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[str]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield str(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize(("size", "said"), [("8k", "it refused a file"), ("1m", r"\d bytes are free, [\d,]+ are needed")])
def test_a_full_disk_on_the_device_is_told(server: Server, tmp_path: Path, size: str, said: str) -> None:
    with small_disk(tmp_path / "disk", size) as folder, pytest.raises(DeviceError, match=f"disk of .* is full: .*{said}"):
        probe(tmp_path, options_of(server, folder=folder), LARGE)


@pytest.mark.parametrize("times", [1, 2])
def test_a_damaged_upload_is_sent_again_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    real, damaged = files.send, []

    def send(sftp: Any, source: Path, target: str) -> None:
        real(sftp, source, target)
        if source.name == "model.json" and len(damaged) < times:
            damaged.append(target)
            Path(target).write_text("7.0", encoding="utf-8")

    monkeypatch.setattr(files, "send", send)
    if times == 1:
        assert len(probe(tmp_path, options_of(server))[1]) == len(IMAGES)
    else:
        with pytest.raises(DeviceError, match=r"model\.json arrived damaged on 127\.0\.0\.1, twice"):
            probe(tmp_path, options_of(server))


def test_the_second_of_two_runs_waits_and_says_so(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    with (server.folder / "plain" / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        @contextmanager
        def stage(label: str) -> Iterator[None]:
            said.append(label)
            fcntl.flock(lock, fcntl.LOCK_UN)
            yield

        monkeypatch.setattr(command, "stage", stage)
        assert len(probe(tmp_path, options_of(server))[1]) == len(IMAGES)
    assert said == ["Waiting for 127.0.0.1: another measurement runs on it"]


def test_waiting_for_the_device_ends_as_told(server: Server, tmp_path: Path) -> None:
    with (server.folder / "plain" / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DeviceError, match=r"another measurement still runs[\s\S]*device_options\.wait"):
            probe(tmp_path, options_of(server, wait=0.1))


def test_a_crash_on_the_device_names_the_signal_and_the_last_words(server: Server, tmp_path: Path, own: str) -> None:
    with pytest.raises(DeviceError, match=r"crashed with signal 6[\s\S]*about to dereference null"):
        probe(tmp_path, options_of(server), text="crash", runtime=own)


def test_a_probe_that_does_not_end_is_stopped_and_lets_the_device_go(server: Server, tmp_path: Path, own: str) -> None:
    with pytest.raises(DeviceError, match=r"was stopped[\s\S]*device_options\.timeout"):
        probe(tmp_path, options_of(server, timeout=4), text="endless", runtime=own)
    with (server.folder / "plain" / LOCK).open("r") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # returns once the process over there has ended


def test_what_an_earlier_run_left_on_the_device_is_no_answer(server: Server, tmp_path: Path, own: str) -> None:
    with pytest.raises(DeviceError, match="it is the answer to another request"):
        probe(tmp_path, options_of(server), text="stale", runtime=own)


def test_a_clock_that_jumps_changes_no_latency(server: Server, tmp_path: Path, own: str) -> None:
    facts, _ = probe(tmp_path, options_of(server), text="jump", runtime=own, invocations=20)
    assert all(0 < latency < 60_000 for latency in facts.latencies_ms)


def test_a_clock_that_jumps_gives_no_energy_and_changes_no_soak(server: Server, tmp_path: Path, own: str) -> None:
    facts, _ = probe(tmp_path, options_of(server), text="jump", runtime=own, stretches=1, soak_s=0.3, outputs=False)
    assert facts.soak is not None
    assert all(0 < median < 300 for median in facts.soak.medians_ms)
    with pytest.raises(Unreadable, match="the device's clock was set while it ran"):
        energies(meter(tmp_path), facts.stretches)


def meter(folder: Path) -> Path:
    (folder / "meter.csv").write_text("timestamp_s,power_w\n0,1\n2e9,1\n", encoding="utf-8")
    return folder / "meter.csv"


def test_machine_code_for_another_processor_is_refused(server: Server, tmp_path: Path) -> None:
    sparc = b"\x7fELF\x02\x01\x01" + bytes(11) + b"\x2b\x00" + bytes(40)
    with pytest.raises(DeviceError, match="holds machine code for machine 43, and this machine is"):
        probe(tmp_path, options_of(server), text=sparc.decode("latin-1"))
