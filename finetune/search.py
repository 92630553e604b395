"""Search an adapter's rank, learning rate and targets, by the loss of the replies kept back.

Optuna's tree-structured Parzen estimator (Bergstra et al., NIPS 2011) proposes; a trial is a short
run. Trials are kept beside the adapter, and an interrupted search goes on with them.
"""

from __future__ import annotations

import logging
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from finetune.errors import DataError, RecipeError
from finetune.evaluate import validation_loss
from finetune.examples import examples_of
from finetune.fit import training_folder
from finetune.processes import processes
from finetune.rows import load_rows
from finetune.settings import AdapterRecipe
from finetune.train import train_adapter

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

_SHARE = 0.2  # of the whole run's steps, in a trial
_LEAST_STEPS = 20
_RANKS = (4, 8, 16, 32)
_TARGETS = {
    "all-linear": "all-linear",
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "feed-forward": ("gate_proj", "up_proj", "down_proj"),
}


def best_recipe(
    data: Path, out: Path, base: str | Path, recipe: AdapterRecipe, trials: int
) -> AdapterRecipe:
    """The recipe, with what did best in so many trials; written to `search.yaml` beside the logs.

    Raises RecipeError without optuna, DataError without dialogues for validation, and FinetuneError
    as train_adapter does.
    """
    try:
        import optuna
    except ImportError as error:
        raise RecipeError("--search needs the package optuna: pip install optuna") from error
    if processes().num_processes > 1:
        raise RecipeError("--search tries recipes in one process; then train the best with several")
    if not load_rows(data, "validation"):
        raise DataError(f"{data} keeps no dialogue for validation, which --search compares by")
    whole = recipe.total_steps(_examples(data))
    folder = training_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'search.db'}",
        study_name=f"{recipe.method} {recipe.seed}",
        sampler=optuna.samplers.TPESampler(seed=recipe.seed),
        load_if_exists=True,
    )

    def objective(trial: optuna.Trial) -> float:
        tried = _proposed(trial, recipe, whole)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            train_adapter(data, Path(work) / "adapter", base, tried)
            loss = validation_loss(data, base, Path(work) / "adapter")
        log.info("trial %d: loss %.4f with %s", trial.number, loss, trial.params)
        return loss

    done = len([t for t in study.trials if t.state.is_finished()])
    study.optimize(objective, n_trials=max(0, trials - done))
    best = _changed(recipe, study.best_params)
    chosen = best.model_dump(mode="json", exclude_defaults=True)
    (folder / "search.yaml").write_text(yaml.safe_dump(chosen, sort_keys=False))
    log.info("best of %d: loss %.4f with %s", trials, study.best_value, study.best_params)
    return best


def _proposed(trial: optuna.Trial, recipe: AdapterRecipe, whole: int) -> AdapterRecipe:
    """What a trial runs: the recipe of `whole` steps, shorter and with other values."""
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    if recipe.method == "prefix":
        trial.suggest_categorical("virtual_tokens", [8, 16, 32])
    else:
        trial.suggest_categorical("rank", list(_RANKS))
        trial.suggest_categorical("targets", list(_TARGETS))
    steps = max(_LEAST_STEPS, math.ceil(_SHARE * whole))
    return _changed(recipe, trial.params).model_copy(update={"max_steps": min(whole, steps)})


def _changed(recipe: AdapterRecipe, values: dict[str, object]) -> AdapterRecipe:
    """The recipe with a search's values; AdaLoRA starts with half as many ranks again."""
    changes = dict(values)
    if targets := changes.pop("targets", None):
        changes["target_modules"] = _TARGETS[str(targets)]
    if recipe.method == "adalora" and "rank" in changes:
        changes["initial_rank"] = int(str(changes["rank"])) * 3 // 2
    return AdapterRecipe.model_validate(recipe.model_dump() | changes)


def _examples(data: Path) -> int:
    count = sum(1 for _ in examples_of(load_rows(data, "train")))
    if not count:
        raise DataError(f"{data} has no training dialogue in which an agent replies")
    return count
