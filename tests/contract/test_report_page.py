# SPDX-License-Identifier: Apache-2.0
"""The report page in a real browser: headless Chromium."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_facts import make_facts

from edgewright.report.write import write_report

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), "chromium"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_facts(), tmp_path_factory.mktemp("report"))[0]


def browse(page: Path, out: Path, *options: str) -> str:
    """Run Chromium on the page with a profile of its own; return what the page said on its console."""
    profile = out.parent / f"profile-{out.stem}"
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
         "--enable-logging=stderr", f"--user-data-dir={profile}", *options, page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("L"), dtype=float)


def test_page_draws_in_light_and_dark_without_a_word_on_the_console(page: Path, tmp_path: Path) -> None:
    light, dark = tmp_path / "light.png", tmp_path / "dark.png"
    said = browse(page, light, f"--screenshot={light}", "--window-size=1280,3000")
    said += browse(page, dark, f"--screenshot={dark}", "--window-size=1280,3000", "--blink-settings=preferredColorScheme=0")
    assert said == ""
    assert pixels(light).shape == pixels(dark).shape == (3000, 1280)
    assert pixels(light).std() > 20
    assert pixels(light).mean() > 180
    assert pixels(dark).mean() < 60


def test_page_is_no_wider_than_a_phone(page: Path, tmp_path: Path) -> None:
    # Text that hangs over the edge would widen what is drawn: the margin on the right stays empty instead.
    narrow = tmp_path / "phone.png"
    browse(page, narrow, f"--screenshot={narrow}", "--window-size=500,6000")
    below_the_head = pixels(narrow)[900:, -14:]
    assert np.ptp(below_the_head) == 0


def test_page_prints_with_every_rung_unfolded(page: Path, tmp_path: Path) -> None:
    unfolded = tmp_path / "unfolded.html"
    unfolded.write_text(page.read_text(encoding="utf-8").replace("<details>", "<details open>"))
    papers = []
    for source in (page, unfolded):
        paper = tmp_path / f"{source.stem}.pdf"
        assert browse(source, paper, f"--print-to-pdf={paper}", "--no-pdf-header-footer") == ""
        papers.append(paper.read_bytes())
    sheets = [paper.count(b"/Type /Page\n") for paper in papers]
    assert sheets[0] > 3
    assert sheets[0] == sheets[1]


def test_console_is_really_heard_and_the_policy_really_holds(page: Path, tmp_path: Path) -> None:
    tampered = tmp_path / "tampered.html"
    tampered.write_text(page.read_text(encoding="utf-8").replace("</main>", "<script>document.title='run'</script></main>"))
    assert "Content Security Policy" in browse(tampered, tmp_path / "tampered.png", "--dump-dom")
