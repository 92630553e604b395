"""Choose products for a customer, and say why.

Nothing is recommended that is sold out, that the customer asked to leave out, or for which no fact
speaks. Without a history (none is there, or it may not be used) it is what sells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from assistant.recommend.reasons import Reasons
from assistant.recommend.types import Purchase, Recommendation
from knowledge.catalogue.names import line_of
from knowledge.catalogue.types import Product
from knowledge.recommend.artefact import Model
from knowledge.recommend.diversity import diversified
from knowledge.recommend.ranking import best
from knowledge.recommend.statistics import MONTH
from knowledge.recommend.types import Floats, Good, Past, Rows, Visit, index_of

_DEEP = 10  # times as many are looked at as are wanted: some may be alike, or without a reason


@dataclass(frozen=True, slots=True)
class _Known:
    """A model with all goods of a catalogue, and the row of each."""

    products: tuple[Product, ...]
    model: Model
    index: dict[str, int]


class Recommender:
    """Recommends from a catalogue; `variety`, 0 to 1, is what it counts for that products differ
    (measured by `python -m benchmarks.recommendations`)."""

    def __init__(
        self, model: Model, variety: float = 0.1, today: Callable[[], date] = date.today
    ) -> None:
        self._model, self._variety, self._today = model, variety, today
        self._known: _Known | None = None
        self._learning = threading.Lock()

    def recommend(
        self,
        history: Sequence[Purchase],
        catalogue: Sequence[Product],
        count: int,
        language: str,
        *,
        without: Collection[str] = (),
    ) -> tuple[Recommendation, ...]:
        """At most `count` products of the catalogue, best first, each title once; none of the ids
        in `without`. `history` is what the customer bought and agreed to be used, or nothing."""
        known = self._knowing(catalogue)
        past = _past(history, known.index)
        scores = self._scores(known.model, past)
        offered = {
            known.index[product.id]: product
            for product in reversed(catalogue)  # of equal ids the first stays
            if product.stock_of() != 0 and product.id not in without
        }
        rows = np.array(sorted(offered), np.int64)
        if not len(rows):
            return ()
        order = _titled_once(rows[best(scores[rows], len(rows))], offered)[: _DEEP * count]
        reasons = Reasons(known.model, known.index, history, language)
        told = {row: reason for row in order.tolist() if (reason := reasons.of(row))}
        speaking = np.array([row for row in order.tolist() if row in told], np.int64)
        chosen = diversified(speaking, known.model.context.vectors, count, self._variety)
        return tuple(
            Recommendation(
                offered[row].id, offered[row].title, round(float(scores[row]), 4), *told[row]
            )
            for row in chosen.tolist()
        )

    def _scores(self, model: Model, past: Past) -> Floats:
        if past.days:
            return model.scores(past, self._today().toordinal())
        customers = model.context.statistics.customers
        return np.asarray(customers[MONTH] + customers[-1] / (1 + customers[-1].max()))

    def _knowing(self, catalogue: Sequence[Product]) -> _Known:
        """The model with the catalogue's goods; made anew when the catalogue is another one."""
        products = tuple(catalogue)
        with self._learning:
            if self._known is None or self._known.products != products:
                goods = list({p.id: _good(p) for p in reversed(products)}.values())
                model = self._model.with_goods(goods)
                self._known = _Known(products, model, index_of(model.goods))
            return self._known


def _past(history: Sequence[Purchase], index: dict[str, int]) -> Past:
    visits = (Visit("", p.day.toordinal(), (p.product_id,)) for p in history)
    return Past.of(visits, index)


def _good(product: Product) -> Good:
    return Good(product.id, product.title, product.category, float(product.price or 0))


def _titled_once(order: Rows, offered: dict[int, Product]) -> Rows:
    """The first row of each title: the same in another colour or size is no second idea."""
    first: dict[tuple[str, str], int] = {}
    for row in order.tolist():
        first.setdefault((line_of(offered[row].title), offered[row].brand), row)
    return np.array(list(first.values()), np.int64)
