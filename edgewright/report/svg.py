# SPDX-License-Identifier: Apache-2.0
"""Matplotlib figures as inline SVG that takes its colours and font from the page, so that it follows light and dark.

The same picture gives the same bytes: ids are salted by the picture's name and no date is written. Text is taken
literally: '$' starts no formula.
"""

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

#: Colours that matplotlib draws with, and the CSS variable each stands for.
INK, MUTED, GRID, SURFACE = "#010101", "#020202", "#030303", "#040404"
FLOAT, ARTIFACT, MORE, FEWER = "#050505", "#060606", "#070707", "#080808"
PASS, UNSURE, FAIL = "#090909", "#0a0a0a", "#0b0b0b"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    SURFACE: "--surface",
    FLOAT: "--float",
    ARTIFACT: "--accent",
    MORE: "--more",
    FEWER: "--fewer",
    PASS: "--pass",
    UNSURE: "--unsure",
    FAIL: "--fail",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def draw(name: str, alt: str, paint: Callable[[Any], None], *, width: float = 4.7, height: float = 3.1) -> str:
    """Return the picture that ``paint(axes)`` draws as an SVG element.

    Args:
        name: unique on the page; ids inside the picture are made from it.
        alt: what the picture shows, for those who do not see it.
        paint: draws on a matplotlib Axes, in the colours of this module.
        width: in inches; the page scales the picture to its column.
        height: in inches.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the page's font draws it, not ours
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.add_subplot())
        raw = io.StringIO()
        figure.savefig(raw, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(raw.getvalue(), alt)


def _inline(raw: str, alt: str) -> str:
    """Keep the drawing only: no XML prologue, metadata, global style, size, or font, and no id that nothing refers to."""
    svg = raw[raw.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(#|href="#)([\w.-]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found.group(0) if found.group(1) in used else "", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    box = re.search(r'viewBox="[^"]*"', svg)
    opening = f'<svg {box.group(0) if box else ""} role="img" aria-label="{escape(alt)}" class="plot">'
    return re.sub(r"^<svg[^>]*>", lambda _: opening, svg).replace("xlink:href", "href")
