"""How well orders of goods foretell what customers buy next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.recommender_data import Asked
from knowledge.recommend.types import Floats, Rows

RECALL_AT, NDCG_AT = 20, 10
SHORT_VISITS = 2  # visits up to which a history is short
_RESAMPLES = 2000
_SEED = 1
Scorer = Callable[[Sequence[Asked]], Sequence[Floats]]  # (goods,) for each customer
Series = NDArray[np.float64]  # a value for each customer


@dataclass(frozen=True, slots=True)
class Measured:
    """Recall@20 and NDCG@10 of each customer; NaN where nothing of the kind was bought."""

    recall: Series
    ndcg: Series

    def of(self, chosen: NDArray[np.bool_]) -> Measured:
        """Of some of the customers."""
        return Measured(self.recall[chosen], self.ndcg[chosen])

    def less(self, other: Measured) -> Measured:
        """By how much each customer is better served than by another order of goods."""
        return Measured(self.recall - other.recall, self.ndcg - other.ndcg)


def measure(orders: Sequence[Rows], bought: Sequence[Rows]) -> Measured:
    """Of an order of goods for each customer, best first, and what was bought.

    NDCG has gains of 1 and the ideal order of at most ten goods below the line (Järvelin and
    Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002).
    """
    discount = 1 / np.log2(np.arange(2, NDCG_AT + 2))
    recall, ndcg = np.full(len(orders), np.nan), np.full(len(orders), np.nan)
    for n, (order, truth) in enumerate(zip(orders, bought, strict=True)):
        if len(truth):
            hits = np.isin(order[:RECALL_AT], truth)
            recall[n] = hits.sum() / len(truth)
            first = hits[:NDCG_AT]
            ndcg[n] = discount[: len(first)][first].sum() / discount[: len(truth)].sum()
    return Measured(recall, ndcg)


def groups_of(asked: Sequence[Asked]) -> dict[str, NDArray[np.bool_]]:
    """Which customers are in a group: all, and those with a short history."""
    visits = np.array([len(each.past.days) for each in asked])
    return {"all": np.ones(len(asked), bool), "short": visits <= SHORT_VISITS}


def mean_with_interval(values: Series, resamples: int = _RESAMPLES) -> tuple[float, float, float]:
    """The mean over customers and its 95% percentile bootstrap interval; NaNs are left out."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(_SEED)
    means = [known[rng.integers(len(known), size=len(known))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(known.mean()), float(low), float(high)


def summary(measured: Measured) -> dict[str, Any]:
    """Means and intervals, as JSON has them: null of nobody."""
    found: dict[str, Any] = {"n": int((~np.isnan(measured.recall)).sum())}
    for name, values in (("recall@20", measured.recall), ("ndcg@10", measured.ndcg)):
        mean, low, high = (round(v, 4) if found["n"] else None for v in mean_with_interval(values))
        found[name] = mean
        found[f"{name}_interval"] = [low, high]
    return found


def by_group(measured: Measured, asked: Sequence[Asked]) -> Mapping[str, dict[str, Any]]:
    """A summary for each group of customers."""
    return {name: summary(measured.of(chosen)) for name, chosen in groups_of(asked).items()}
