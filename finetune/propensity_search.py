"""Try more settings of a kind than its grid, by validation PR-AUC.

Optuna's tree-structured Parzen estimator (Bergstra et al., NIPS 2011) proposes. Trials are kept
beside the model, and an interrupted search goes on with them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.errors import RecipeError
from finetune.propensity_models import Tried
from finetune.propensity_settings import Kind

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)
Try = Callable[[Mapping[str, Any]], Tried]


class OptunaSearch:
    """So many trials of each kind. Raises RecipeError without optuna."""

    def __init__(self, trials: int, seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            raise RecipeError("--search needs the package optuna: pip install optuna") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.trials, self.seed = trials, seed

    def __call__(self, kind: Kind, attempt: Try, folder: Path) -> Sequence[Tried]:
        """The attempts that were proposed."""
        import optuna

        study = optuna.create_study(
            storage=f"sqlite:///{folder / 'search.db'}",
            study_name=kind,
            sampler=optuna.samplers.TPESampler(seed=self.seed),
            direction="maximize",
            load_if_exists=True,
        )
        study.optimize(
            lambda trial: attempt(_proposed(trial, kind)).pr_auc,
            n_trials=max(0, self.trials - len([t for t in study.trials if t.state.is_finished()])),
        )
        done = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
        return [attempt(_settings(kind, t.params)) for t in done]


def _proposed(trial: optuna.Trial, kind: Kind) -> dict[str, Any]:
    """The settings of a trial, in the ranges that are searched."""
    if kind == "logistic":
        trial.suggest_float("c", 1e-4, 10.0, log=True)
    elif kind == "boosting":
        trial.suggest_int("leaves", 3, 48, log=True)
        trial.suggest_int("rows", 5, 300, log=True)
        trial.suggest_float("l2", 0.1, 100.0, log=True)
    else:
        trial.suggest_int("hidden", 8, 96, log=True)
        trial.suggest_categorical("projected", [0, 4, 8, 16])
        trial.suggest_float("dropout", 0.0, 0.6)
    return _settings(kind, trial.params)


def _settings(kind: Kind, params: Mapping[str, Any]) -> dict[str, Any]:
    """In the order of the grid, so that equal settings are one attempt."""
    names = {"logistic": ("c",), "boosting": ("leaves", "rows", "l2"),
             "network": ("hidden", "projected", "dropout")}[kind]  # fmt: skip
    return {name: params[name] for name in names}
