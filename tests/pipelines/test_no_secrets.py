# SPDX-License-Identifier: Apache-2.0
"""What a release is trusted with stays in its environment: looked for in every byte it leaves behind, also when it fails."""

import base64
import io
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from release_project import AFFINE, Project
from tracking_server import mlflow_server

from edgewright.trust.keys import make_key

#: needs quoting in a URI, and is long enough to be found nowhere by chance
PASSWORD = "hunter2/of:the@tracking-server"
VARIABLES = {
    "MLFLOW_TRACKING_USERNAME": "releaser",
    "MLFLOW_TRACKING_PASSWORD": "another-hunter2-for-basic-auth",
    "AWS_ACCESS_KEY_ID": "AKIAEDGEWRIGHTTESTS0",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCYEDGEWRIGHTKEY",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEDGEWRIGHTSESSIONTOKEN",
    "EDGEWRIGHT_HSM_PIN": "edgewright-tests-pin-31415926",
    "GITLAB_TOKEN": "glpat-edgewright-tests-token",
}
BROKEN = """\
from edgewright.integrations.runtimes.null import NullRuntime
class Broken(NullRuntime):
    def export(self, *arguments):
        raise RuntimeError('it broke')
"""


def test_no_secret_is_left_anywhere(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    make_key(elsewhere / "release.pem")
    pem = (elsewhere / "release.pem").read_text()
    database = f"sqlite:///{project.folder}/edgewright-out/mlflow.db"
    (project.folder / "tmp").mkdir()
    (project.folder / "broken.py").write_text(BROKEN)
    with mlflow_server(database, elsewhere) as uri:
        environment = VARIABLES | {
            "MLFLOW_TRACKING_URI": uri.replace("//", f"//releaser:{quote(PASSWORD, safe='')}@"),
            "RELEASE_KEY": pem,
            "TMPDIR": str(project.folder / "tmp"),
        }
        secrets = [PASSWORD, quote(PASSWORD, safe=""), "".join(pem.splitlines()[1:-1]), *VARIABLES.values()]
        secrets += [base64.b64encode(f"releaser:{one}".encode()).decode() for one in (PASSWORD, secrets[-2])]
        secrets.remove("releaser")

        def left_by(*arguments: str, **more: str) -> tuple[int | None, set[str]]:
            ended = project.edgewright(*arguments, environment=environment, **more)
            return ended.code, {f"{secret[:9]}… in {name}" for secret in secrets for name in places_of(secret, project.folder)}

        small = {**AFFINE["targets"][0], "name": "small", "budget": {"size_bytes": 1}}
        targets = [*AFFINE["targets"], small, {**small, "name": "broken", "runtime": "broken:Broken"}]
        project.write(signing={"key": "env:RELEASE_KEY"}, targets=targets, ladder=["ptq_w8a8"])
        assert left_by("run", "release.yaml", kill_in="edgewright.steps.promote_release:promote") == (-9, set())
        assert (project.out / "unfinished.json").is_file()
        assert left_by("resume", "release.yaml") == (1, set()), "one target passes, one is too large, one breaks"
        assert (project.out / "artifacts" / "a.bundle").is_file()
        assert "it broke" in (project.out / "report.html").read_text()
    assert left_by("run", "release.yaml") == (2, set()), "the server is gone"


def places_of(secret: str, folder: Path) -> list[str]:
    """Names of files that hold a secret, also packed in archives or spread over the pages of a database."""
    return [name for name, content in _everything(folder) if secret.encode() in content or secret in name]


def _everything(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield from _opened(str(file.relative_to(folder)), file.read_bytes())


def _opened(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, content
    if content.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(content)
            yield name, "\n".join(database.iterdump()).encode(errors="replace")
    elif zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from _opened(f"{name}/{member}", archive.read(member))
