"""Train what says whether a customer buys again: `python -m finetune propensity`.

Logistic regression, gradient boosting and a network get the same rows and are judged by the same
validation rows, and so are mixtures of them. What ranks those best ships, the simpler of a tie, and
a mixture only where it is clearly ahead; it is then fitted to all that was known before the test,
and measured once on that.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score

from finetune.errors import DataError
from finetune.fit import finish, open_run, training_folder
from finetune.manifest import replace_file
from finetune.propensity_data import (
    Customers,
    Moments,
    Table,
    customers_digest,
    moments_of,
    scale_of,
    table_of,
)
from finetune.propensity_models import Folds, Tried, attempt, fitted, grid
from finetune.propensity_scores import calibration, difference, scores
from finetune.propensity_settings import KINDS, Kind, PropensityRecipe
from finetune.tracking import tracked
from knowledge.propensity.features import NAMES, Matrix, Scale
from knowledge.propensity.model import Manifest, Model
from knowledge.propensity.scorers import Scorer
from knowledge.propensity.taste import Vectors
from knowledge.propensity.types import HORIZON_DAYS

log = logging.getLogger(__name__)
Try = Callable[[Mapping[str, Any]], Tried]
Search = Callable[[Kind, Try, Path], Sequence[Tried]]
_TIE = 0.001  # PR-AUC, a tenth of what chance moves it by
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of a kind in a mixture


@dataclass(frozen=True, slots=True)
class Choice:
    """A mixture of kinds and the margins of the validation rows that it gives."""

    parts: Mapping[str, float]
    margins: Matrix

    @property
    def name(self) -> str:
        """The kind, or `blend`."""
        return "blend" if len(self.parts) > 1 else next(iter(self.parts))

    @property
    def order(self) -> tuple[int, int]:
        """The simpler first: one model before a mixture, and as KINDS has them."""
        places: tuple[str, ...] = KINDS
        return len(self.parts), max(places.index(kind) for kind in self.parts)


@dataclass(frozen=True, slots=True)
class Lesson:
    """All rows, and at which moments they are."""

    table: Table
    moments: Moments
    scale: Scale

    @classmethod
    def of(
        cls,
        customers: Customers,
        recipe: PropensityRecipe,
        vectors: Vectors,
        known_until: float | None,
    ) -> Lesson:
        """The rows of these customers. Raises DataError."""
        moments = moments_of(customers, recipe, known_until)
        scale = scale_of(customers, moments.validation)
        every = sorted({*moments.train, *moments.refit, *moments.test})
        return cls(
            table_of(customers, every, scale, vectors, recipe.half_life_days), moments, scale
        )

    def folds(self, recipe: PropensityRecipe) -> Folds:
        """The rows that are learnt from and those that choose."""
        learnt, held = self.table.at(self.moments.train), self.table.at([self.moments.validation])
        return Folds.of(learnt, held, recipe.folds, recipe.seed)

    @property
    def refit(self) -> Table:
        """The rows whose labels were known before the test."""
        return self.table.at(self.moments.refit)

    @property
    def test(self) -> Table:
        """The rows that measure."""
        return self.table.at(self.moments.test)


@dataclass(frozen=True, slots=True)
class Trained:
    """The model that ships, that of each kind by itself, and the rows."""

    model: Model
    models: Mapping[str, Model]
    lesson: Lesson


def train_propensity(
    out: Path,
    customers: Customers,
    recipe: PropensityRecipe,
    vectors: Vectors,
    *,
    known_until: float | None = None,
    search: Search | None = None,
    resume: bool = False,
) -> Trained:
    """Train and write the model that ships to out.

    `vectors` are those of the products' titles, or nothing, and then the network reads the features
    alone. `known_until` (a day) begins the test, where later orders are there for it; `search`
    tries more of a kind than its grid. Attempts that are finished are kept beside out, and a run
    that was cut off goes on with `resume`. Raises DataError and RecipeError.
    """
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    folder, data = training_folder(out), customers_digest(customers)
    begun = {"recipe": recipe.model_dump(mode="json"), "data": data, "until": known_until,
             "search": search is not None}  # fmt: skip
    open_run(folder, begun, resume)
    lesson = Lesson.of(customers, recipe, vectors, known_until)
    folds = lesson.folds(recipe)
    log.info("%d rows to learn from, %d to choose by, %d to measure on",
             len(folds.learnt), len(folds.held), len(lesson.test))  # fmt: skip
    with tracked(recipe.wandb_project, folder):
        tried: dict[str, Tried] = {
            kind: _best(kind, folds, recipe, folder, search) for kind in recipe.kinds
        }
        scorers: dict[str, Scorer] = {
            kind: fitted(best, lesson.refit, recipe, folder / f"{kind}-whole")
            for kind, best in tried.items()
        }
    choices = choices_of(tried, recipe)
    chosen = simplest(choices, folds.held, recipe)
    log.info("validation chooses %s", dict(chosen.parts))
    models = {
        choice.name: _model(choice, scorers, folds.held, lesson, recipe, data)
        for choice in (*choices[: len(tried)], *_best_mixture(choices, folds.held), chosen)
    }
    measured = {name: measure(m, lesson.test, recipe) for name, m in models.items()}
    model = models[chosen.name]
    shipped = replace(
        model.manifest,
        scores=measured[chosen.name],
        scores_of=measured,
        chosen_by=_validation(choices, folds.held),
        training=_training(tried, lesson),
    )
    model = replace(model, manifest=shipped).write(out)
    finish(out)
    return Trained(model, models, lesson)


def measure(model: Model, test: Table, recipe: PropensityRecipe) -> dict[str, Any]:
    """The scores of a model on some rows. Raises DataError for rows of one class only."""
    if not 0 < test.labels.sum() < len(test):
        raise DataError("in the test either everybody buys again, or nobody")
    return scores(
        model.probabilities(test.inputs), test.labels, test.customers,
        model.manifest.likely_from, recipe.resamples, recipe.seed,
    )  # fmt: skip


def choices_of(tried: Mapping[str, Tried], recipe: PropensityRecipe) -> list[Choice]:
    """Each kind by itself, then the best of their mixtures' shares one after the other."""
    choices = [Choice({kind: 1.0}, best.margins) for kind, best in tried.items()]
    if not recipe.blend:
        return choices
    for shares in product(_SHARES, repeat=len(tried)):
        parts = {k: s for k, s in zip(tried, shares, strict=True) if s}
        if len(parts) > 1 and sum(shares) == 1.0:
            margins = sum((s * tried[k].margins for k, s in parts.items()), np.zeros(1))
            choices.append(Choice(parts, np.asarray(margins)))
    return choices


