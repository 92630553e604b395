"""Fit the kinds of model and judge them by validation rows of customers they have not learnt from.

Every kind gets the same rows, the same folds and a grid of its own; how long it is trained (trees,
epochs) is what the folds together say, and the whole is fitted that long again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from finetune.errors import DataError, FinetuneError
from finetune.propensity_data import Table
from finetune.propensity_net import fit_network, network_margins
from finetune.propensity_settings import Kind, PropensityRecipe
from knowledge.propensity.features import Matrix
from knowledge.propensity.forest import Nodes
from knowledge.propensity.scorers import Boosted, Linear, Scorer, Standard

Settings = Mapping[str, Any]
_EVERY = 5  # trees between two looks at the validation loss
_AGREE = 1e-6  # log-odds by which a dumped forest may differ from scikit-learn's


@dataclass(frozen=True, slots=True)
class Folds:
    """What is learnt from and the validation rows, each with the group of its customer."""

    learnt: Table
    held: Table
    learnt_groups: NDArray[np.int64]
    held_groups: NDArray[np.int64]
    count: int

    @classmethod
    def of(cls, learnt: Table, held: Table, count: int, seed: int) -> Folds:
        """Customers dealt to groups at random. Raises DataError for rows of one class only."""
        if not 0 < held.labels.sum() < len(held) or not 0 < learnt.labels.sum() < len(learnt):
            raise DataError("in the orders either everybody buys again, or nobody")
        most = int(max(learnt.customers.max(), held.customers.max())) + 1
        groups = np.random.default_rng(seed).permutation(most) % count
        return cls(learnt, held, groups[learnt.customers], groups[held.customers], count)

    def parts(self) -> Iterator[tuple[int, Table, Table, NDArray[np.bool_]]]:
        """(group, rows to learn from, rows to judge, which of the held these are)."""
        for group in range(self.count):
            judged = self.held_groups == group
            if judged.any():
                learnt = self.learnt.where(self.learnt_groups != group)
                yield group, learnt, self.held.where(judged), judged


@dataclass(frozen=True, slots=True)
class Tried:
    """A kind with some settings: the held rows' margins by models that do not know their customers,
    after `length` trees or epochs (0 where that means nothing), and their PR-AUC."""

    kind: Kind
    settings: Settings
    margins: Matrix
    length: int
    pr_auc: float


def grid(kind: Kind, recipe: PropensityRecipe) -> list[dict[str, Any]]:
    """The settings that are tried of a kind."""
    axes: dict[Kind, dict[str, tuple[Any, ...]]] = {
        "logistic": {"c": recipe.logistic_c},
        "boosting": {
            "leaves": recipe.boosting_leaves, "rows": recipe.boosting_rows, "l2": recipe.boosting_l2
        },
        "network": {
            "hidden": recipe.hidden, "projected": recipe.projected, "dropout": recipe.dropout
        },
    }  # fmt: skip
    names = axes[kind]
    return [dict(zip(names, values, strict=True)) for values in product(*names.values())]


def attempt(
    kind: Kind, settings: Settings, folds: Folds, recipe: PropensityRecipe, folder: Path
) -> Tried:
    """Fit to each group's others and judge the group. `folder` takes what a network's run keeps."""
    if kind == "logistic":
        margins, length = np.zeros(len(folds.held)), 0
        for _, learnt, held, judged in folds.parts():
            margins[judged] = _logistic(learnt, settings, recipe).margins(held.inputs)
    else:
        lengths = recipe.boosting_trees // _EVERY if kind == "boosting" else recipe.epochs
        courses = np.full((max(1, lengths), len(folds.held)), np.nan)
        for group, learnt, held, judged in folds.parts():
            if kind == "boosting":
                course = _boosting_course(learnt, held, settings, recipe)
            else:
                run = folder / f"{group}"
                course = network_margins(learnt, held, settings, recipe, run)
            courses[: len(course), judged] = course
        margins, length = _best_of(courses, folds.held.labels)
        length *= _EVERY if kind == "boosting" else 1
    score = float(average_precision_score(folds.held.labels, margins))
    return Tried(kind, settings, margins, length, score)


def fitted(tried: Tried, rows: Table, recipe: PropensityRecipe, folder: Path) -> Scorer:
    """The model of those settings, on all rows."""
    if tried.kind == "logistic":
        return _logistic(rows, tried.settings, recipe)
    if tried.kind == "boosting":
        return dumped(_boosting(rows, tried.settings, recipe, tried.length), rows)
    return fit_network(rows, tried.settings, recipe, folder, tried.length)


def log_loss(margins: Matrix, labels: NDArray[np.bool_]) -> float:
    """Mean negative log-likelihood, in nats."""
    return float(np.logaddexp(0, np.where(labels, -margins, margins)).mean())


def _best_of(courses: Matrix, labels: NDArray[np.bool_]) -> tuple[Matrix, int]:
    """The margins after the length of least loss, and that length, counted from 1."""
    whole = [n for n, row in enumerate(courses) if not np.isnan(row).any()]
    best = min(whole, key=lambda n: log_loss(courses[n], labels))
    return courses[best], best + 1


def _logistic(rows: Table, settings: Settings, recipe: PropensityRecipe) -> Linear:
    standard = Standard.of(rows.features)
    model = LogisticRegression(C=settings["c"], max_iter=1000, random_state=recipe.seed)
    model.fit(standard(rows.features), rows.labels)
    return Linear(standard, model.coef_[0].astype(float), float(model.intercept_[0]))


def _boosting(rows: Table, settings: Settings, recipe: PropensityRecipe, trees: int) -> Any:
    model = HistGradientBoostingClassifier(
        learning_rate=recipe.boosting_rate,
        max_iter=trees,
        max_leaf_nodes=settings["leaves"],
        min_samples_leaf=settings["rows"],
        l2_regularization=settings["l2"],
        max_features=recipe.boosting_columns,
        early_stopping=False,
        random_state=recipe.seed,
    )
    unknown = np.isnan(rows.features).all(0)  # which scikit-learn cannot cut into bins
    return model.fit(np.where(unknown, 0.0, rows.features), rows.labels)


def _boosting_course(
    learnt: Table, held: Table, settings: Settings, recipe: PropensityRecipe
) -> Matrix:
    """(looks, rows) margins after every few trees."""
    model = _boosting(learnt, settings, recipe, max(_EVERY, recipe.boosting_trees))
    staged = enumerate(model.staged_decision_function(held.features), start=1)
    return np.stack([np.ravel(margins) for n, margins in staged if n % _EVERY == 0])


def dumped(model: Any, rows: Table) -> Boosted:
    """scikit-learn's boosted trees as arrays that need no scikit-learn. Raises FinetuneError should
    a version of it keep them otherwise, so that they would say something else."""
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in Nodes.__slots__}
    start = 0
    for (tree,) in model._predictors:
        nodes = tree.nodes
        leaf = nodes["is_leaf"].astype(bool)
        left, right = (
            np.where(leaf, -1, nodes[side].astype(np.int64) + start).astype(np.int32)
            for side in ("left", "right")
        )
        kept = {
            "feature": nodes["feature_idx"].astype(np.int16),
            "threshold": nodes["num_threshold"].astype(np.float64),
            "missing_left": nodes["missing_go_to_left"].astype(bool),
            "left": left,
            "right": right,
            "value": nodes["value"].astype(np.float64),
            "cover": nodes["count"].astype(np.float64),
            "roots": np.array([start], dtype=np.int32),
        }
        for name, column in kept.items():
            columns[name].append(column)
        start += len(nodes)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    base = float(np.ravel(model._baseline_prediction)[0])
    boosted = Boosted(Nodes.of(joined), base)
    probe = rows.where(np.arange(len(rows)) < 500)
    apart = boosted.margins(probe.inputs) - np.ravel(model.decision_function(probe.features))
    if np.abs(apart).max() > _AGREE:
        raise FinetuneError(
            "this version of scikit-learn keeps its trees otherwise; use 1.5 to 1.9"
        )
    return boosted
