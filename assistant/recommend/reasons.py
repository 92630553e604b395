"""Why a product is recommended: the strongest fact there is, in the customer's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from babel.dates import format_date

from assistant import phrases
from assistant.money import locale_of
from assistant.recommend.types import Basis, Purchase
from knowledge.recommend.artefact import Model
from knowledge.recommend.statistics import MONTH

# Cosine of two titles in the text tower from which one is called close to the other, and customers
# who have to have bought something for it to be called bought by many. Ours.
_CLOSE, _MANY = 0.5, 3


class Reasons:
    """Of one customer. What was bought before is told with its days, what others bought only as
    how many they are."""

    def __init__(
        self,
        model: Model,
        index: Mapping[str, int],
        history: Sequence[Purchase],
        language: str,
    ) -> None:
        self._model, self._language = model, language
        self._bought: dict[int, list[Purchase]] = {}
        for purchase in sorted(history, key=lambda p: p.day):
            if purchase.product_id in index:
                self._bought.setdefault(index[purchase.product_id], []).append(purchase)
        self._rows = np.array(list(self._bought), np.int64)

    def of(self, row: int) -> tuple[Basis, str] | None:
        """The reason for the product in a row, or None where no fact speaks for it."""
        return self._again(row) or self._together(row) or self._alike(row) or self._popular(row)

    def _again(self, row: int) -> tuple[Basis, str] | None:
        days = sorted({purchase.day for purchase in self._bought.get(row, ())})
        if not days:
            return None
        if len(days) == 1:
            return "again", self._say("recommend_once", day=self._day(days[0]))
        return "again", self._say("recommend_again", count=str(len(days)), day=self._day(days[-1]))

    def _together(self, row: int) -> tuple[Basis, str] | None:
        if not len(self._rows):
            return None
        together = self._model.context.statistics.together
        counts = together[row, self._rows].toarray().ravel()
        n = int(counts.argmax())
        if not counts[n]:
            return None
        title = self._bought[int(self._rows[n])][-1].title
        return "together", self._say("recommend_together", title=title, count=str(int(counts[n])))

    def _alike(self, row: int) -> tuple[Basis, str] | None:
        if not len(self._rows):
            return None
        vectors = self._model.context.vectors
        cosine = vectors[self._rows] @ vectors[row]
        n = int(cosine.argmax())
        if cosine[n] < _CLOSE:
            return None
        bought = self._bought[int(self._rows[n])][-1]
        day = self._day(bought.day)
        return "alike", self._say("recommend_alike", title=bought.title, day=day)

    def _popular(self, row: int) -> tuple[Basis, str] | None:
        statistics = self._model.context.statistics
        count = int(statistics.customers[MONTH, row])
        if count < _MANY:
            return None
        day = self._day(date.fromordinal(statistics.cut))
        return "popular", self._say("recommend_popular", count=str(count), day=day)

    def _say(self, key: str, **values: str) -> str:
        return phrases.say(key, self._language, **values)

    def _day(self, day: date) -> str:
        return str(format_date(day, "long", locale=locale_of(self._language)))
