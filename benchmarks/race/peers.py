# SPDX-License-Identifier: Apache-2.0
"""The peers' files, made from the very baseline and calibration samples that edgewright had, each in a child process.

Each script in benchmarks/peers takes FLOAT SAMPLES.npz OUT. SAMPLES.npz holds `calibration` (N, …), and `validation`
(M, …) with `labels` (M,) for those that choose: float32 model inputs in the float file's layout. Test data is not in it.
A peer that trains gets the baseline's weights for FLOAT, and `train` (K, …) with `train_labels` (K,) as well.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import environment, process

from race.release import Release

SCRIPTS = Path(__file__).parents[1] / "peers"


@dataclass(frozen=True)
class Peer:
    """One toolkit: its script, what executes its files, and its ways by the names of the files."""

    script: str
    runtime: str
    ways: dict[str, str]
    trains: bool = False
    packages: str | None = None
    """Requirements of an environment of its own; None: it is in edgewright's."""


PEERS = {
    "aeq": Peer(
        "litert_peer.py",
        "litert",
        {"aeq.tflite": "AI Edge Quantizer", "aeq_minmax.tflite": "AI Edge Quantizer, min-max"},
    ),
    "tfmot": Peer("tfmot_peer.py", "litert", {"tfmot_qat.tflite": "tfmot, QAT of one epoch"}, trains=True),
    "ort": Peer("onnxruntime_peer.py", "onnxruntime", {"ort_ptq.onnx": "ONNX Runtime static"}),
    "nncf": Peer(
        "nncf_peer.py",
        "onnxruntime",
        {"nncf_ptq.onnx": "NNCF", "nncf_accuracy_control.onnx": "NNCF, accuracy control"},
        packages="nncf.txt",
    ),
    "olive": Peer(
        "olive_peer.py",
        "onnxruntime",
        {"olive.onnx": "Olive, its defaults", "olive_u8s8.onnx": "Olive, u8s8 per channel"},
        packages="olive.txt",
    ),
}
QUIET = {"CI": "true", "OLIVE_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}


def make(name: str, release: Release, folder: Path, environments: Path) -> dict[str, Path]:
    """Return the peer's files by its ways; what was made of the same float file and samples is not made again."""
    peer = PEERS[name]
    python = python_of(name, peer, environments)
    start = release.weights if peer.trains else release.floats[peer.runtime].main_file
    samples = samples_for(peer, release, folder)
    out = folder / name
    out.mkdir(exist_ok=True)
    files = {way: out / file for file, way in peer.ways.items()}
    stamp, made_of = out / "made-of", digest(SCRIPTS / peer.script, start, samples, python.parents[1] / "installed")
    if not (
        stamp.is_file() and stamp.read_text(encoding="ascii") == made_of and all(file.is_file() for file in files.values())
    ):
        command = [str(python), str(SCRIPTS / peer.script), *(str(path.absolute()) for path in (start, samples, out))]
        process(command, folder / f"{name}.log", folder, **QUIET)
        stamp.write_text(made_of, encoding="ascii")
    return files


def samples_for(peer: Peer, release: Release, folder: Path) -> Path:
    """Write the samples a peer may look at, in the layout of its runtime's float file."""
    layout, dataset = release.floats[peer.runtime].facts.inputs[0].layout, release.dataset
    inputs: dict[str, Any] = {split: dataset.inputs(split, layout) for split in ("calibration", "validation")}
    if peer.trains:
        inputs |= {"train": dataset.inputs("train", layout), "train_labels": dataset.labels("train")}
    file = folder / f"samples-{peer.runtime}{'-train' if peer.trains else ''}.npz"
    np.savez(file, labels=dataset.labels("validation"), **inputs)
    return file


def python_of(name: str, peer: Peer, environments: Path) -> Path:
    """Return the interpreter of a peer's own environment, which is made when it is not there, or edgewright's."""
    if peer.packages is None:
        return Path(sys.executable)
    wanted, place = SCRIPTS / peer.packages, (environments / name).absolute()
    python, stamp = place / "bin" / "python", place / "installed"
    if not (stamp.is_file() and stamp.read_bytes() == wanted.read_bytes()):
        print(f"installing {name} into {place}", flush=True)
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        # as the Makefile: uv does not read pip's settings; without a wheel folder of one's own, torch for the processor
        wheels = os.environ.get("PIP_FIND_LINKS")
        where = {"UV_FIND_LINKS": wheels} if wheels else {"UV_TORCH_BACKEND": "cpu"}
        install = [uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(wanted)]
        for command in ([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)], install):
            done = subprocess.run(command, env=environment(**where), capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{done.stderr}\n{name} cannot be installed; without it: --peers")
        stamp.write_bytes(wanted.read_bytes())
    return python


def digest(*files: Path) -> str:
    """Digest the content of files; one that is not there counts as empty."""
    return hashlib.sha256(b"\0".join(hashlib.sha256(read(file)).digest() for file in files)).hexdigest()


def read(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""
