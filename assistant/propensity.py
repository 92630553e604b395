"""Whether a customer is likely to buy again: for the eyes of staff, and for nothing else.

An outlook is worked out for identified customers alone, as things stood when a conversation began.
No stage of a turn, no order of a queue and no text that a customer sees depends on it: only the
agents' page and the analytics know of this module.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.conversations import Conversations
from assistant.customer_history import contacts_of, history_from, titles_of
from assistant.propensity_settings import PropensitySettings
from assistant.records.seam import Records
from knowledge.errors import PropensityError
from knowledge.propensity.features import NAMES, THEMES, Matrix, features
from knowledge.propensity.model import Band, Model
from knowledge.propensity.promoted import propensity_models
from knowledge.propensity.scorers import TASTE, Inputs
from knowledge.propensity.taste import tastes
from knowledge.propensity.types import SECONDS_PER_DAY, History

log = logging.getLogger(__name__)
BANDS: tuple[Band, ...] = ("likely", "unsure", "leaving")
_REASONS = 3
_TOLD_BESIDE = {"rhythm": ("recency",)}  # figures of other themes that one is told with
_LEAST = 0.05  # log-odds that are worth a reason
Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Reason:
    """A theme of features, what it adds to the log-odds, and the customer's own figures in it by
    the names of the features (NaN where there are too few orders for one)."""

    theme: str
    weight: float
    figures: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """The probability that a customer buys again within 30 days, its band, and what moved it most,
    the strongest reason first."""

    probability: float
    band: Band
    reasons: tuple[Reason, ...]


class Propensity:
    """The promoted model of a home over the shop's records. A model that is promoted or rolled back
    while this serves is the next one to be asked."""

    def __init__(
        self,
        home: Path,
        settings: PropensitySettings,
        records: Records,
        store: Conversations,
        embed: Embed,
    ) -> None:
        self.settings, self.records, self.store = settings, records, store
        self._promoted, self._embed = propensity_models(home), embed
        self._lock = threading.Lock()
        self._held: tuple[Path, Model] | None = None

    @property
    def served(self) -> str:
        """The name of the promoted model; "" where there is none or it cannot be used."""
        model = self._model()
        return model[0].name if model else ""

    def outlook(self, customer_id: str | None, at: float) -> Outlook | None:
        """What to expect of a customer at a time, in seconds since 1970, from what was known then.

        None for somebody who is not identified, has opted out or has not ordered by then, and
        without a model. Raises RecordsError.
        """
        if not customer_id or not self.settings.shown or customer_id in self.settings.opted_out:
            return None
        held = self._model()
        if held is None:
            return None
        orders = self.records.orders(customer_id, self.settings.most_orders)
        moment = at / SECONDS_PER_DAY
        past = history_from(orders, contacts_of(self.store, customer_id)).before(moment)
        if not past.purchases:
            return None
        return look_ahead(held[1], past, moment, titles_of(orders), self._embed)

    def _model(self) -> tuple[Path, Model] | None:
        """The promoted model with its folder. One that is damaged serves nobody, and is logged."""
        try:
            folder = self._promoted.current()
            with self._lock:
                if folder is None:
                    self._held = None
                elif self._held is None or self._held[0] != folder:
                    self._held = folder, Model.read(folder)
                return self._held
        except PropensityError as error:
            log.error("no outlook: %s", error)
            return None


def look_ahead(
    model: Model, past: History, moment: float, titles: Mapping[str, str], embed: Embed
) -> Outlook:
    """The outlook of a past with an order before the moment (days since 1970)."""
    row = features(past, [moment], model.manifest.scale)
    inputs = Inputs(row, _tastes(model, past, moment, titles, embed))
    probability = float(model.probabilities(inputs)[0])
    reasons = _reasons(row[0], model.contributions(inputs))
    return Outlook(round(probability, 4), model.manifest.band(probability), reasons)


def _tastes(
    model: Model, past: History, moment: float, titles: Mapping[str, str], embed: Embed
) -> Any:
    width = model.manifest.taste_width
    bought = sorted({line.product for p in past.purchases for line in p.lines} & titles.keys())
    vectors: dict[str, NDArray[np.float32]] = {}
    if width and bought:
        vectors = dict(zip(bought, embed([titles[name] for name in bought]), strict=True))
    return tastes(past, [moment], vectors, width, model.manifest.half_life_days)


def _reasons(row: Matrix, moved: Matrix) -> tuple[Reason, ...]:
    """The themes that move it most; Shapley values of a theme's features add up to the theme's."""
    place = {name: n for n, name in enumerate(NAMES)}
    found = [
        Reason(
            theme,
            round(float(sum(moved[place[name]] for name in names)), 4),
            tuple((n, float(row[place[n]])) for n in (*names, *_TOLD_BESIDE.get(theme, ()))),
        )
        for theme, names in THEMES.items()
    ]
    found.append(Reason(TASTE, round(float(moved[-1]), 4), ()))
    found.sort(key=lambda reason: -abs(reason.weight))
    return tuple(reason for reason in found[:_REASONS] if abs(reason.weight) >= _LEAST)
