# SPDX-License-Identifier: Apache-2.0
"""How much validating costs above the bare runtime: outputs of all samples by a probe, against a plain ONNX Runtime loop.

    python benchmarks/validation_throughput.py

The bare loop is given inputs that are prepared already; the probe prepares them itself. Both run one sample at a time on
one thread, in turn. Processor time counts, of this process and its children, so that a busy machine does not: the best of
the rounds. What starting costs is told apart from what a sample costs by the difference between few samples and many.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.artifact import ArtifactManifest
from edgewright.config import Preprocessing
from edgewright.data.preprocess import prepare
from edgewright.device import ProbePlan
from edgewright.integrations.devices.local import LocalDevice
from edgewright.plugins import create
from edgewright.probe import run_plan

PREPROCESSING = Preprocessing(scale=1 / 255, mean=(0.5,), std=(0.25,), layout="HWC")
PLAN = ProbePlan(runtime="onnxruntime", threads=1, outputs=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--samples", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    chosen = arguments.parse_args()
    stored = np.random.default_rng(0).integers(0, 256, (chosen.samples, 32, 32, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        write_model(file)
        manifest = manifest_of(file)
        inputs = prepare(stored, PREPROCESSING, "NCHW")
        ways: dict[str, Callable[[int], Any]] = {
            "bare loop": lambda n: bare_loop(file, inputs[:n]),
            "probe": lambda n: run_plan(file, manifest, stored[:n], PLAN, own_process=False)[1],
            "local device": lambda n: LocalDevice().probe(file, manifest, stored[:n], PLAN, LocalDevice.Options())[1],
        }
        answers = {name: way(64) for name, way in ways.items()}
        assert all(np.allclose(answer, answers["bare loop"], atol=1e-5) for answer in answers.values())
        few, many = chosen.samples // 10, chosen.samples
        best = {(name, n): float("inf") for name in ways for n in (few, many)}
        for _ in range(chosen.rounds):
            for name, n in best:
                best[name, n] = min(best[name, n], processor_seconds(ways[name], n))
    each = {name: (best[name, many] - best[name, few]) / (many - few) for name in ways}
    for name, seconds in each.items():
        start = best[name, few] - few * seconds
        share = each["bare loop"] / seconds
        print(f"{name:13} {1 / seconds:7.0f} samples/s ({share:.2f} of the bare loop), {start:.2f} s to start")


def processor_seconds(way: Callable[[int], Any], samples: int) -> float:
    """User and system time of this process and of the children it waited for."""
    started = sum(os.times()[:4])
    way(samples)
    return sum(os.times()[:4]) - started


def bare_loop(file: Path, inputs: np.ndarray) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"input": inputs[at : at + 1]})[0] for at in range(len(inputs))])


def manifest_of(file: Path) -> ArtifactManifest:
    declared = create("runtimes", "onnxruntime").inspect(file)
    return ArtifactManifest(
        format="onnx",
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


def write_model(file: Path) -> None:
    """Three 3x3 convolutions, global pooling and a linear layer: about 3 million multiply-adds."""
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(0)
    nodes, weights, last, channels = [], [], "input", 3
    for number, (wide, stride) in enumerate([(16, 1), (32, 2), (32, 2)]):
        shape = (wide, channels, 3, 3)
        weights.append(numpy_helper.from_array(rng.normal(0, 0.2, shape).astype(np.float32), f"w{number}"))
        nodes.append(
            helper.make_node("Conv", [last, f"w{number}"], [f"c{number}"], pads=[1, 1, 1, 1], strides=[stride, stride])
        )
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
        last, channels = f"r{number}", wide
    weights.append(numpy_helper.from_array(rng.normal(0, 0.2, (10, channels)).astype(np.float32), "w"))
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["output"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small_cnn",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, (1, 3, 32, 32))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, (1, 10))],
        weights,
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(file))


if __name__ == "__main__":
    main()