def _best_mixture(choices: Sequence[Choice], held: Table) -> list[Choice]:
    """The mixture that ranks the held rows best, to be measured beside the others; at most one."""
    mixtures = [c for c in choices if len(c.parts) > 1]
    return sorted(mixtures, key=lambda c: -_pr_auc(c.margins, held))[:1]


def simplest(choices: Sequence[Choice], held: Table, recipe: PropensityRecipe) -> Choice:
    """The kind that ranks the held rows best, the simpler of a tie; a mixture only where it is
    ahead of that with 95% confidence: the best of a dozen is ahead a little by chance alone."""
    kinds = [c for c in choices if len(c.parts) == 1]
    best = max(_pr_auc(c.margins, held) for c in kinds)
    tied = (c for c in kinds if _pr_auc(c.margins, held) >= best - _TIE)
    single = min(tied, key=lambda c: c.order)
    mixture = max(choices, key=lambda c: _pr_auc(c.margins, held))
    _, least, _ = difference(
        mixture.margins, single.margins, held.labels, held.customers, recipe.resamples, recipe.seed
    )
    return mixture if len(mixture.parts) > 1 and least > 0 else single


def _best(
    kind: Kind, folds: Folds, recipe: PropensityRecipe, folder: Path, search: Search | None
) -> Tried:
    """The settings of a kind that rank the held rows best."""

    def trial(settings: Mapping[str, Any]) -> Tried:
        name = "-".join([kind, *(f"{k}{v:.6g}" for k, v in settings.items())])
        kept = folder / f"{name}.json"
        if kept.is_file():
            held = json.loads(kept.read_text(encoding="utf-8"))
            return Tried(**held | {"margins": np.array(held["margins"])})
        found = attempt(kind, settings, folds, recipe, folder / name)
        log.info("%s: PR-AUC %.4f", name, found.pr_auc)
        held = asdict(found) | {"margins": found.margins.tolist()}
        replace_file(kept, json.dumps(held).encode())
        return found

    found = [trial(settings) for settings in grid(kind, recipe)]
    if search:
        found += search(kind, trial, folder)
    return max(found, key=lambda tried: tried.pr_auc)


def _model(
    choice: Choice,
    scorers: Mapping[str, Scorer],
    held: Table,
    lesson: Lesson,
    recipe: PropensityRecipe,
    data: str,
) -> Model:
    """The parts of a choice, calibrated by the held rows' margins of before the last fit."""
    slope, shift = calibration(choice.margins, held.labels)
    manifest = Manifest(
        features=NAMES,
        horizon_days=HORIZON_DAYS,
        typical=lesson.scale.typical,
        home=lesson.scale.home,
        parts=choice.parts,
        slope=slope,
        shift=shift,
        likely_from=recipe.likely_from,
        leaving_below=recipe.leaving_below,
        weights_sha256="",
        data_sha256=data,
        recipe=recipe.model_dump(mode="json"),
        training={},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        half_life_days=recipe.half_life_days,
        taste_width=lesson.table.tastes.shape[1] if "network" in choice.parts else 0,
    )
    return Model(manifest, {kind: scorers[kind] for kind in choice.parts})


def _validation(choices: Sequence[Choice], held: Table) -> dict[str, float]:
    """PR-AUC of each kind, and of the best mixture."""
    found: dict[str, float] = {}
    for choice in choices:
        reached = round(_pr_auc(choice.margins, held), 4)
        found[choice.name] = max(reached, found.get(choice.name, 0.0))
    return found


def _pr_auc(margins: Matrix, held: Table) -> float:
    return float(average_precision_score(held.labels, margins))


def _training(tried: Mapping[str, Tried], lesson: Lesson) -> dict[str, Any]:
    """What became of the recipe: the settings and lengths chosen, and how many rows."""
    return {
        "settings": {kind: dict(best.settings) for kind, best in tried.items()},
        "lengths": {kind: best.length for kind, best in tried.items()},
        "rows": len(lesson.refit),
        "test_rows": len(lesson.test),
        "moments": asdict(lesson.moments),
    }
