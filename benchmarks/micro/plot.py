# SPDX-License-Identifier: Apache-2.0
"""The climb as a picture: file size against arena of every rung that came to a file, and the corner both goals allow."""

from collections.abc import Sequence
from pathlib import Path

from micro.release import Row
from micro.tables import Goals, released

PASSED, TRIED = {"marker": "*", "s": 160, "alpha": 0.9}, {"marker": "o", "s": 40, "alpha": 0.7}


def plot(rows: Sequence[Row], asked: Goals, title: str, file: Path) -> None:
    """Write the picture as SVG; the same rows give the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "race", "svg.fonttype": "none", "font.size": 10})
    figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    passed = {(row.seed, row.recipe) for row in released(rows) if row.status == "passed"}
    points = [(row, row.size_bytes / 1000, row.arena_bytes / 1000) for row in rows if row.size_bytes and row.arena_bytes]
    recipes = list(dict.fromkeys(row.recipe for row, _, _ in points))
    for recipe, colour in zip(recipes, mpl.colormaps["tab10"].colors, strict=False):  # type: ignore[attr-defined]
        for look in (TRIED, PASSED):
            mine = [at for at in points if at[0].recipe == recipe and ((at[0].seed, recipe) in passed) == (look is PASSED)]
            if mine:
                label = f"{recipe}{', promoted' if look is PASSED else ''} ({len(mine)} seed{'s' * (len(mine) > 1)})"
                x, y = [at[1] for at in mine], [at[2] for at in mine]
                axes.scatter(x, y, color=[colour], label=label, **look)  # type: ignore[arg-type]
    size, arena = asked.size_bytes / 1000, asked.arena_bytes / 1000
    axes.fill_between([0, size], 0, arena, color="tab:green", alpha=0.1, label="file and arena within the goals")
    axes.set(xlabel="file, kB", ylabel="TFLite Micro arena, kB (emulated)", title=title)
    axes.set_xlim(0, 1.1 * max(size, *(x for _, x, _ in points)))
    axes.set_ylim(0, 1.1 * max(arena, *(y for _, _, y in points)))
    axes.grid(alpha=0.2)
    axes.legend(fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
