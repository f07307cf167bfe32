# SPDX-License-Identifier: Apache-2.0
"""Run releases as users do, each in a process of its own; a fork server has ZenML imported already, so that this is quick."""

import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # the fork server takes its path from here
multiprocessing.get_context("forkserver").set_forkserver_preload(["preloaded"])


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int | None
    output: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


@dataclass(frozen=True)
class Project:
    """A user's folder with a release.yaml, and a ZenML store of its own."""

    folder: Path
    config: dict[str, Any]

    def write(self, **changes: Any) -> None:
        """Write release.yaml: the project's configuration with top-level keys replaced."""
        text = yaml.safe_dump({"parameters": {"config": {**self.config, **changes}}}, sort_keys=False)
        (self.folder / "release.yaml").write_text(text, encoding="utf-8")

    def edgewright(self, *arguments: str, kill_in: str = "") -> Ended:
        """Run `edgewright …` in the project's folder; `kill_in` ('module:function') dies by SIGKILL when it is called."""
        log = self.folder / "log.txt"
        process = multiprocessing.get_context("forkserver").Process(
            target=_edgewright, args=(list(arguments), str(self.folder), kill_in, str(log))
        )
        process.start()
        process.join()
        return Ended(process.exitcode, log.read_text(encoding="utf-8"))

    def executed(self) -> dict[str, str]:
        """Step names of the newest run with their status ('completed', 'cached', 'failed')."""
        context = multiprocessing.get_context("forkserver")
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=_send_steps, args=(str(self.folder), send))
        process.start()
        found: dict[str, str] = receive.recv()
        process.join()
        return found

    def ran(self) -> set[str]:
        """Names of the newest run's steps that were executed, not taken from the cache."""
        return {name for name, status in self.executed().items() if status != "cached"}

    @property
    def out(self) -> Path:
        """Where the release's report and artifacts go."""
        return self.folder / "edgewright-out" / str(self.config["name"])


def _edgewright(arguments: list[str], folder: str, kill_in: str, log: str) -> None:
    stream = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.chdir(folder)
    os.environ["ZENML_CONFIG_PATH"] = f"{folder}/.zenml"
    os.environ["COLUMNS"] = "160"
    if kill_in:
        _arm(kill_in)
    from zenml.utils import source_utils

    from edgewright.cli import main

    source_utils.set_custom_source_root(folder)  # a forked process has no main file to take it from
    try:
        main(arguments)
    finally:
        sys.stdout.flush()


def _arm(kill_in: str) -> None:
    import importlib

    module_name, _, path = kill_in.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module_name)
    for part in owners:
        owner = getattr(owner, part)
    getattr(owner, name)  # a name that is not there would arm nothing
    setattr(owner, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))


def _send_steps(folder: str, send: Any) -> None:
    os.environ["ZENML_CONFIG_PATH"] = f"{folder}/.zenml"
    from zenml.client import Client

    run = Client().list_pipeline_runs(sort_by="desc:created", size=1).items[0]
    steps = Client().list_run_steps(pipeline_run_id=run.id, size=200).items
    send.send({step.name: step.status.value for step in steps})


AFFINE = {
    "name": "digits",
    "seed": 3,
    "data": {"source": "digits", "preprocessing": {"scale": 0.0625, "layout": "HW"}},
    "model": {"architecture": "mlp", "options": {"hidden": []}, "training": {"epochs": 3, "learning_rate": 0.01}},
    "ladder": ["ptq_w8a8", "fp16"],
    "targets": [{"name": "a", "runtime": "null", "device": "null", "budget": {"max_accuracy_drop": 0.05}}],
    "measuring": {"invocations": 20, "processes": 1},
}
