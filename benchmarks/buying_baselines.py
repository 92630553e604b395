"""What a recommender is measured against: popularity, the customer's own habits, neighbours, ALS.

Each is a family of settings, and what it makes of each customer on a day; `tuned` takes the setting
that does best on an earlier day.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from finetune.recommender_data import Asked
from finetune.recommender_scores import RECALL_AT, Measured, measure
from knowledge.recommend.ranking import best
from knowledge.recommend.statistics import incidence
from knowledge.recommend.types import Floats, Past

Setting = Mapping[str, Any]
# What is the customer's own stands above what only fills the list up; a visit later, between.
_ABOVE, _BETWEEN = 1e9, 1e4


@dataclass(frozen=True)
class Day:
    """What was bought before a day, and who is asked on it."""

    held: Mapping[str, Past]
    count: int
    day: int
    asked: Sequence[Asked]

    def bought_together(self, of: str) -> tuple[Floats, Floats]:
        """(goods, goods): how many customers or visits had both; (goods,): one."""
        return self._counted[of]

    @cached_property
    def _counted(self) -> dict[str, tuple[Floats, Floats]]:
        pasts = list(self.held.values())
        sets = {"customers": [p.owned for p in pasts], "visits": [r for p in pasts for r in p.rows]}
        found = {}
        for of, each in sets.items():
            bought = incidence(each, self.count)
            both = np.asarray((bought.T @ bought).todense(), np.float32)
            found[of] = both, both.diagonal().copy()
        return found


Method = Callable[[Day, Setting], Iterable[Floats]]  # (goods,) for each who is asked


def popular(at: Day, setting: Setting) -> Iterator[Floats]:
    """How many customers bought it in the last days."""
    sold = _sold(at, setting["days"])
    yield from (sold for _ in at.asked)


def last_basket(at: Day, setting: Setting) -> Iterator[Floats]:
    """The last visit again, then what is popular."""
    sold = _sold(at, setting["days"]).astype(np.float64)
    for each in at.asked:
        scores = sold.copy()
        scores[each.past.rows[-1]] += _ABOVE
        yield scores


def own_frequency(at: Day, setting: Setting) -> Iterator[Floats]:
    """What was bought at most visits, each later visit counting 1 / `decay` times as much as the
    one before; of equals the popular, or where `latest` the latest, then what is popular."""
    sold = _sold(at, setting["days"]).astype(np.float64)
    for each in at.asked:
        scores, last = sold.copy(), np.zeros(at.count)
        visits = len(each.past.rows)
        for place, rows in enumerate(each.past.rows):
            scores[rows] += _ABOVE * setting["decay"] ** (visits - 1 - place)
            last[rows] = place
        yield scores + _BETWEEN * last if setting["latest"] else scores


def item_neighbours(at: Day, setting: Setting) -> Iterator[Floats]:
    """Item-kNN: the sum of cosines to what the customer owns, how often where `counts`."""
    both, sold = at.bought_together(setting["of"])
    cosine = both / (np.sqrt(np.outer(sold, sold)) + setting["shrinkage"] + np.float32(1e-9))
    np.fill_diagonal(cosine, 0)
    kept = min(setting["neighbours"], at.count - 1)
    least = np.partition(cosine, -kept, axis=0)[-kept]
    cosine = np.where(cosine >= least, cosine, 0)
    np.fill_diagonal(cosine, setting["itself"])
    of_good = np.ascontiguousarray(cosine.T)
    for each in at.asked:
        owned, counts = np.unique(np.concatenate(each.past.rows), return_counts=True)
        weights = counts if setting["counts"] else np.ones(len(owned))
        yield np.asarray(weights @ of_good[owned], np.float32)


def als(at: Day, setting: Setting) -> Iterator[Floats]:
    """Implicit-feedback ALS (Hu, Koren and Volinsky, ICDM 2008) as the package `implicit` has it,
    of how many visits each customer bought a good at; what is owned stays in."""
    from implicit.als import AlternatingLeastSquares

    names = {customer: n for n, customer in enumerate(at.held)}
    rows = np.concatenate([np.full(len(np.concatenate(p.rows)), n)
                           for n, p in enumerate(at.held.values())])  # fmt: skip
    columns = np.concatenate([r for p in at.held.values() for r in p.rows])
    shape = (len(names), at.count)
    visits = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    model = AlternatingLeastSquares(
        factors=setting["factors"], regularization=setting["regularization"],
        alpha=setting["alpha"], iterations=15, random_state=1, num_threads=1,
    )  # fmt: skip
    with contextlib.redirect_stderr(io.StringIO()):
        model.fit(visits, show_progress=False)
    for each in at.asked:
        yield np.asarray(model.item_factors @ model.user_factors[names[each.customer]])


_DAYS = (14, 30, 60, 90, 10_000)
BASELINES: dict[str, tuple[Method, dict[str, Sequence[Any]]]] = {
    "popularity": (popular, {"days": _DAYS}),
    "last basket": (last_basket, {"days": _DAYS}),
    "own frequency": (
        own_frequency, {"days": (14, 30, 60), "decay": (1.0,), "latest": (True, False)},
    ),
    "own frequency, decayed": (
        own_frequency, {"days": (14, 30), "decay": (0.5, 0.7, 0.8, 0.9, 0.95), "latest": (False,)},
    ),
    "item-kNN": (
        item_neighbours,
        {"of": ("customers", "visits"), "neighbours": (50, 300, 1000), "shrinkage": (0, 10, 30),
         "itself": (0.0, 1.0), "counts": (False, True)},
    ),
    "ALS": (
        als,
        {"factors": (64, 128, 256), "regularization": (0.1, 1.0, 5.0), "alpha": (0.5, 1, 5)},
    ),
}  # fmt: skip


def settings_of(grid: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of a grid."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def measured(method: Method, at: Day, setting: Setting) -> Measured:
    """A method's scores on a day."""
    orders = [best(scores, RECALL_AT) for scores in method(at, setting)]
    return measure(orders, [each.bought for each in at.asked])


def tuned(name: str, at: Day, say: Callable[[str], object]) -> dict[str, Any]:
    """The setting with the highest recall@20 + NDCG@10 on an earlier day; the first of equals."""
    method, grid = BASELINES[name]
    found: tuple[float, dict[str, Any]] = (-1.0, {})
    for setting in settings_of(grid):
        on_day = measured(method, at, setting)
        value = float(np.nanmean(on_day.recall) + np.nanmean(on_day.ndcg))
        if value > found[0]:
            found = value, setting
    say(f"{name}: {found[1]} ({found[0] / 2:.4f} on the earlier day)")
    return found[1]


def _sold(at: Day, days: int) -> Floats:
    sold = np.zeros(at.count, np.float32)
    for past in at.held.values():
        late = [r for d, r in zip(past.days, past.rows, strict=True) if d >= at.day - days]
        if late:
            sold[np.unique(np.concatenate(late))] += 1
    return sold
