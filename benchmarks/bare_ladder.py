# SPDX-License-Identifier: Apache-2.0
"""The work of `ladder: auto` without edgewright, for `ladder_overhead.py`: the stages of `bare_demo.py`, and pruning.

    python benchmarks/bare_ladder.py FOLDER

Train, export and quantize for two runtimes, run and time; prune half of the multiply-accumulates with torch-pruning and
fine-tune, export, quantize, run and time again. Which rung comes next is written down here: it decides nothing.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bare_demo

RUNTIMES = {"onnxruntime": "onnx", "litert": "tflite"}
bare_demo.FILES = {runtime: pattern for runtime, pattern in bare_demo.FILES.items() if runtime in RUNTIMES}
PRUNED = "pruned"
CUT, FINE_TUNING_EPOCHS, FINE_TUNING_RATE = 0.5, 10, 9e-4


def prune(folder: Path) -> None:
    """Cut by L1 norm over the whole model until half of the multiply-accumulates are gone, and train on."""
    import numpy as np
    import torch
    import torch_pruning
    from torch.nn.functional import cross_entropy

    own = folder / PRUNED
    own.mkdir()
    for file in folder.glob("*_[xy].npy"):
        os.link(file, own / file.name)
    torch.manual_seed(7)
    model, example = bare_demo.trained(folder), torch.zeros(1, 1, 8, 8)
    whole = torch_pruning.utils.count_ops_and_params(model, example)[0]
    pruner = torch_pruning.pruner.BasePruner(
        model, example, torch_pruning.importance.GroupMagnitudeImportance(p=1), global_pruning=True, pruning_ratio=0.9,
        max_pruning_ratio=0.9, iterative_steps=90, ignored_layers=[model[-1]],
    )  # fmt: skip
    while torch_pruning.utils.count_ops_and_params(model, example)[0] > (1 - CUT) * whole:
        pruner.step()
    torch.save(pruner.pruning_history(), own / "history.pt")

    best = -1.0
    x, y = torch.from_numpy(bare_demo.prepared(own, "train")), torch.from_numpy(np.load(own / "train_y.npy"))
    judged = torch.from_numpy(bare_demo.prepared(own, "validation"))
    labels = torch.from_numpy(np.load(own / "validation_y.npy"))
    optimizer = torch.optim.AdamW(model.parameters(), FINE_TUNING_RATE, weight_decay=1e-4)
    batches = -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, FINE_TUNING_EPOCHS * batches)
    for _ in range(FINE_TUNING_EPOCHS):
        model.train()
        for rows in torch.randperm(len(x)).tensor_split(batches):
            optimizer.zero_grad()
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            score = float((model(judged).argmax(1) == labels).float().mean())
        if score > best:
            best = score
            torch.save(model.state_dict(), own / "weights.pt")


def trained(folder: Path) -> Any:
    """The network with its weights, cut first where the folder is of a pruned one."""
    import torch

    model = bare_demo.network()
    if (history := folder / "history.pt").is_file():
        import torch_pruning

        graph = torch_pruning.DependencyGraph().build_dependency(model, torch.zeros(1, 1, 8, 8))
        graph.load_pruning_history(torch.load(history, weights_only=False))
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return model.eval()


def rung(runtime: str, where: str = "") -> list[tuple[str, str, bool]]:
    """The stages that try one model for one runtime."""
    made = [(f"{where}{verb}_{RUNTIMES[runtime]}", "", True) for verb in ("export", "quantize")]
    return [*made, (f"{where}validate", runtime, False)]


#: stage, its argument, and whether it runs in a process of its own, as it does in edgewright
STAGES: list[tuple[str, str, bool]] = [
    ("data", "", False),
    ("check", "", False),
    ("train", "", False),
    ("baseline", "", False),
    *rung("onnxruntime"),
    ("prune", "", False),
    ("pruned_baseline", "", False),
    *rung("onnxruntime", "pruned_"),
    *rung("litert"),
    *rung("litert", "pruned_"),
    ("pruned_score", "onnxruntime", False),
    ("pruned_score", "litert", False),
    ("pruned_report", "", False),
    ("pruned_track", "", False),
]


def do(folder: Path, name: str, argument: str = "", own_process: bool = False) -> None:
    """Perform one stage, on the pruned model where its name says so."""
    if name.startswith(f"{PRUNED}_"):
        folder, name = folder / PRUNED, name.removeprefix(f"{PRUNED}_")
    given = [argument] if argument else []
    if own_process:
        child(folder, name, *given)
    else:
        (prune if name == "prune" else getattr(bare_demo, name))(folder, *given)


def child(folder: Path, *what: str) -> None:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, __file__, str(folder), "--only", *what], check=True, env=environment)


bare_demo.trained, bare_demo.child = trained, child


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--only", nargs="+", default=[])
    chosen = arguments.parse_args()
    folder = chosen.folder.absolute()
    if chosen.only:
        getattr(bare_demo, chosen.only[0])(folder, *chosen.only[1:])
    else:
        for stage in STAGES:
            started = time.monotonic()
            do(folder, *stage)
            print(f"{' '.join(stage[:2]):28} {time.monotonic() - started:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
