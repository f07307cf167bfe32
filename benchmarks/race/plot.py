# SPDX-License-Identifier: Apache-2.0
"""The race as a picture: how many times smaller and faster than float each way is, in its own runtime."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from race.measure import EDGEWRIGHT, FLOAT, MARGIN, Row
from race.tables import FASTER, SMALLER

MARKERS = {"litert": "o", "onnxruntime": "s"}


def plot(rows: Sequence[Row], file: Path) -> None:
    """Write the picture as SVG; the same rows give the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "race", "svg.fonttype": "none", "font.size": 10})
    figure, axes = plt.subplots(figsize=(8, 5.5), layout="constrained")
    ways = [way for way in dict.fromkeys(row.way for row in rows) if way != FLOAT]
    colours = dict(zip(ways, mpl.colormaps["tab10"].colors, strict=False))  # type: ignore[attr-defined]
    for way in ways:
        for runtime in dict.fromkeys(row.runtime for row in rows if row.way == way):
            mine = [row for row in rows if (row.way, row.runtime) == (way, runtime)]
            kept = all(row.non_inferior for row in mine)
            look: dict[str, Any] = {
                "marker": MARKERS[runtime],
                "edgecolors": [colours[way]],
                "facecolors": [colours[way]] if kept else "none",
            }
            axes.scatter(*_points(mine), s=18, alpha=0.5, **look)
            x, y = (statistics.median(values) for values in _points(mine))
            label = f"{way}, {runtime}" if kept else f"{way}, {runtime} (not within {100 * MARGIN:g} pp in every seed)"
            axes.scatter([x], [y], s=130 if way == EDGEWRIGHT else 70, label=label, **look)
    axes.scatter([1], [1], marker="x", color="black", label=FLOAT)
    axes.set(xscale="log", yscale="log", xlabel="times smaller than the float file", ylabel="times faster than the float file")
    axes.set_xlim(0.8, max(2 * SMALLER, *(1.3 * row.times_smaller for row in rows)))
    axes.set_ylim(
        min(0.4, *(0.8 * row.times_faster for row in rows)), max(2 * FASTER, *(1.3 * row.times_faster for row in rows))
    )
    axes.fill_between([SMALLER, axes.get_xlim()[1]], FASTER, axes.get_ylim()[1], color="tab:green", alpha=0.1, label="goal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        axis.set_minor_formatter("")
    axes.grid(alpha=0.2)
    axes.legend(fontsize=8, loc="upper left")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def _points(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    return [row.times_smaller for row in rows], [row.times_faster for row in rows]
