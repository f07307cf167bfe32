# SPDX-License-Identifier: Apache-2.0
"""What validating costs above the bare runtime: the outputs of all samples, by the local device and by a plain loop.

    python benchmarks/validation_throughput.py [--rounds 5]

Both start a fresh process, one sample at a time on one thread, and both import numpy and the runtime, open the file, prepare
the stored samples, run them all and save the outputs: the plain loop is `run` in `bare_demo.py`. The network is the demo's.
Per sample: what 9,000 samples more cost, start-up left out.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import bare_demo
import numpy as np
from measuring import Taken, children, environment, load, process, save, show

from edgewright.artifact import ArtifactManifest
from edgewright.config import Preprocessing
from edgewright.device import ProbePlan
from edgewright.integrations.devices.local import LocalDevice
from edgewright.plugins import create

SUFFIX = {"onnxruntime": ".onnx", "litert": ".tflite"}
CASES = [(449, 8), (1_000, 28), (10_000, 28)]
PREPROCESSING = Preprocessing(scale=bare_demo.SCALE, mean=(bare_demo.MEAN,), std=(bare_demo.STD,), layout="HW")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    taken: list[Taken] = []
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        for count, size in CASES:
            folder = Path(name) / f"{count}-{size}"
            folder.mkdir()
            lay_out(folder, count, size)
            for runtime in SUFFIX:
                case = f"{runtime}, {count} samples of {size} x {size}"
                for number in range(rounds):
                    taken += [plain(folder, runtime, case, number), probed(folder, runtime, case, number)]
                ours, theirs = np.load(folder / "probed.npy"), np.load(folder / f"{runtime}_float_test.npy")
                assert np.allclose(ours, theirs.reshape(ours.shape), atol=1e-4)
    print(save("validation_throughput", taken))
    show(taken, "plain loop")
    for runtime in SUFFIX:
        plain_us, ours_us = (per_sample(taken, runtime, way) for way in ("plain loop", "local device"))
        print(f"{runtime}: {plain_us:.0f} us a sample in the plain loop, {ours_us:.0f} us on the local device: "
              f"{plain_us / ours_us:.2f} of its rate")  # fmt: skip


def lay_out(folder: Path, count: int, size: int) -> None:
    """Random samples, and the demo's network with random weights in both formats."""
    import litert_torch
    import torch

    np.save(folder / "test_x.npy", np.random.default_rng(0).integers(0, 17, (count, size, size), dtype=np.uint8))
    torch.manual_seed(0)
    model = bare_demo.network().eval()
    bare_demo.to_onnx(model, size, folder / "float.onnx")
    last = litert_torch.to_channel_last_io(model, args=[0])
    litert_torch.convert(last, (torch.zeros(1, size, size, 1),)).export(str(folder / "float.tflite"))


def plain(folder: Path, runtime: str, case: str, number: int) -> Taken:
    command = [sys.executable, bare_demo.__file__, str(folder), "--only", "run", runtime, "float", "test", "outputs"]
    return Taken(case, "plain loop", number, *process(command, folder / "plain.log", folder), load())


def probed(folder: Path, runtime: str, case: str, number: int) -> Taken:
    file = folder / f"float{SUFFIX[runtime]}"
    plan = ProbePlan(runtime=runtime, threads=1, outputs=True)
    manifest, stored = manifest_of(file, runtime), np.load(folder / "test_x.npy", mmap_mode="r")
    started, before = time.monotonic(), time.process_time() + children()
    outputs = LocalDevice().probe(file, manifest, stored, plan, LocalDevice.Options())[1]
    taken = time.monotonic() - started, time.process_time() + children() - before
    np.save(folder / "probed.npy", outputs)
    return Taken(case, "local device", number, *taken, load())


def manifest_of(file: Path, runtime: str) -> ArtifactManifest:
    declared = create("runtimes", runtime).inspect(file)
    return ArtifactManifest(
        format=file.suffix[1:],
        file=file.name,
        size_bytes=file.stat().st_size,
        recipe="float32",
        task="classification",
        inputs=declared.inputs,
        outputs=declared.outputs,
        preprocessing=PREPROCESSING,
        toolchain={},
        parent="0" * 64,
    )


def per_sample(taken: list[Taken], runtime: str, way: str) -> float:
    """Microseconds of processor time."""
    few, many = (
        statistics.median(one.cpu_s for one in taken if one.case == f"{runtime}, {count} samples of 28 x 28" and one.way == way)
        for count in (1_000, 10_000)
    )
    return (many - few) / 9_000 * 1e6


if __name__ == "__main__":
    os.environ.clear()
    os.environ.update(environment())
    main()
