"""How well probabilities of buying again hold: ranking, decisions, calibration, with intervals.

PR-AUC is average precision; intervals are 95% percentile bootstraps over customers, all rows of a
customer together, for they are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from finetune.intent_report import expected_calibration_error
from knowledge.propensity.features import Matrix

Labels = NDArray[np.bool_]
_BINS = 10  # of the reliability plot, with as many rows each
_WEAK = 1e6  # inverse penalty, next to none


def scores(
    probabilities: Matrix,
    labels: Labels,
    customers: NDArray[np.int64],
    told_from: float,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """The metrics of some rows. `told_from` is the probability from which it is said that they buy;
    accuracy, precision, recall and F1 are those of that. `intervals` has the bootstrap's."""
    found = _metrics(probabilities, labels, told_from)
    drawn = [
        _metrics(probabilities[rows], labels[rows], told_from)
        for rows in _resampled(labels, customers, resamples, seed)
    ]
    intervals = {
        name: [round(float(q), 4) for q in np.quantile([d[name] for d in drawn], (0.025, 0.975))]
        for name in found
        if drawn
    }
    rounded = {name: round(value, 4) for name, value in found.items()}
    return {"n": len(labels)} | rounded | {"intervals": intervals}


def _metrics(probabilities: Matrix, labels: Labels, told_from: float) -> dict[str, float]:
    told = probabilities >= told_from
    hits = float((told & labels).sum())
    likely = probabilities.clip(1e-12, 1 - 1e-12)
    return {
        "positives": float(labels.mean()),
        "accuracy": float((told == labels).mean()),
        "precision": hits / max(1.0, float(told.sum())),
        "recall": hits / max(1.0, float(labels.sum())),
        "f1": 2 * hits / max(1.0, float(told.sum() + labels.sum())),
        "pr_auc": float(average_precision_score(labels, probabilities)),
        "roc_auc": float(roc_auc_score(labels, probabilities)),
        "ece": expected_calibration_error(probabilities, labels),
        "brier": float(((probabilities - labels) ** 2).mean()),
        "log_loss": float(-np.log(np.where(labels, likely, 1 - likely)).mean()),
    }


def difference(
    first: Matrix,
    second: Matrix,
    labels: Labels,
    customers: NDArray[np.int64],
    resamples: int,
    seed: int,
) -> tuple[float, float, float]:
    """PR-AUC of the first less that of the second, by margins or probabilities: as measured, and
    its 95% interval by paired resamples of the customers."""

    def gap(rows: Any) -> float:
        ours = average_precision_score(labels[rows], first[rows])
        return float(ours - average_precision_score(labels[rows], second[rows]))

    drawn = np.array([gap(rows) for rows in _resampled(labels, customers, resamples, seed)])
    low, high = np.quantile(drawn, (0.025, 0.975))
    return gap(slice(None)), float(low), float(high)


def _resampled(
    labels: Labels, customers: NDArray[np.int64], count: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Rows of customers drawn with replacement; draws with one class only are left out."""
    order = np.argsort(customers, kind="stable")
    names, starts = np.unique(customers[order], return_index=True)
    rows_of = np.split(order, starts[1:])
    rng = np.random.default_rng(seed)
    for _ in range(count):
        rows = np.concatenate([rows_of[n] for n in rng.integers(len(names), size=len(names))])
        if 0 < labels[rows].sum() < len(rows):
            yield rows


def calibration(margins: Matrix, labels: Labels) -> tuple[float, float]:
    """(slope, shift) that make the labels likeliest: Platt scaling (1999) of log-odds; the slope is
    one over the temperature of Guo et al. (2017)."""
    fitted = LogisticRegression(C=_WEAK, max_iter=1000).fit(margins[:, None], labels)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def reliability(probabilities: Matrix, labels: Labels) -> list[tuple[float, float, int]]:
    """(mean probability, share that bought, rows) of the rows in order of probability, in parts of
    about equal size."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    mean: Callable[[Any], float] = lambda column: round(float(column.mean()), 4)  # noqa: E731
    return [(mean(probabilities[p]), mean(labels[p]), len(p)) for p in parts]
