# SPDX-License-Identifier: Apache-2.0
"""What a run on a device costs beyond the bare inference loop: this machine, and a machine behind ssh (sshd on loopback).

    python benchmarks/device_runs.py [--rounds 5]

1,000 samples, one at a time on one thread, outputs brought back; the plain loop is `run` in `bare_demo.py`. The device behind
ssh gets probe, file and samples anew each time, as in a release. Wall time alone: what sshd's processes compute is not told.
Results: results/device_runs.csv, and a table on the terminal.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import Taken, environment, load, save, show
from validation_throughput import SUFFIX, lay_out, manifest_of, plain

from edgewright.device import Device, ProbePlan
from edgewright.integrations.devices.local import LocalDevice
from edgewright.integrations.devices.ssh import SshDevice

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from ssh_server import Server, ssh_server

SAMPLES = 1_000
SIZES = (28, 56)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    taken: list[Taken] = []
    with tempfile.TemporaryDirectory(prefix="device-runs-") as name, ssh_server(Path(name)) as server:
        for size in SIZES:
            folder = Path(name) / str(size)
            folder.mkdir()
            lay_out(folder, SAMPLES, size)
            for runtime in SUFFIX:
                case = f"{runtime}, {SAMPLES:,} samples of {size} x {size}"
                for number in range(rounds):
                    at = folder, runtime, case, number
                    taken.append(plain(*at))
                    taken.append(probed(LocalDevice(), {}, "local device", *at))
                    taken.append(probed(SshDevice(), reach(server), "ssh on loopback", *at))
    print(save("device_runs", taken))
    show(taken, "plain loop")


def reach(server: Server) -> dict[str, object]:
    """Options of the device: how sshd is reached, and this Python."""
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "identity": str(server.folder / "user_key"),
        "known_hosts": server.known_hosts(),
        "python": sys.executable,
    }


def probed(device: Device, options: dict[str, object], way: str, folder: Path, runtime: str, case: str, number: int) -> Taken:
    file = folder / f"float{SUFFIX[runtime]}"
    manifest, stored = manifest_of(file, runtime), np.load(folder / "test_x.npy", mmap_mode="r")
    started = time.monotonic()
    plan = ProbePlan(runtime=runtime, threads=1, outputs=True)
    _, outputs = device.probe(file, manifest, stored, plan, device.Options.model_validate(options))
    wall = time.monotonic() - started
    theirs = np.load(folder / f"{runtime}_float_test.npy")
    assert outputs is not None
    assert np.allclose(outputs, theirs.reshape(outputs.shape), atol=1e-4)
    return Taken(case, way, number, wall, float("nan"), load())


if __name__ == "__main__":
    os.environ.clear()
    os.environ.update(environment())
    main()
