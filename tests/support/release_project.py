# SPDX-License-Identifier: Apache-2.0
"""Run releases as users do, each in a process of its own; a fork server has ZenML imported already, so that this is quick."""

import importlib
import multiprocessing
import os
import re
import runpy
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

import yaml

os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # the fork server takes its path from here
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["preloaded"])
_FORKED = re.compile(r'"(null|(?!stubborn:)\w+:\w+)"')  # the stubborn one is there to be interrupted, as ever
_STEPS_OF_NEWEST_RUN = """
    SELECT name, status FROM step_run
    WHERE pipeline_run_id = (SELECT id FROM pipeline_run ORDER BY created DESC LIMIT 1)
"""


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int | None
    output: str
    left_running: bool
    """Whether a process that the run started is still there."""

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


@dataclass(frozen=True)
class Running:
    """A run under way."""

    process: Any
    log: Path

    def end(self) -> Ended:
        """Wait for its end."""
        self.process.join()
        return Ended(self.process.exitcode, self.log.read_text(encoding="utf-8"), _group_lives(self.process.pid))


@dataclass(frozen=True)
class Project:
    """A user's folder with a release.yaml, and a ZenML store of its own."""

    folder: Path
    config: dict[str, Any]

    def write(self, **changes: Any) -> None:
        """Write release.yaml: the project's configuration with top-level keys replaced."""
        text = yaml.safe_dump({"parameters": {"config": {**self.config, **changes}}}, sort_keys=False)
        (self.folder / "release.yaml").write_text(text, encoding="utf-8")

    def with_stores(self) -> "Project":
        """Give the project the stores of ZenML and MLflow as they are before a first release; making them takes longest."""
        copy_zenml_store(self.folder / ".zenml")
        (self.folder / "edgewright-out").mkdir()
        shutil.copy(_stores() / "mlflow.db", self.folder / "edgewright-out")
        return self

    def edgewright(self, *arguments: str, **more: Any) -> Ended:
        """Run `edgewright …` in the project's folder, to its end; ``more`` as `start` takes it."""
        return self.start(*arguments, **more).end()

    def start(
        self,
        *arguments: str,
        kill_in: str = "",
        interrupt_in: str = "",
        meet_in: str = "",
        meeting: Any = None,
        environment: Mapping[str, str] | None = None,
        package_in: Path | None = None,
        log: str = "log.txt",
        program: str = "edgewright.cli:main",
    ) -> Running:
        """Start `edgewright …` in the project's folder, in a process group of its own.

        Args:
            arguments: of the command line.
            kill_in: 'module:function' that dies by SIGKILL when it is called.
            interrupt_in: 'module:function' after whose first call Ctrl-C is pressed.
            meet_in: 'module:function' that goes on once all runs of the meeting have come to it.
            meeting: the `meeting` of the runs.
            environment: variables to set.
            package_in: folder with a copy of the package, to run that one.
            log: name of the file that takes what it prints.
            program: the command line's function.
        """
        given = {"ZENML_CONFIG_PATH": f"{self.folder}/.zenml", "COLUMNS": "160", **(environment or {})}
        process = _CONTEXT.Process(
            target=_run,
            args=(
                program,
                list(arguments),
                str(self.folder),
                given,
                package_in,
                kill_in,
                interrupt_in,
                meet_in,
                meeting,
                str(self.folder / log),
            ),
        )
        process.start()
        return Running(process, self.folder / log)

    def executed(self) -> dict[str, str]:
        """Step names of the newest run with their status ('completed', 'cached', 'failed')."""
        # read without ZenML, which takes a second to open its store
        with closing(sqlite3.connect(_zenml_database(self.folder / ".zenml"))) as database:
            return dict(database.execute(_STEPS_OF_NEWEST_RUN))

    def ran(self) -> set[str]:
        """Names of the newest run's steps that were executed, not taken from the cache."""
        return {name for name, status in self.executed().items() if status != "cached"}

    @property
    def out(self) -> Path:
        """Where the release's report and artifacts go."""
        return self.folder / "edgewright-out" / str(self.config["name"])


def meeting(runs: int) -> Any:
    """Where runs wait for each other."""
    return _CONTEXT.Barrier(runs)


def script(arguments: list[str]) -> None:
    """Run a file as `python FILE` does: the program of a project's `start`."""
    runpy.run_path(arguments[0], run_name="__main__")


