"""Measure a trained recommender on what was bought after the days that it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from finetune.errors import DataError
from finetune.recommender_data import Asked, Sales, asked_on
from finetune.recommender_scores import RECALL_AT, Measured, by_group, measure, summary
from knowledge.recommend.artefact import Model, read_manifest, write_manifest
from knowledge.recommend.features import features
from knowledge.recommend.ranking import best
from knowledge.recommend.types import Floats, Past, Rows, index_of


def evaluate_folder(folder: Path, sales: Sales, engines: Path, days: int) -> dict[str, Any]:
    """Recall@20 and NDCG@10 of each customer's next visit within so many days after what the
    recommender knows: for all, for short histories, and of goods never sold before among
    themselves. Written into its manifest. Raises DataError when nobody came back."""
    model = Model.load(folder, engines).with_goods(sales.goods)
    manifest = read_manifest(folder)
    day = date.fromisoformat(manifest.until).toordinal()
    asked = asked_on(renumbered(sales, model), day, days)
    if not asked:
        raise DataError(f"no customer known before {manifest.until} bought anything after it")
    every = tqdm(features(model.context, [a.past for a in asked], day), total=len(asked))
    scores = [model.ranker.scores(rows) for rows in every]
    orders = [best(row, RECALL_AT) for row in scores]
    found: dict[str, Any] = dict(by_group(measure(orders, [a.bought for a in asked]), asked))
    cold = np.flatnonzero(model.context.statistics.first_sold == 0)
    found["cold"] = summary(measure_among(cold, scores, asked))
    write_manifest(folder, replace(manifest, scores=manifest.scores | {"evaluated": found}))
    return found


def measure_among(rows: Rows, scores: Sequence[Floats], asked: Sequence[Asked]) -> Measured:
    """Of some goods among themselves, for the customers who bought any of them."""
    orders = [rows[best(row[rows], RECALL_AT)] for row in scores]
    return measure(orders, [np.intersect1d(each.bought, rows) for each in asked])


def renumbered(sales: Sales, model: Model) -> dict[str, Past]:
    """What each customer bought, in the rows that a model's goods have; it must have them all."""
    index = index_of(model.goods)
    rows = np.array([index[good.id] for good in sales.goods])
    return {
        customer: Past(past.days, tuple(rows[bought] for bought in past.rows))
        for customer, past in sales.held.items()
    }
