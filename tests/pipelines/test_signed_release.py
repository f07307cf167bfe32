# SPDX-License-Identifier: Apache-2.0
"""What a release promotes leaves it signed: beside its report, with its run, and named on its version; the key stays."""

import json
import shutil
from pathlib import Path

from click.testing import CliRunner
from mlflow import MlflowClient
from openssf import verify_model
from release_project import Project
from software_token import PIN, make_token

from edgewright.cli import main
from edgewright.trust.keys import make_key, public_key
from edgewright.trust.verify import checked


def test_a_release_is_signed_once_and_what_is_missing_is_fetched_again(project: Project, tmp_path: Path) -> None:
    public = make_key(project.folder / "secrets" / "signing-key.pem")
    project.write(signing={"key": "file:secrets/signing-key.pem"})
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 0, ended.output
    bundle = checked(project.out / "artifacts" / "a.bundle", [public_key(public)])
    assert f"by key {bundle.key[:12]}" in ended.output

    facts = json.loads((project.out / "release.json").read_text())
    assert (facts["key"], facts["targets"][0]["bundle"]) == (bundle.key, "artifacts/a.bundle")
    assert bundle.key[:12] in (project.out / "report.html").read_text()
    assert bundle.reference == (project.out / "references" / "a.json").read_bytes()
    verdict = bundle.verdict
    assert (verdict.data, verdict.code) == (facts["data_digest"], facts["code_digest"])
    assert verdict.calibration == {
        "ptq_w8a8": facts["targets"][0]["rungs"][0]["manifest"]["quantization"]["ptq_w8a8"]["calibration_digest"]
    }

    client = MlflowClient(f"sqlite:///{project.folder}/edgewright-out/mlflow.db")
    version = client.get_model_version_by_alias("digits-a", "champion")
    assert version.tags["edgewright.bundle"] == bundle.digest
    assert version.tags["edgewright.key"] == bundle.key
    assert bundle.statement.predicate.run.metadata.run_id == version.tags["edgewright.run"]
    assert [file.path for file in client.list_artifacts(version.run_id, "bundle")] == ["bundle/a.bundle"]

    kept = bundle.path.read_bytes()
    bundle.path.unlink()
    assert project.edgewright("run", "release.yaml").code == 0
    assert project.ran() == set(), "a second run does nothing"
    assert bundle.path.read_bytes() == kept

    outside = {"release.yaml", "log.txt"}
    shutil.rmtree(project.folder / ".zenml")  # holds the configuration as it was given, on this machine
    secret = "".join((project.folder / "secrets" / "signing-key.pem").read_text().splitlines()[1:-1]).encode()
    for file in project.folder.rglob("*"):
        if file.is_file() and "secrets" not in file.parts and file.name not in outside:
            content = file.read_bytes()
            assert b"signing-key" not in content, f"{file} names the key"
            assert secret not in content, f"{file} holds the key"
    told = CliRunner().invoke(
        main, ["verify", str(bundle.path), "--key", str(public), "--extract", str(tmp_path / "out" / "a")]
    )
    assert told.exit_code == 0, told.output
    assert "✓ signature" in told.output
    assert (tmp_path / "out" / "a" / "model.npz").is_file()


def test_a_key_in_a_token_signs_a_release_its_history_and_its_model(project: Project) -> None:
    token = make_token(project.folder / "token")
    project.write(signing={"key": token.key, "public_key": "token/release.pub", "model_signing": True})
    ended = project.edgewright("run", "release.yaml", environment=token.variables)
    assert ended.code == 0, ended.output
    assert PIN not in ended.output
    bundle = checked(project.out / "artifacts" / "a.bundle", [public_key(token.public)])
    history = project.edgewright("history", "digits-a", "--verify", environment=token.variables)
    assert history.code == 0, history.output
    assert bundle.key[:8] in history.output
    bundle.extract(project.folder / "unpacked")
    verified = verify_model(project.folder / "unpacked", project.out / "artifacts" / "a.model.sig", token.public)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_key_that_is_not_there_is_told_before_anything_is_trained(project: Project) -> None:
    project.write(signing={"key": "file:nowhere.pem"})
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 2
    assert "cannot read a private key" in ended.output
    assert project.executed() == {}
