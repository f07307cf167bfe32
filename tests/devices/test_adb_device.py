# SPDX-License-Identifier: Apache-2.0
"""The adb device through Debian's adb, against a stand-in that speaks the daemon's protocol: no phone can be here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phone import Phone, adb_server

from edgewright.config.base import Config
from edgewright.device import Device, ProbePlan
from edgewright.errors import ConfigError, DeviceError
from edgewright.integrations.devices.adb import AdbDevice, benchmark
from edgewright.integrations.devices.adb.link import AdbLink
from edgewright.integrations.devices.adb.options import AdbOptions
from edgewright.testing.device_contract import FLOAT, IMAGES, AddingRuntime, DeviceContract, adding

SOURCE = Path(__file__).parents[2] / "examples" / "android" / "runner.c"
LOGS = Path(__file__).parent / "benchmark_model"
RUNNER = f"""#!{sys.executable}
import json, os, sys, time
import numpy as np
asked = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
content = open(asked["inputs"], "rb").read()
samples = np.frombuffer(content, np.float32 if len(content) % 288 == 0 else np.int8)  # of 72 values
added = (samples + json.load(open(asked["model"]))).astype(samples.dtype)
what = asked.get("do", "")
if what == "crash":
    os.abort()
if "outputs" in asked and what != "nothing":
    open(asked["outputs"], "wb").write(added.tobytes()[: 40 if what == "short" else None])
if "latencies" in asked:
    count = int(asked["invocations"]) - (what == "short")
    open(asked["latencies"], "w").write("latency_ms\\n" + "0.25\\n" * count)
"""
BENCHMARK = f"""#!/bin/sh
echo "$@" > {{asked}}
cat {LOGS}/phone-2020.txt >&2
"""
PROPERTIES = """#!/bin/sh
case $1 in
  ro.product.manufacturer) echo Google;; ro.product.model) echo Pixel 8;; ro.soc.model) echo Tensor G3;;
  ro.product.cpu.abi) echo arm64-v8a;; ro.build.version.release) echo 15;;
esac
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs as they would be built for the phone, and the phone's own commands."""
    made = tmp_path_factory.mktemp("phone")
    (made / "bin").mkdir()
    (made / "tmp").mkdir()
    texts = {"runner": RUNNER, "benchmark_model": BENCHMARK.format(asked=made / "asked"), "bin/getprop": PROPERTIES}
    for name, text in texts.items():
        (made / name).write_text(text)
        (made / name).chmod(0o755)
    return made


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with adb_server(tmp_path_factory.mktemp("home")) as port:
        yield port


@pytest.fixture
def phone(folder: Path) -> Iterator[Phone]:
    with connected(Phone(path=str(folder / "bin"))) as one:
        yield one


class connected:  # noqa: N801 - a context manager
    """Have adb's server know a phone for as long as it is needed.

    ``answers``: False does not wait for the phone's greeting, for which adb waits ten seconds: it is listed before that.
    """

    def __init__(self, phone: Phone, *, answers: bool = True) -> None:
        self._phone, self._answers = phone, answers

    def __enter__(self) -> Phone:
        self._connecting = subprocess.Popen(["adb", "connect", self._phone.serial], stdout=subprocess.DEVNULL)
        if self._answers:
            assert self._connecting.wait() == 0
        while self._phone.serial not in subprocess.run(["adb", "devices"], check=True, capture_output=True, text=True).stdout:
            assert self._connecting.poll() is None
        return self._phone

    def __exit__(self, *_: object) -> None:
        subprocess.run(["adb", "disconnect", self._phone.serial], check=True, capture_output=True)
        self._connecting.kill()
        self._connecting.wait()
        self._phone.close()


def options_of(programs: Path, **keys: Any) -> AdbOptions:
    own = {"runner": str(programs / "runner"), "folder": str(programs / "tmp"), "timeout": 60}
    return AdbDevice.Options.model_validate(own | keys)


class TestAdbDevice(DeviceContract):
    @pytest.fixture(autouse=True)
    def _on(self, phone: Phone, folder: Path) -> Iterator[None]:
        self.folder = folder
        yield
        assert list((folder / "tmp").iterdir()) == []  # whatever happened, nothing is left behind

    def device(self) -> Device:
        return AdbDevice()

    def options(self) -> Config:
        return options_of(self.folder)


def probe(programs: Path, tmp_path: Path, **keys: Any) -> Any:
    AddingRuntime().export(1.0, IMAGES, tmp_path / "model.json", Config())
    plan = {key: keys.pop(key) for key in ("invocations", "warmup", "outputs", "batch", "threads") if key in keys}
    asked = ProbePlan.model_validate({"runtime": DeviceContract.runtime, "outputs": True} | plan)
    return AdbDevice().probe(tmp_path / "model.json", adding(FLOAT), IMAGES, asked, options_of(programs, **keys))


def test_the_fingerprint_is_the_phones(phone: Phone, folder: Path) -> None:
    facts = AdbDevice().facts(4, options_of(folder))
    assert (facts.name, facts.machine) == ("Google Pixel 8", "Tensor G3 (arm64-v8a)")
    assert facts.os == f"Android 15, Linux {os.uname().release}"