def copy_zenml_store(folder: Path) -> None:
    """Make ``folder`` the configuration folder of a ZenML that has its store already."""
    database = _zenml_database(folder)
    database.parent.mkdir(parents=True)
    shutil.copy(_zenml_database(_stores()), database)


def _zenml_database(folder: Path) -> Path:
    return folder / "local_stores" / "default_zen_store" / "zenml.db"


@cache
def _stores() -> Path:
    """Empty stores of ZenML and MLflow, made once; neither says where it lies."""
    folder = Path(tempfile.mkdtemp(prefix="edgewright-test-stores-"))
    process = _CONTEXT.Process(target=_make_stores, args=(str(folder),))
    process.start()
    process.join()
    assert process.exitcode == 0
    return folder


def _make_stores(folder: str) -> None:
    os.environ["ZENML_CONFIG_PATH"] = folder
    from mlflow import MlflowClient

    from edgewright.pipelines.store import open_store

    open_store()
    MlflowClient(f"sqlite:///{folder}/mlflow.db").search_registered_models()


def _run(
    program: str,
    arguments: list[str],
    folder: str,
    environment: Mapping[str, str],
    package_in: Path | None,
    kill_in: str,
    interrupt_in: str,
    meet_in: str,
    meeting: Any,
    log: str,
) -> None:
    os.setpgrp()  # as a shell does, so that Ctrl-C reaches this run and what it starts alone
    stream = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.chdir(folder)
    os.environ.update(environment)
    tempfile.tempdir = None  # the fork server has looked for it already, in another environment
    if package_in:
        _import_from(package_in)
    if kill_in:
        _arm(kill_in, lambda _: os.kill(os.getpid(), signal.SIGKILL))
    if interrupt_in:
        _arm(interrupt_in, _then_interrupt)
    if meet_in:
        _arm(meet_in, lambda call: (meeting.wait(120), call())[1])
    from zenml.utils import source_utils

    from edgewright import isolate

    isolate._run = partial(_forked, isolate._run)
    module, _, name = program.partition(":")
    source_utils.set_custom_source_root(folder)  # a forked process has no main file to take it from
    try:
        getattr(importlib.import_module(module), name)(arguments)
    finally:
        sys.stdout.flush()


def _import_from(folder: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "edgewright"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))


def _forked(start: Callable[[list[str], Path], int], command: list[str], printed: Path) -> int:
    """Fork what the null runtime or a user's own exports: most of the time goes into importing torch. Others start as ever."""
    request, answer = (Path(one) for one in command[-2:])
    if not _FORKED.search(request.read_text(encoding="utf-8")):
        return start(command, printed)
    stdin, held_open = os.pipe()
    child = os.fork()
    if child == 0:
        _serve(request, answer, printed, stdin, held_open)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(stdin)
        os.close(held_open)


def _serve(request: Path, answer: Path, printed: Path, stdin: int, held_open: int) -> NoReturn:
    from edgewright import isolate

    status = 1
    try:
        os.close(held_open)
        os.dup2(stdin, 0)
        for stream in (1, 2):
            os.dup2(os.open(printed, os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
        isolate.main(request, answer)
        status = 0
    finally:
        os._exit(status)


def _then_interrupt(call: Callable[[], Any]) -> Any:
    result = call()
    os.killpg(0, signal.SIGINT)
    return result


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _arm(where: str, act: Callable[[Callable[[], Any]], Any]) -> None:
    module_name, _, path = where.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module_name)
    for part in owners:
        owner = getattr(owner, part)
    original = getattr(owner, name)  # a name that is not there would arm nothing
    setattr(owner, name, lambda *arguments, **named: act(lambda: original(*arguments, **named)))


AFFINE = {
    "name": "digits",
    "seed": 3,
    "data": {"source": "digits", "preprocessing": {"scale": 0.0625, "layout": "HW"}},
    "model": {"architecture": "mlp", "options": {"hidden": []}, "training": {"epochs": 3, "learning_rate": 0.01}},
    "ladder": ["ptq_w8a8", "fp16"],
    "targets": [{"name": "a", "runtime": "null", "device": "null", "budget": {"max_accuracy_drop": 0.05}}],
    "measuring": {"invocations": 20, "processes": 1},
}
