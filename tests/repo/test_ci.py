# SPDX-License-Identifier: Apache-2.0
""".gitlab-ci.yml: jobs call make targets that are there, and a schedule starts the retraining that the page on it shows."""

import re
from pathlib import Path
from typing import Any

import yaml
from documented import blocks_of

ROOT = Path(__file__).parents[2]
ON_SCHEDULE = [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]
PIPELINE = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8"))
KEYWORDS = {"image", "stages", "default", "variables"}


def jobs() -> dict[str, dict[str, Any]]:
    """Every job with what it extends."""
    given = {name: job for name, job in PIPELINE.items() if name not in KEYWORDS}
    return {name: {**given.get(job.get("extends"), {}), **job} for name, job in given.items() if not name.startswith(".")}


def test_every_job_has_a_stage_and_make_targets_that_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, job in jobs().items():
        called = {word for line in job["script"] if line.startswith("make ") for word in line.split()[1:]}
        assert called, name
        assert called <= targets, name
        assert job["stage"] in PIPELINE["stages"], name


def test_a_schedule_starts_the_retraining_and_nothing_else() -> None:
    scheduled = [name for name, job in jobs().items() if job["rules"] == ON_SCHEDULE]
    others = [name for name, job in jobs().items() if job["rules"] == [{"if": '$CI_PIPELINE_SOURCE != "schedule"'}]]
    assert scheduled == ["scheduled-retraining"]
    assert set(others) == jobs().keys() - set(scheduled)


def test_the_page_on_retraining_shows_the_job_as_it_is() -> None:
    page = (ROOT / "docs" / "how-to" / "retrain-on-drift.md").read_text(encoding="utf-8")
    [shown] = [found for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
               if (found := yaml.safe_load(block).get("retrain"))]  # fmt: skip
    ours = jobs()["scheduled-retraining"]
    for key in ("rules", "resource_group", "allow_failure"):
        assert shown[key] == ours[key], key
    assert shown["artifacts"]["when"] == ours["artifacts"]["when"] == "always"
    assert ours["script"][-1].endswith(shown["script"][-1])


def test_the_example_is_the_tutorial_s() -> None:
    shown = {block.partition("\n")[0].removeprefix("# "): block.partition("\n")[2] for _, block in blocks_of("operations.md")}
    for name in ("make_data.py", "release.yaml", "simulate_fleet.py", "retrain.yaml"):
        text = (ROOT / "examples" / "operations" / name).read_text(encoding="utf-8")
        assert text == f"# SPDX-License-Identifier: Apache-2.0\n{shown[name]}", name
