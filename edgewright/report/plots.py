# SPDX-License-Identifier: Apache-2.0
"""The report's pictures: what a rung trades, how long it takes, which answers moved, how training went."""

from typing import Any

import numpy as np

from edgewright.artifact import CandidateFacts
from edgewright.measure import Measurement, weakest
from edgewright.report import svg
from edgewright.report.facts import ConfusionChange, ReleaseFacts, RungFacts, TargetFacts
from edgewright.report.pareto import front
from edgewright.report.shown import measurement, metric_unit, parent
from edgewright.report.text import quantity

#: More classes than this make cells unreadable: the ones whose answers moved most are shown.
CLASSES_SHOWN = 16
_STATUS = {"passed": svg.PASS, "inconclusive": svg.UNSURE}
_AXES = {"size_bytes": ("size", "bytes"), "latency_p95_ms": ("p95 latency", "ms")}
_HALO = {"facecolor": svg.SURFACE, "edgecolor": "none", "pad": 1}
_PERCENTILES = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")


def tradeoff(facts: ReleaseFacts, target: TargetFacts, against: str, name: str) -> str | None:
    """Metric on validation data over size or latency, float parent and rungs, with the budget's edges; None without a rung."""
    points = [
        (rung, cost, score)
        for rung in target.rungs
        if rung.validation
        and (cost := rung.validation.measurements.get(against))
        and (score := rung.validation.measurements.get(facts.metric))
    ]
    if not points:
        return None
    origin = _float_point(facts, points[0][0], against)
    widest = max(cost.value for cost in [*(cost for _, cost, _ in points), *(origin or ())[:1]])
    words, unit = _AXES[against]
    unit_of_metric = metric_unit(facts)

    def paint(axes: Any) -> None:
        _front(axes, facts, [(cost.value, score.value) for _, cost, score in points])
        for rung, cost, score in points:
            _point(axes, cost, score, _short(rung.recipe, 28), _STATUS.get(rung.status, svg.FAIL), filled=True, widest=widest)
        if origin:
            _point(axes, *origin, "float", svg.FLOAT, filled=False, widest=widest)
            _edge(axes.axhline, facts, target, origin[1].value)
        if against in target.budget:
            axes.axvline(target.budget[against], color=svg.MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.margins(x=0.12, y=0.2)
        axes.set_xlim(left=0)
        axes.set_xlabel(f"{words} (dashed: budget)" if against in target.budget else words)
        axes.set_ylabel(f"{facts.metric}, validation")
        axes.xaxis.set_major_formatter(lambda value, _: quantity(value, unit))
        axes.yaxis.set_major_formatter(lambda value, _: _tick(value, unit_of_metric))
        axes.locator_params(axis="x", nbins=5)

    shown = ", ".join(
        f"{rung.recipe} {quantity(score.value, score.unit)} at {quantity(cost.value, unit)} ({rung.status})"
        for rung, cost, score in points
    )
    first = f"; float {quantity(origin[1].value, unit_of_metric)} at {quantity(origin[0].value, unit)}" if origin else ""
    return svg.draw(name, f"{facts.metric} over {words} for {target.name}: {shown}{first}.", paint)


def latency_bars(target: TargetFacts, name: str) -> str | None:
    """Latency percentiles of the float parent and each rung, with intervals and limits; None when nobody took any."""
    rungs = [rung for rung in target.rungs if any(measurement(rung, percentile) for percentile in _PERCENTILES)]
    if not rungs:
        return None
    first = {percentile: parent(rungs[0], percentile) for percentile in _PERCENTILES}
    series = [("float", svg.FLOAT, first)] if any(first.values()) else []
    series += [
        (_short(rung.recipe, 28), _STATUS.get(rung.status, svg.FAIL), {name: measurement(rung, name) for name in _PERCENTILES})
        for rung in rungs
    ]
    rows = [(label, colour, key.split("_")[1], taken[key]) for label, colour, taken in series for key in _PERCENTILES]

    def paint(axes: Any) -> None:
        for row, (_, colour, _, taken) in enumerate(rows):
            _bar(axes, row, taken, colour)
        for key in _PERCENTILES:
            if key in target.budget:
                axes.axvline(target.budget[key], color=svg.MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_yticks(range(len(rows)), [f"{label}  {part}" if part == "p50" else part for label, _, part, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.2)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(lambda value, _: quantity(value, "ms"))
        axes.locator_params(axis="x", nbins=5)
        limited = [key.split("_")[1] for key in _PERCENTILES if key in target.budget]
        axes.set_xlabel("latency of one inference" + (f" (dashed: budget of {', '.join(limited)})" if limited else ""))

    said = ", ".join(f"{label} {part} {quantity(taken.value, 'ms')}" for label, _, part, taken in rows if taken)
    return svg.draw(name, f"Latency percentiles on {target.name}: {said}.", paint, height=max(2.2, 0.26 * len(rows) + 0.7))


def confusion_change(confusion: ConfusionChange, name: str) -> str | None:
    """Heat map of how many answers moved: the artifact's confusion matrix less the float model's; None where none has."""
    change = np.array(confusion.artifact) - np.array(confusion.baseline)
    if not change.any():
        return None
    moved = int(np.abs(change).sum()) // 2
    keep = most_changed(change)
    change, labels = change[np.ix_(keep, keep)], [confusion.labels[index] for index in keep]
    worst = int(np.abs(change).max())

    def paint(axes: Any) -> None:
        from matplotlib.patches import Rectangle

        for (row, column), count in np.ndenumerate(change):
            colour, strength = (svg.MORE if count > 0 else svg.FEWER), 0.15 + 0.7 * abs(count) / worst
            fill = {"facecolor": colour, "alpha": strength} if count else {"facecolor": "none"}
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, linewidth=0, **fill))
            if count:
                axes.text(column, row, f"{count:+d}".replace("-", "−"), ha="center", va="center", fontsize=8)
        ticks = np.arange(len(labels))
        axes.set(xlim=(-0.5, len(labels) - 0.5), ylim=(len(labels) - 0.5, -0.5), xlabel="answered", ylabel="true class")
        short = [_short(label, 12) for label in labels]
        axes.set_xticks(ticks, short, rotation=45 if max(map(len, short), default=0) > 3 else 0)
        axes.set_yticks(ticks, short)
        axes.set_xticks(ticks[1:] - 0.5, minor=True)
        axes.set_yticks(ticks[1:] - 0.5, minor=True)
        axes.grid(visible=False, which="major")
        axes.grid(which="minor")
        axes.tick_params(which="both", length=0)

    return svg.draw(
        name, f"Change of the confusion matrix, artifact minus float model: {moved} answers moved.", paint, height=3.9
    )


def most_changed(change: np.ndarray[Any, Any]) -> list[int]:
    """Indexes of the classes shown: all of them, or the CLASSES_SHOWN whose row and column changed most, in order."""
    moved = np.abs(change).sum(axis=0) + np.abs(change).sum(axis=1)
    return sorted(np.argsort(-moved, kind="stable")[:CLASSES_SHOWN].tolist())


def training_loss(candidate: CandidateFacts) -> str:
    """Training and validation loss by epoch, with the epoch whose weights were kept."""
    epochs = [line.epoch for line in candidate.history]

    def paint(axes: Any) -> None:
        axes.plot(epochs, [line.train_loss for line in candidate.history], color=svg.FLOAT, label="train")
        axes.plot(epochs, [line.validation_loss for line in candidate.history], color=svg.ARTIFACT, label="validation")
        _epochs(axes, candidate)
        axes.set_ylabel("loss")
        axes.legend()

    last = candidate.history[-1]
    alt = (
        f"Loss over {len(epochs)} epochs; at the end {last.train_loss:.3g} on train, {last.validation_loss:.3g} on validation."
    )
    return svg.draw("training-loss", alt, paint)


def training_score(candidate: CandidateFacts, metric: str, unit: str) -> str:
    """Validation score by epoch, with the epoch whose weights were kept."""
    epochs = [line.epoch for line in candidate.history]
    scores = [line.validation_score for line in candidate.history]

    def paint(axes: Any) -> None:
        axes.plot(epochs, scores, color=svg.ARTIFACT, marker="o", markersize=3)
        _epochs(axes, candidate)
        axes.set_ylabel(f"{metric}, validation")
        axes.yaxis.set_major_formatter(lambda value, _: _tick(value, unit))

    return svg.draw(
        "training-score", f"{metric} on validation over {len(epochs)} epochs; at the end {quantity(scores[-1], unit)}.", paint
    )


def _epochs(axes: Any, candidate: CandidateFacts) -> None:
    from matplotlib.ticker import MaxNLocator

    if candidate.best_epoch is not None:
        axes.axvline(candidate.best_epoch, color=svg.PASS, linewidth=1.2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_xlabel("epoch" if candidate.best_epoch is None else "epoch (line: weights kept)")


def _float_point(facts: ReleaseFacts, rung: RungFacts, against: str) -> tuple[Measurement, Measurement] | None:
    cost, score = parent(rung, against), facts.baseline.get("validation", {}).get(facts.metric)
    return (cost, score) if cost and score else None


def _point(axes: Any, cost: Measurement, score: Measurement, label: str, colour: str, *, filled: bool, widest: float) -> None:
    axes.errorbar(
        cost.value, score.value, xerr=_error(cost), yerr=_error(score), color=colour, marker="o", markersize=8,
        markerfacecolor=colour if filled else svg.SURFACE, markeredgewidth=1.8, elinewidth=1.2, capsize=3,
    )  # fmt: skip
    evidence = weakest(cost.evidence, score.evidence)
    label += "" if evidence == "measured" else f" ({evidence})"
    left = cost.value > 0.6 * widest  # towards the middle, where there is room
    axes.annotate(
        label, (cost.value, score.value), (-8 if left else 8, 7), ha="right" if left else "left",
        textcoords="offset points", fontsize=9, bbox=_HALO,
    )  # fmt: skip


def _front(axes: Any, facts: ReleaseFacts, points: list[tuple[float, float]]) -> None:
    """Join the rungs that no other beats in both; one alone makes no front."""
    best = front(points, higher_is_better=facts.higher_is_better)
    if len(best) > 1:
        axes.plot(*zip(*(points[index] for index in best), strict=True), color=svg.ARTIFACT, linewidth=1.2, zorder=0)


def _edge(line: Any, facts: ReleaseFacts, target: TargetFacts, float_value: float) -> None:
    drop = target.budget.get("max_accuracy_drop")
    if drop is not None:
        line(float_value + (-drop if facts.higher_is_better else drop), color=svg.MUTED, linewidth=1, linestyle=(0, (4, 3)))


def _bar(axes: Any, row: int, taken: Measurement | None, colour: str) -> None:
    if taken is None:
        axes.text(0, row, " unknown", va="center", fontsize=8, color=svg.MUTED)
        return
    axes.barh(
        row, taken.value, height=0.62, color=colour, alpha=0.8, xerr=_error(taken), error_kw={"ecolor": svg.INK, "capsize": 2.5}
    )
    label = quantity(taken.value, "ms") + ("" if taken.evidence == "measured" else f" ({taken.evidence})")
    end = taken.value if taken.high is None else max(taken.value, taken.high)
    axes.annotate(label, (end, row), (5, 0), textcoords="offset points", va="center", fontsize=8, bbox=_HALO)


def _error(taken: Measurement) -> list[list[float]] | None:
    if taken.low is None and taken.high is None:
        return None
    low = 0.0 if taken.low is None else max(0.0, taken.value - taken.low)
    high = 0.0 if taken.high is None else max(0.0, taken.high - taken.value)
    return [[low], [high]]


def _short(label: str, longest: int) -> str:
    return label if len(label) <= longest else label[: longest - 1] + "…"


def _tick(value: float, unit: str) -> str:
    return f"{value * 100:.4g} %" if unit == "fraction" else f"{value:.4g}"
