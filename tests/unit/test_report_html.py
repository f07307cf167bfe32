# SPDX-License-Identifier: Apache-2.0
"""The report page: self-contained, escaped, complete, the same bytes for the same facts."""

import os
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from report_facts import make_facts, score

from edgewright.config.release import ReleaseConfig
from edgewright.measure import Measurement
from edgewright.report import shown, text
from edgewright.report.facts import CheckResult, ConfusionChange, ReleaseFacts
from edgewright.report.page import render_page
from edgewright.report.plots import CLASSES_SHOWN, confusion_change

VOID = {"meta", "br", "hr", "img", "link", "input"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> $\\frac{{% raw %}"


class Page(HTMLParser):
    """What a browser would see: elements with attributes, text, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, *tags: str) -> list[tuple[str, dict[str, str]]]:
        return [element for element in self.elements if element[0] in tags]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def facts() -> ReleaseFacts:
    return make_facts()


@pytest.fixture(scope="module")
def html(facts: ReleaseFacts) -> str:
    return render_page(facts)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_page_needs_nothing_from_outside(html: str, page: Page) -> None:
    assert not re.search(r"https?:|//[a-z]", html)
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    assert "@import" not in html
    assert not page.all("script", "link", "iframe", "object", "embed", "img", "form", "base")
    links = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in ("href", "src", "xlink:href")
    ]
    assert links
    assert all(link.startswith("#") for link in links)


def test_page_forbids_scripts_and_outside_resources(page: Page) -> None:
    policies = [attributes["content"] for _, attributes in page.all("meta") if "http-equiv" in attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_every_tag_is_closed_ids_are_unique_and_links_lead_somewhere(page: Page) -> None:
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    pointed = {attributes["href"][1:] for _, attributes in page.elements if "href" in attributes}
    named = {attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes}
    assert pointed | named <= set(ids)


def test_headings_stand_in_order_and_pictures_and_tables_say_what_they_are(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attributes["role"] == "img" and len(attributes["aria-label"]) > 20 for _, attributes in page.all("svg"))
    assert all(attributes.get("scope") for _, attributes in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))


def test_headline_says_how_many_were_promoted_and_why_the_others_were_not(page: Page) -> None:
    assert "1 of 3 targets promoted" in page.text
    assert "board ? inconclusive On 449 test samples" in page.text
    assert "sensor ✕ failed The arena takes 34,832 bytes" in page.text


def test_every_measurement_is_shown_with_interval_n_evidence_and_method(facts: ReleaseFacts, page: Page) -> None:
    taken = [
        measurement
        for target in facts.targets
        for rung in target.rungs
        for run in shown.runs(rung)
        for measurement in (*run.measurements.values(), *run.parent.values())
    ]
    taken += [measurement for split in facts.baseline.values() for measurement in split.values()]
    for measurement in taken:
        value = text.quantity(measurement.value, measurement.unit)
        assert (
            _words(value, text.interval(measurement), f"n = {measurement.n}", measurement.evidence, measurement.method)
            in page.text
        )
    ratios = [
        ratio for target in facts.targets for rung in target.rungs for run in shown.runs(rung) for ratio in run.ratios.values()
    ]
    for ratio in ratios:
        assert _words(text.times(ratio), text.interval(ratio), f"n = {ratio.n}", ratio.evidence, ratio.method) in page.text


def test_what_nobody_took_is_unknown(page: Page) -> None:
    assert "Latency, p99 validation unknown 1.71 ms" in page.text
    assert "None" not in page.text
    assert "nan" not in page.text.split()


def test_every_rung_every_finding_and_every_setting_is_told(facts: ReleaseFacts, page: Page) -> None:
    for target in facts.targets:
        for rung in target.rungs:
            assert rung.recipe in page.text
            assert all(reason in page.text for reason in rung.reasons)
            assert all(finding.reason in page.text for finding in (*rung.screening, *rung.gate))
    assert "gate.alpha 0.05 Chance of promoting any artifact" in page.text
    assert "board 1 ptq_w8a8 \N{GREEK SMALL LETTER ALPHA} = 0.025" in page.text
    assert all(f"{name} {version}" in page.text for name, version in facts.toolchain.items())
    assert facts.data_digest in page.text
    assert "zenml pipeline run edgewright.edge_release -c release.yaml" in page.text


def test_release_yaml_on_the_page_is_the_configuration_that_was_run(facts: ReleaseFacts, html: str) -> None:
    shown_yaml = unescape(html.rpartition("<pre><code>")[2].partition("</code></pre>")[0])
    config = ReleaseConfig.model_validate(yaml.safe_load(shown_yaml)["parameters"]["config"])
    assert config == ReleaseConfig.model_validate(facts.config)


def test_same_facts_give_the_same_bytes_in_another_process(html: str) -> None:
    code = "import sys; from report_facts import make_facts; from edgewright.report.page import render_page; "
    code += "sys.stdout.buffer.write(render_page(make_facts()).encode())"
    support = str(Path(__file__).parents[1] / "support")
    again = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": support, "TZ": "Asia/Tokyo"},
        capture_output=True,
        check=True,
    )
    assert again.stdout.decode() == html


def test_hostile_names_stay_text() -> None:
    facts = make_facts()
    rung = facts.targets[0].rungs[1]
    confusion = rung.confusion.model_copy(update={"labels": (HOSTILE, *rung.confusion.labels[1:])})
    hurt = rung.model_copy(update={"recipe": HOSTILE, "reasons": (HOSTILE,), "confusion": confusion})
    target = facts.targets[0].model_copy(update={"name": HOSTILE, "model": HOSTILE, "rungs": (hurt,), "passed_rung": 0})
    page = Page(
        render_page(
            facts.model_copy(
                update={
                    "release": HOSTILE,
                    "targets": (target,),
                    "checks": (CheckResult(rule=HOSTILE, passed=False, detail=HOSTILE),),
                    "toolchain": {HOSTILE: HOSTILE},
                    "data": facts.data.model_copy(update={"labels": (HOSTILE,), "source": HOSTILE}),
                    "config": {"name": HOSTILE},
                }
            )
        )
    )
    assert page.open == []
    assert not page.all("script", "img")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") >= 8


def test_release_without_rungs_training_checks_or_baseline_is_still_a_page() -> None:
    facts = make_facts()
    bare = facts.targets[2].model_copy(update={"rungs": (), "budget": {}})
    page = Page(
        render_page(
            facts.model_copy(
                update={
                    "targets": (bare,),
                    "checks": (),
                    "baseline": {},
                    "config": {},
                    "toolchain": {},
                    "candidate": facts.candidate.model_copy(update={"history": (), "best_epoch": None}),
                }
            )
        )
    )
    assert "0 of 1 target promoted" in page.text
    assert "unknown" in page.text
    assert not page.all("svg")


def test_metric_in_its_own_unit_where_lower_is_better() -> None:
    def error(value: float) -> Measurement:
        return score(value, 200, value - 0.1, value + 0.1).model_copy(update={"unit": "degrees", "method": "bootstrap"})

    facts = make_facts(
        metric="mae", higher_is_better=False, baseline={"validation": {"mae": error(1.2)}, "test": {"mae": error(1.2)}}
    )
    rung = facts.targets[2].rungs[0]
    run = rung.validation.model_copy(
        update={
            "measurements": {**rung.validation.measurements, "mae": error(1.5)},
            "parity": rung.validation.parity.model_copy(update={"agreement": None}),
        }
    )
    target = facts.targets[2].model_copy(update={"rungs": (rung.model_copy(update={"validation": run}),)})
    page = Page(render_page(facts.model_copy(update={"targets": (target,)})))
    assert "1.50 degrees [1.40, 1.60] degrees" in page.text
    assert "+0.300 degrees" in page.text
    assert "Same answer unknown" in page.text


def test_confusion_of_many_classes_shows_those_that_changed_most() -> None:
    labels = tuple(f"class-{index}" for index in range(60))
    baseline = np.eye(60, dtype=int) * 20
    artifact = baseline.copy()
    artifact[41, 41], artifact[41, 7] = 12, 8
    rows = [tuple(map(tuple, matrix.tolist())) for matrix in (baseline, artifact)]
    picture = confusion_change(ConfusionChange(labels=labels, baseline=rows[0], artifact=rows[1]), "many")
    assert picture is not None
    drawn = {label for label in labels if f">{label}<" in picture}
    assert {"class-41", "class-7"} <= drawn
    assert len(drawn) == CLASSES_SHOWN
    assert ">−8<" in picture
    assert ">+8<" in picture
    assert "8 answers moved" in picture


def test_where_no_answer_moved_there_is_a_sentence_and_no_empty_picture() -> None:
    facts = make_facts()
    target = facts.targets[0]
    rung = target.rungs[1]
    same = rung.confusion.model_copy(update={"artifact": rung.confusion.baseline})
    still = target.model_copy(update={"rungs": (target.rungs[0], rung.model_copy(update={"confusion": same}))})
    page = Page(render_page(facts.model_copy(update={"targets": (still,)})))
    assert "Answers that moved" not in page.text
    assert "no class gained or lost an answer" in page.text


def _words(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def test_a_number_that_was_asked_for_and_not_taken_says_why_and_throttling_is_told() -> None:
    facts = make_facts()
    phone = facts.targets[0]
    rung = phone.rungs[1]
    assert rung.test is not None
    told = {"unknown": {"energy_mj": "only root may read the counters"}, "notes": ("The device throttled during the soak.",)}
    rungs = (phone.rungs[0], rung.model_copy(update={"test": rung.test.model_copy(update=told)}))
    targets = (phone.model_copy(update={"rungs": rungs}), *facts.targets[1:])
    page = Page(render_page(facts.model_copy(update={"targets": targets})))
    assert "Energy, one inference test unknown only root may read the counters" in page.text
    assert "The device throttled during the soak." in page.text