def test_benchmark_model_takes_cold_start_and_memory(phone: Phone, folder: Path, tmp_path: Path) -> None:
    keys = {"benchmark_model": str(folder / "benchmark_model"), "arguments": ["--use_gpu=true"]}
    facts, _ = probe(folder, tmp_path, invocations=20, warmup=3, threads=2, outputs=False, **keys)
    assert facts.latencies_ms == (0.25,) * 20
    assert facts.cold_start_ms == pytest.approx(0.855 + 49.060)
    assert facts.peak_memory_bytes == int(12.8672 * 2**20)
    asked = "--graph=model.json --num_threads=2 --warmup_runs=3 --warmup_min_secs=0 --num_runs=20 --min_secs=0 --max_secs=60"
    assert (folder / "asked").read_text().strip() == f"{asked} --use_gpu=true"


@pytest.mark.parametrize(
    ("do", "plan", "said"),
    [
        ("crash", {}, r"a command on the phone crashed with signal 6"),
        ("short", {}, r"wrote 40 bytes of outputs, not 2,016"),
        ("nothing", {}, r"a file is not there on the phone[\s\S]*android\.md"),
        ("short", {"invocations": 5, "outputs": False}, r"did not write 5 latencies[\s\S]*'latency_ms'"),
    ],
)
def test_a_runner_that_fails_is_an_error_that_says_how(
    phone: Phone, folder: Path, tmp_path: Path, do: str, plan: dict[str, Any], said: str
) -> None:
    with pytest.raises(DeviceError, match=said):
        probe(folder, tmp_path, arguments=[f"--do={do}"], **plan)


def test_the_runner_in_c_does_what_it_is_asked(phone: Phone, folder: Path, tmp_path: Path) -> None:
    """Against a stand-in for LiteRT's C API, which is in no package here."""
    (tmp_path / "tensorflow" / "lite" / "c").mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "litert_c_api.h", tmp_path / "tensorflow" / "lite" / "c" / "c_api.h")
    words = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}", "-o", tmp_path / "runner-c", SOURCE]
    subprocess.run([str(word) for word in words], check=True)
    keys = {"runner": str(tmp_path / "runner-c"), "arguments": ["--use_gpu=true"]}
    outputs = probe(folder, tmp_path, **keys)[1]
    np.testing.assert_array_equal(outputs, probe(folder, tmp_path)[1])
    timed, _ = probe(folder, tmp_path, invocations=20, warmup=3, outputs=False, **keys)
    assert len(timed.latencies_ms) == 20


def test_a_runner_takes_no_batches(phone: Phone, folder: Path, tmp_path: Path) -> None:
    facts, _ = probe(folder, tmp_path, invocations=5, batch=2, outputs=False)
    assert facts.latencies_ms == ()
    assert "one sample in a run" in facts.why_not


def test_what_adb_says_without_a_phone_is_put_into_words(folder: Path) -> None:
    def refused(**keys: Any) -> str:
        with pytest.raises(DeviceError) as caught:
            AdbDevice().facts(1, options_of(folder, **keys))
        return str(caught.value)

    assert "adb sees no phone" in refused()
    assert "adb does not see this phone" in refused(serial="R58M1234")
    assert "apt-get install adb" in refused(adb="adb-that-is-not-there")
    with connected(Phone(path=str(folder / "bin"))) as good, connected(Phone(trusts=False)) as strange:
        assert "adb sees several phones" in refused()
        assert "does not trust this machine yet" in refused(serial=strange.serial)
        assert AdbDevice().facts(1, options_of(folder, serial=good.serial)).name == "Google Pixel 8"
    with connected(Phone(silent=True), answers=False) as silent:
        assert "the phone is offline" in refused(serial=silent.serial)


def test_a_full_disk_and_a_missing_folder_are_told(phone: Phone, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1" * 5000)
    with pytest.raises(DeviceError, match=r"disk is full[\s\S]*device_options\.folder"):
        AdbLink(options_of(folder)).push(tmp_path / "file", "/dev/full")
    with pytest.raises(DeviceError, match="mkdir"):
        probe(folder, tmp_path, folder="/nowhere")


def test_programs_that_are_not_there_are_refused_before_anything_is_trained(folder: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file '/no/runner'"):
        AdbDevice().check("litert", options_of(folder, runner="/no/runner"))
    with pytest.raises(ConfigError, match=r"benchmark_model runs \.tflite files, and 'onnxruntime' has others"):
        AdbDevice().check("onnxruntime", options_of(folder, benchmark_model=str(folder / "benchmark_model")))


@pytest.mark.parametrize(
    ("log", "runs", "cold_ms", "mean_ms", "mib"),
    [
        ("phone-2020", 50, 49.915, 33.2094, 12.8672),
        ("riscv-qemu", 50, 3529.578, 2950.34, 46.0859),
        ("xnnpack", 337, 9.156, 2.94227, 40.8281),
    ],
)
def test_published_logs_of_benchmark_model_are_read(log: str, runs: int, cold_ms: float, mean_ms: float, mib: float) -> None:
    seen = benchmark.read((LOGS / f"{log}.txt").read_text())
    assert (seen.runs, seen.memory_bytes) == (runs, int(mib * 2**20))
    assert (seen.cold_start_ms, seen.mean_ms) == (pytest.approx(cold_ms), pytest.approx(mean_ms))


def test_a_delegate_that_does_not_run_the_file_is_an_error() -> None:
    with pytest.raises(DeviceError, match=r"ran the file on the CPU[\s\S]*Though NNAPI delegate"):
        benchmark.read((LOGS / "nnapi-refused.txt").read_text())


def test_a_log_without_times_shows_its_last_lines() -> None:
    with pytest.raises(DeviceError, match=r"told no times[\s\S]*Graph file"):
        benchmark.read("STARTING!\nERROR: Graph file missing\n")
