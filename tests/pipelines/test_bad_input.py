# SPDX-License-Identifier: Apache-2.0
"""What a user does wrong, through the command line: one screen that says what, where and what to do, and nothing half done."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from release_project import AFFINE, Ended, Project, copy_zenml_store
from wrong_releases import WRONG, WRONG_ONCE_IT_RUNS, Files

TARGET = AFFINE["targets"][0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One ZenML store for all runs that are refused: what one has finished is not done again by the next."""
    folder = tmp_path_factory.mktemp("zenml")
    copy_zenml_store(folder)
    return {"ZENML_CONFIG_PATH": str(folder)}


def write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def refused(ended: Ended, *said: str, code: int = 2) -> None:
    assert ended.code == code, ended.output
    for part in (*said, "where: ", "to do: "):
        assert part in ended.output
    assert ended.output.count("\n") <= 25, f"more than one screen:\n{ended.output}"
    assert "Traceback" not in ended.output
    assert not ended.left_running


def champions(project: Project) -> dict[str, int | None]:
    """Registered models of the project's stores, with their champion's version; the histories beside them have none.

    Read without MLflow, which would write.
    """
    found: dict[str, int | None] = {}
    for file in project.folder.rglob("mlflow.db"):
        with closing(sqlite3.connect(file)) as database:
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'registered_model_aliases'").fetchone():
                found |= dict.fromkeys(
                    name for (name,) in database.execute("SELECT name FROM registered_models WHERE name NOT LIKE '%.history'")
                )
                found |= dict(database.execute("SELECT name, version FROM registered_model_aliases WHERE alias = 'champion'"))
    return found


@pytest.mark.parametrize("case", WRONG)
def test_check_refuses(fresh: Project, case: str) -> None:
    files, keys, said = WRONG[case]
    write(fresh.folder, files)
    fresh.write(**keys)
    refused(fresh.edgewright("check", "release.yaml"), *said)
    assert not (fresh.folder / "edgewright-out").exists()


@pytest.mark.parametrize("case", WRONG_ONCE_IT_RUNS)
def test_a_run_is_refused_and_registers_nothing(project: Project, store: dict[str, str], case: str) -> None:
    files, keys, said = WRONG_ONCE_IT_RUNS[case]
    write(project.folder, files)
    project.write(**keys)
    refused(project.edgewright("run", "release.yaml", environment=store), *said)
    assert not list(project.folder.rglob("release.json"))
    if not any(name.endswith("mlflow.db") for name in files):
        assert champions(project) == {}


def test_a_toolkit_that_is_not_installed_is_told_with_its_pip_line(project: Project) -> None:
    hide = "import sys\nclass Hidden:\n    def find_spec(self, name, path=None, target=None):\n"
    hide += "        if name.partition('.')[0] == 'ai_edge_litert':\n            raise ModuleNotFoundError(name)\n"
    write(project.folder, {"hidden/sitecustomize.py": hide + "sys.meta_path.insert(0, Hidden())\n"})
    project.write(targets=[{"name": "a", "runtime": "litert"}])
    done = subprocess.run(
        [sys.executable, "-m", "edgewright.cli", "check", "release.yaml"],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(project.folder / "hidden")},
        capture_output=True,
        text=True,
        check=False,
    )
    said = "runtime 'litert' needs ai_edge_litert.interpreter, which is not installed"
    refused(Ended(done.returncode, done.stdout + done.stderr, left_running=False), said, "pip install 'edgewright[litert]'")


CRASHING = """\
import os, sys
from edgewright.integrations.runtimes.null import NullRuntime
class InExport(NullRuntime):
    def export(self, *_): os.abort()
class OnDevice(NullRuntime):
    def load(self, file, threads):
        if os.path.basename(sys.argv[0]) == 'probe.py':
            os.abort()
        return super().load(file, threads)
"""


def test_a_runtime_that_crashes_takes_only_its_own_target_down(project: Project, store: dict[str, str]) -> None:
    write(project.folder, {"crashing.py": CRASHING})
    project.write(
        ladder=["ptq_w8a8"],
        targets=[
            {**TARGET, "name": "whole"},
            {**TARGET, "name": "export", "runtime": "crashing:InExport"},
            {**TARGET, "name": "probe", "runtime": "crashing:OnDevice", "device": "local"},
        ],
    )
    ended = project.edgewright("run", "release.yaml", environment=store)
    assert ended.code == 1, ended.output
    assert "2 of 3 targets not promoted: export, probe" in ended.output
    assert "the process crashed (SIGABRT)" in ended.output
    assert "crashed with SIGABRT" in ended.output
    assert "Traceback" not in ended.output
    assert champions(project) == {"digits-whole": 1}


def test_a_zenml_store_that_cannot_be_written(project: Project) -> None:
    write(project.folder, {"file": ""})
    store = {"ZENML_CONFIG_PATH": str(project.folder / "file" / "zenml")}
    refused(project.edgewright("run", "release.yaml", environment=store), "ZenML's store cannot be opened", "ZENML_CONFIG_PATH")


