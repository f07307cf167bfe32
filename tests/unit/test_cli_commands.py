# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: help, init, report, runtimes, nearest names, and what exit codes say."""

import errno
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from report_facts import make_facts

from edgewright.cli import COMMANDS, main
from edgewright.config.load import load_config
from edgewright.errors import GateRefused
from edgewright.report.write import write_report


def test_help_lists_every_command_with_a_line() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.split("Commands:")[1].splitlines() if line.strip()}
    assert list(lines) == list(COMMANDS)
    assert not [line for line in lines.values() if line.endswith("...")]


def test_python_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "edgewright.cli", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("edgewright, version ")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["chek"], "there is no command 'chek'; did you mean 'check'?"),
        (["deploy"], "there is no command 'deploy'; valid: check, device, diff"),
        (["validate", "--runtim", "x"], "Did you mean"),
    ],
)
def test_what_is_misspelt_is_told_the_nearest(arguments: list[str], hint: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert hint in result.output


def test_init_writes_a_configuration_that_loads_and_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "release.yaml"
    result = CliRunner().invoke(main, ["init", str(file)])
    assert result.exit_code == 0
    assert f"edgewright check {file}" in result.output
    assert load_config(file).name == "digits"
    file.write_text("mine", encoding="utf-8")
    result = CliRunner().invoke(main, ["init", str(file)])
    assert result.exit_code == 2
    assert "is there already" in result.output
    assert file.read_text(encoding="utf-8") == "mine"


def test_init_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(main, ["init", str(tmp_path / "file" / "release.yaml")])
    assert result.exit_code == 2
    assert "cannot write release.yaml" in result.output


@pytest.mark.parametrize("named", ["folder", "file"])
def test_report_shows_the_table_of_a_finished_release(tmp_path: Path, named: str) -> None:
    page, record = write_report(make_facts(), tmp_path)
    result = CliRunner().invoke(main, ["report", str(tmp_path if named == "folder" else record)])
    assert result.exit_code == 0, result.output
    assert all(target in result.output for target in ("phone", "board", "sensor"))
    assert str(page) in result.output


def test_report_of_nothing(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.exit_code == 2
    assert "release.json cannot be read" in result.output


def test_runtimes_lists_what_can_be_named() -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["runtimes"])
    assert result.exit_code == 0
    row = next(line for line in result.output.splitlines() if line.startswith("null ") and "npz" in line)
    assert row.split() == ["null", ".npz", "pytorch", "measured", "measured", "measured", "yes", "yes"]
    assert any(line.startswith("local ") and "measured" in line for line in result.output.splitlines())
    assert any(line.startswith("pytorch ") and "resnet8" in line for line in result.output.splitlines())
    assert "broken" not in result.output


def _raising(error: BaseException) -> click.Command:
    @click.command()
    def failing() -> None:
        raise error

    return failing


def _run_raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> tuple[int, str]:
    import edgewright.cli.check

    monkeypatch.setattr(edgewright.cli.check, "check", _raising(error))
    result = CliRunner().invoke(main, ["check"])
    return result.exit_code, result.output


def test_a_refusal_of_the_gate_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = _run_raising(monkeypatch, GateRefused("1 of 3 targets not promoted: phone"))
    assert code == 1
    assert "1 of 3 targets not promoted: phone" in output


def test_what_nobody_foresaw_is_one_screen_and_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = _run_raising(monkeypatch, KeyError("surprise"))
    assert code == 70
    assert "This is a bug in edgewright: KeyError: 'surprise'" in output
    assert "Traceback" not in output
    assert output.count("\n") == 3
    file = Path(output.split("where: ")[1].split(" holds")[0])
    assert "raise error" in file.read_text(encoding="utf-8")
    file.unlink()


def test_a_full_disk_is_not_called_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = _run_raising(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/data/out"))
    assert code == 2
    assert "No space left on device" in output
    assert "where: /data/out" in output


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run_raising(monkeypatch, KeyboardInterrupt()) == (130, "interrupted\n")
