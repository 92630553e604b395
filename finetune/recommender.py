"""Train a recommender: `python -m finetune recommender`.

The text tower learns from what was bought before a day, the ranker from who bought what after it,
so the ranker weighs the tower by what it is worth on days that it has not seen. Of the ranker's
days the last one is held out first: it gives the scores in the manifest; then the ranker learns
from all of them.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from finetune.errors import RecipeError
from finetune.fit import Plan, finish, fit, is_finished, open_run, training_folder, weights_digest
from finetune.lora import save_adapter
from finetune.recommender_data import Sales, asked_on, day_of
from finetune.recommender_ranker import Lesson, RankerObjective, lessons_of
from finetune.recommender_report import Page, write_page
from finetune.recommender_scores import by_group, measure, summary
from finetune.recommender_settings import RecommenderRecipe
from finetune.recommender_tower import TowerObjective
from knowledge.recommend.artefact import (
    MANIFEST,
    TOWER,
    Manifest,
    Model,
    log_prices,
    read_manifest,
    write_manifest,
)
from knowledge.recommend.features import NAMES, Context, features
from knowledge.recommend.ranking import Ranker, best
from knowledge.recommend.statistics import Counting, count_sales
from knowledge.recommend.tower import TextTower
from knowledge.recommend.types import Floats, Rows

log = logging.getLogger(__name__)
REPORT = "report.html"
_SHOWN, _WEIGHED = 20, 60  # goods of an order that are measured; customers whose features are
_REFERENCES = {"own frequency": "own_by_visit", "popular": "sold_30"}


@dataclass(frozen=True, slots=True)
class _Run:
    """What the stages of a training share."""

    out: Path
    sales: Sales
    recipe: RecommenderRecipe
    resume: bool

    @property
    def days(self) -> list[int]:
        """The days that the ranker learns to predict on, the last one first."""
        last = self.sales.until - self.recipe.horizon_days
        return [last - n * self.recipe.cut_days for n in range(self.recipe.cuts)]

    @property
    def counting(self) -> Counting:
        recipe = self.recipe
        return Counting(recipe.neighbours, recipe.shrinkage, recipe.least_customers)

    def plan(self, steps: int) -> Plan:
        recipe = self.recipe
        return Plan(steps, recipe.warmup_share, recipe.checkpoint_steps, recipe.seed)

    def folder(self, stage: str) -> Path:
        """Where a stage keeps its checkpoints and logs."""
        return training_folder(self.out) / stage


def train_recommender(
    out: Path, sales: Sales, recipe: RecommenderRecipe, engines: Path, *, resume: bool = False
) -> Manifest:
    """Train on all of the sales and write the recommender and report.html to out.

    A run that was cut off goes on with `resume`, one that was finished is left as it is. Raises
    DataError when the sales hold too little, RecipeError when another run is to go on.
    """
    if resume and is_finished(out, MANIFEST):
        return _finished(out, sales, recipe)
    run = _Run(out, sales, recipe, resume)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    fingerprint = {"recipe": asdict_of(recipe), "data": sales.digest, "until": sales.until}
    open_run(training_folder(out), fingerprint, resume)
    (out / MANIFEST).unlink(missing_ok=True)
    curves: dict[str, list[float]] = {}
    tower = _tower(run, engines, curves)
    log.info("embedding %d goods", len(sales.goods))
    vectors = tower.embed([good.text for good in sales.goods])
    ranker, scores, page = _ranked(run, vectors, curves)
    log.info("counting")
    statistics = count_sales(sales.held, len(sales.goods), sales.until, run.counting)
    Model.of(sales.goods, statistics, vectors, ranker).save(out)
    write_page(out / REPORT, page)
    manifest = Manifest(
        until=day_of(sales.until), base_sha256="", data_sha256=sales.digest, files={},
        recipe=asdict_of(recipe), customers=len(sales.held),
        visits=sum(len(past.days) for past in sales.held.values()), goods=len(sales.goods),
        created=datetime.now(UTC).isoformat(timespec="seconds"), scores=scores,
    )  # fmt: skip
    write_manifest(out, manifest)
    finish(out)
    return read_manifest(out)


def _finished(out: Path, sales: Sales, recipe: RecommenderRecipe) -> Manifest:
    """The manifest of a run that went to its end. Raises RecipeError when it was another one."""
    manifest = read_manifest(out)
    if (manifest.data_sha256, manifest.recipe) != (sales.digest, asdict_of(recipe)):
        raise RecipeError(f"{out} was made from another recipe or data; train without --resume")
    return manifest


def asdict_of(recipe: RecommenderRecipe) -> dict[str, Any]:
    """A recipe as the manifest has it, without what the result does not depend on."""
    return recipe.model_dump(exclude={"wandb_project", "threads"})


def _tower(run: _Run, engines: Path, curves: dict[str, list[float]]) -> TextTower:
    """The trained text tower, or the encoder as it is where the recipe has no steps for it."""
    recipe, sales, folder = run.recipe, run.sales, run.out / TOWER
    if not recipe.tower_steps:
        shutil.rmtree(folder, ignore_errors=True)
        return TextTower(None, engines, recipe.threads or 2)
    log.info("the text tower reads the goods")
    held = sales.before(sales.until - recipe.learnt_days)
    objective = TowerObjective(sales.goods, held, recipe)
    begun = {"start": weights_digest(objective.model)}
    fit(
        objective, run.plan(recipe.tower_steps), run.folder("tower"), begun,
        resume=run.resume, wandb_project=recipe.wandb_project,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    save_adapter(objective.model, folder)
    curves["text tower"] = objective.curve
    return TextTower(folder, engines, recipe.threads or 2)


def _ranked(
    run: _Run, vectors: Floats, curves: dict[str, list[float]]
) -> tuple[Ranker, dict[str, Any], Page]:
    """The ranker, what it was worth on the held-out day before it learnt that too, and the page
    that shows it."""
    recipe, sales = run.recipe, run.sales
    prices, days = log_prices(sales.goods), run.days
    contexts = {}
    for day in tqdm(days, desc="counting"):
        statistics = count_sales(sales.held, len(sales.goods), day, run.counting)
        contexts[day] = Context.of(statistics, vectors, prices)

    def lessons(day: int, horizon: int) -> list[Lesson]:
        return lessons_of(contexts[day], asked_on(sales.held, day, horizon), day, recipe)

    scores: dict[str, Any] = {}
    weights: dict[str, float] = {}
    held_out, earlier = days[0], days[1:]
    before = [t for day in earlier for t in lessons(day, min(recipe.horizon_days, held_out - day))]
    if before:
        log.info("the ranker learns from the days before %s", day_of(held_out))
        ranker = _fitted(run, before, "ranker-held-out", curves)
        scores, weights = _held_out(run, contexts[held_out], ranker)
        log.info("held out: %s", scores["held_out"]["recommender"]["all"])
    log.info("the ranker learns from all days")
    drawn = [t for day in days for t in lessons(day, recipe.horizon_days)]
    ranker = _fitted(run, drawn, "ranker", curves)
    page = Page(day_of(held_out), scores.get("held_out", {}), weights, curves)
    return ranker, scores, page


def _fitted(
    run: _Run, lessons: Sequence[Lesson], stage: str, curves: dict[str, list[float]]
) -> Ranker:
    recipe = run.recipe
    objective = RankerObjective(lessons, recipe)
    begun = {"lists": len(lessons)}
    fit(
        objective, run.plan(recipe.ranker_steps), run.folder(stage), begun,
        resume=run.resume, wandb_project=recipe.wandb_project,
    )  # fmt: skip
    curves[stage] = objective.curve
    return objective.ranker()


def _held_out(
    run: _Run, context: Context, ranker: Ranker
) -> tuple[dict[str, Any], dict[str, float]]:
    """Scores on the held-out day beside two references and by how much it is ahead of each; and by
    how much NDCG@10 of some customers falls without each feature: at its mean for everybody."""
    day = run.days[0]
    asked = asked_on(run.sales.held, day, run.recipe.horizon_days)
    bought = [each.bought for each in asked]
    ways: dict[str, Callable[[Floats], Floats]] = {"recommender": ranker.scores}
    ways |= {name: _column(NAMES.index(feature)) for name, feature in _REFERENCES.items()}
    orders: dict[str, list[Rows]] = {name: [] for name in ways}
    some: list[Floats] = []
    every = features(context, [a.past for a in asked], day)
    for rows in tqdm(every, total=len(asked)):
        for name, way in ways.items():
            orders[name].append(best(way(rows), _SHOWN))
        if len(some) < _WEIGHED:
            some.append(rows)
    measured = {name: measure(order, bought) for name, order in orders.items()}
    found = {
        "held_out": {name: dict(by_group(each, asked)) for name, each in measured.items()},
        "ahead": {n: summary(measured["recommender"].less(measured[n])) for n in _REFERENCES},
    }

    def ndcg(way: Callable[[Floats], Floats]) -> float:
        told = measure([best(way(rows), _SHOWN) for rows in some], bought[: len(some)])
        return float(np.nanmean(told.ndcg))

    whole = ndcg(ranker.scores)
    return found, {n: round(whole - ndcg(_without(ranker, i)), 4) for i, n in enumerate(NAMES)}


def _column(place: int) -> Callable[[Floats], Floats]:
    return lambda rows: rows[:, place]


def _without(ranker: Ranker, place: int) -> Callable[[Floats], Floats]:
    """The ranker's scores where a feature says the same of everybody."""

    def scores(rows: Floats) -> Floats:
        levelled = rows.copy()
        levelled[:, place] = ranker.mean[place]
        return ranker.scores(levelled)

    return scores
