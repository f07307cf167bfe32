# SPDX-License-Identifier: Apache-2.0
"""Task metrics: one number from labels and float outputs.

Outputs are what the model returns: logits (N, C) for classification, values (N, K) for regression, one anomaly
score a sample (N,) for anomaly detection (higher is more anomalous).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import ConfigError, EdgewrightError

Array = NDArray[np.generic]
MetricFunction = Callable[[Array, Array], float]


@dataclass(frozen=True)
class Metric:
    """A metric: what it is called, which tasks it fits, and which way is better."""

    name: str
    tasks: tuple[str, ...]
    higher_is_better: bool
    unit: str
    score: MetricFunction
    """(labels, outputs) -> value."""


def top1(labels: Array, outputs: Array) -> float:
    """Share of samples whose largest output is their label's."""
    return float(np.mean(outputs.argmax(axis=1) == labels))


def macro_f1(labels: Array, outputs: Array) -> float:
    """F1 of each class that occurs in labels or answers, averaged without weights."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, outputs.argmax(axis=1), average="macro", zero_division=0.0))


def auc(labels: Array, outputs: Array) -> float:
    """Area under the ROC curve: binary from scores, or from the second of two logits; one against the rest otherwise.

    Raises:
        ValueError: fewer than two classes among the labels.
    """
    from scipy.special import softmax
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < 2:
        raise ValueError("fewer than two classes among the labels")
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        return float(roc_auc_score(labels, outputs.reshape(-1)))
    if outputs.shape[1] == 2:
        return float(roc_auc_score(labels, outputs[:, 1].astype(float) - outputs[:, 0]))
    return float(
        roc_auc_score(labels, softmax(outputs.astype(float), axis=1), multi_class="ovr", labels=range(outputs.shape[1]))
    )


def mae(labels: Array, outputs: Array) -> float:
    """Mean absolute error over samples and output values."""
    return float(np.mean(np.abs(outputs.reshape(len(outputs), -1).astype(float) - labels.reshape(len(labels), -1))))


METRICS: dict[str, Metric] = {
    "top1": Metric("top1", ("classification",), True, "fraction", top1),
    "macro_f1": Metric("macro_f1", ("classification",), True, "fraction", macro_f1),
    "auc": Metric("auc", ("classification", "anomaly"), True, "fraction", auc),
    "mae": Metric("mae", ("regression",), False, "label units", mae),
}


def default_metric(task: str) -> str:
    """Name of the metric a task is judged by when none is asked for."""
    return {"classification": "top1", "regression": "mae", "anomaly": "auc"}[task]


def metric(name: str) -> Metric:
    """Find a metric by name, or wrap 'module:function' (labels, outputs) -> float.

    A function of the user's own is taken as higher-is-better unless it carries ``higher_is_better = False``.

    Raises:
        ConfigError: there is no such function; and from ``score``, when it raises or returns no number.
    """
    if name in METRICS:
        return METRICS[name]
    from edgewright.plugins import load_object

    function = load_object(name, asked_for="metric")
    if not callable(function):
        raise ConfigError(f"{name!r} is not a function", where=f"metric: {name}", to_do=_FORM)
    higher_is_better = bool(getattr(function, "higher_is_better", True))
    return Metric(name, ("classification", "regression", "anomaly"), higher_is_better, "", _told(function, name))


_FORM = "name a function (labels, outputs) -> float"


def _told(function: Callable[[Array, Array], Any], name: str) -> MetricFunction:
    """Say of what a user's function does wrong that it is the function; ValueError stays: there is no value here."""

    def score(labels: Array, outputs: Array) -> float:
        try:
            value = function(labels, outputs)
        except (EdgewrightError, ValueError):
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"the metric raised {type(error).__name__}: {error}", where=f"metric: {name}", to_do=_FORM
            ) from error
        if not isinstance(value, float | int | np.number | np.bool_):
            raise ConfigError(f"the metric returned {type(value).__name__}", where=f"metric: {name}", to_do=_FORM)
        return float(value)

    return score