def test_a_second_run_of_a_release_is_refused_while_the_first_is_under_way(project: Project, store: dict[str, str]) -> None:
    for name in ("reached", "go"):
        os.mkfifo(project.folder / name)
    source = "from sklearn.datasets import load_digits\ndef load():\n    open('reached', 'w').close()\n    open('go').read()\n"
    write(project.folder, {"src.py": source + "    bunch = load_digits()\n    return bunch.images, bunch.target\n"})
    project.write(data={**AFFINE["data"], "source": "src:load"})
    first = project.start("run", "release.yaml", environment=store)
    (project.folder / "reached").read_text()
    second = project.start("run", "release.yaml", environment=store, log="second.txt").end()
    refused(second, "another run of this release is under way", "wait for it, or give this one another 'name'")
    (project.folder / "go").write_text("")
    assert first.end().code == 0
    assert champions(project) == {"digits-a": 1}


# ---- full disks ----


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], None]]:
    """A small disk at <project>/disk; call it with a size to make it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)], check=True)

    mount("size=16k")
    try:
        yield lambda kilobytes: mount("remount", f"size={kilobytes}k")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    ("full", "kilobytes"),
    [("output", 300), ("output", 1150), ("zenml", 600), ("zenml", 1500), ("tmp", 100)],
    ids=["tracking store is made", "release is recorded", "ZenML's store is made", "ZenML keeps a step", "a step works"],
)
def test_a_full_disk_is_told_and_the_release_goes_on_once_there_is_room(
    project: Project, store: dict[str, str], disk: Callable[[int], None], full: str, kilobytes: int
) -> None:
    disk(kilobytes)
    environment = {
        "output": store,
        "zenml": {"ZENML_CONFIG_PATH": str(project.folder / "disk")},
        "tmp": {**store, "TMPDIR": str(project.folder / "disk")},
    }[full]
    project.write(**{"output": "disk/out"} if full == "output" else {"seed": 4})
    refused(project.edgewright("run", "release.yaml", environment=environment), "disk")
    assert champions(project) == {}
    disk(500_000)
    resumed = project.edgewright("run", "release.yaml", environment=environment)
    assert resumed.code == 0, resumed.output
    assert champions(project) == {"digits-a": 1}


# ---- Ctrl-C ----

STUBBORN = """\
import os, signal
from pathlib import Path
from edgewright.integrations.runtimes.null import NullRuntime
class Stubborn(NullRuntime):
    def export(self, *arguments):
        if not Path('pressed').exists():
            Path('pressed').touch()
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # as toolkits do that are busy in C++
            os.killpg(0, signal.SIGINT)
            signal.pause()
        super().export(*arguments)
"""


TERMINATED = STUBBORN.replace("os.killpg(0, signal.SIGINT)", "os.kill(os.getppid(), signal.SIGTERM)")  # the run alone


@pytest.mark.parametrize("where", ["training", "export", "export, by SIGTERM"])
def test_ctrl_c_or_sigterm_then_resume(project: Project, store: dict[str, str], where: str) -> None:
    write(project.folder, {"stubborn.py": TERMINATED if "SIGTERM" in where else STUBBORN})
    interrupt_in = ""
    if where == "training":
        project.write(seed=5)  # what the shared store has not trained yet
        interrupt_in = "edgewright.integrations.frameworks.pytorch.fit:_Run._save"
    else:
        project.write(targets=[{**TARGET, "runtime": "stubborn:Stubborn"}])
    ended = project.edgewright("run", "release.yaml", interrupt_in=interrupt_in, environment=store)
    assert ended.code == 130, ended.output
    assert ended.output.splitlines()[-1].endswith("To go on: edgewright resume release.yaml")
    assert "Traceback" not in ended.output
    assert not ended.left_running
    assert not (project.out / "release.json").exists()
    resumed = project.edgewright("resume", "release.yaml", environment=store)
    assert resumed.code == 0, resumed.output
    assert ("from epoch 2" in resumed.output) == (where == "training")
    assert champions(project) == {"digits-a": 1}


# ---- validate ----

NO_MODEL = {"text.npz": "hello", "text.onnx": "hello", "text.tflite": "hello"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("text.npz", "--runtime", "null"), "text.npz"),
        (("text.onnx", "--runtime", "onnxruntime"), "text.onnx"),
        (("text.tflite", "--runtime", "litert"), "text.tflite"),
        (("text.npz", "--runtime", "onnxruntime"), "text.npz"),
        (("nowhere.npz", "--runtime", "null"), "there is no file 'nowhere.npz'"),
        ((".", "--runtime", "null"), "the folder holds no artifact"),
    ],
)
def test_validate_refuses_what_is_no_model(project: Project, arguments: tuple[str, ...], said: str) -> None:
    write(project.folder, NO_MODEL)
    refused(project.edgewright("validate", *arguments, "--config", "release.yaml"), said)
