"""Pasts and models by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from knowledge.propensity.features import NAMES, Scale
from knowledge.propensity.model import Manifest, Model
from knowledge.propensity.scorers import Linear, Scorer, Standard
from knowledge.propensity.types import Contact, Event, History, Line, Purchase

SCALE = Scale({"": 20.0, "GBP": 20.0}, "GB")


def order(day: float, *products: str, pieces: int = 2, value: float = 10.0) -> Purchase:
    return Purchase(day, "GB", tuple(Line(p, pieces, value) for p in products or ("a",)), "GBP")


PAST = History.of(
    [order(0.5, "a", "b"), order(10.5, "a", "c"), order(10.7, "d"), order(40.5, "b", "e")],
    [Event(12.0, returned=True), Event(45.0, returned=False)],
    [Contact(11.0, False), Contact(44.0, True)],
)


def by_recency(**changes: Any) -> Model:
    """Who bought lately buys again: a linear model of one weight."""
    standard = Standard(np.zeros(len(NAMES)), np.ones(len(NAMES)))
    weights = np.zeros(len(NAMES))
    weights[NAMES.index("recency")] = -1.0
    scorers: dict[str, Scorer] = {"logistic": Linear(standard, weights, 3.0)}
    manifest = Manifest(
        features=NAMES, horizon_days=30.0, typical=SCALE.typical, home=SCALE.home,
        parts={"logistic": 1.0}, slope=1.0, shift=0.0, likely_from=0.5, leaving_below=0.1,
        weights_sha256="", data_sha256="", recipe={}, training={}, created="2026-01-01",
        scores={"positives": 0.2, "pr_auc": 0.5, "intervals": {"pr_auc": [0.4, 0.6]}},
    )  # fmt: skip
    return Model(replace(manifest, **changes), scorers)
