"""The network of a propensity model: what was bought, read by the frozen encoder, and the features.

The loop is that of the other readers (`fit`): it warms up early, can be cut off and goes on
exactly, and writes TensorBoard logs. After each epoch the held rows are judged; it stops when their
loss has not got better for a while.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from finetune.fit import Plan, fit
from finetune.propensity_data import Table
from finetune.propensity_settings import PropensityRecipe
from knowledge.propensity.features import Matrix
from knowledge.propensity.scorers import Network, Standard

Settings = Mapping[str, Any]


class _Net(nn.Module):
    """knowledge.propensity.scorers.Network, to be trained."""

    def __init__(self, columns: int, width: int, hidden: int, projected: int, dropout: float):
        super().__init__()
        reads = width and projected
        self.project = nn.Linear(width, projected, bias=False) if reads else None
        self.hidden = nn.Linear(columns + (projected if reads else 0), hidden)
        self.out = nn.Linear(hidden, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, columns: Tensor, tastes: Tensor) -> Tensor:
        """(rows,) log-odds."""
        parts = [columns, self.project(tastes)] if self.project else [columns]
        hidden = functional.relu(self.hidden(self.drop(torch.cat(parts, dim=1))))
        logits: Tensor = self.out(self.drop(hidden)).squeeze(1)
        return logits


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows as the network sees them."""

    columns: Tensor
    tastes: Tensor
    labels: Tensor


class PropensityObjective:
    """The loss of a step; see Objective in fit. `stop_after` epochs it ends, whatever comes."""

    def __init__(
        self,
        learnt: Table,
        held: Table | None,
        settings: Settings,
        recipe: PropensityRecipe,
        stop_after: int | None = None,
    ) -> None:
        self.standard = Standard.of(learnt.features)
        # The vectors are short (a mean of unit vectors); at variance 1 they are learnt from alike.
        self.taste_mean = learnt.tastes.mean(0, dtype=np.float64)
        self.taste_scale = 1 / max(1e-9, float(learnt.tastes.std()) if learnt.tastes.size else 1.0)
        self.rows = self._seen(learnt)
        self.held = held and self._seen(held)
        self.recipe = recipe
        self.stop_after = stop_after
        self.net = _Net(
            learnt.features.shape[1], learnt.tastes.shape[1],
            settings["hidden"], settings["projected"], settings["dropout"],
        )  # fmt: skip
        self.per_epoch = math.ceil(len(learnt) / recipe.batch_size)
        self.course: list[Tensor] = []
        self.best, self.waited = math.inf, 0

    def groups(self) -> list[dict[str, Any]]:
        """See Objective."""
        matrices = [p for p in self.net.parameters() if p.ndim > 1]
        biases = [p for p in self.net.parameters() if p.ndim == 1]
        rate, decay = self.recipe.learning_rate, self.recipe.weight_decay
        return [
            {"params": matrices, "lr": rate, "weight_decay": decay},
            {"params": biases, "lr": rate, "weight_decay": 0.0},
        ]

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """See Objective."""
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.rows.labels))
        start = place * self.recipe.batch_size
        chosen = torch.from_numpy(order[start : start + self.recipe.batch_size])
        self.net.train()
        logits = self.net(self.rows.columns[chosen], self.rows.tastes[chosen])
        return {
            "buys": functional.binary_cross_entropy_with_logits(logits, self.rows.labels[chosen])
        }

    def after(self, step: int) -> bool:
        """See Objective."""
        epoch, place = divmod(step + 1, self.per_epoch)
        if place:
            return True
        if self.held:
            rows = self.held
            self.net.eval()
            with torch.no_grad():
                margins = self.net(rows.columns, rows.tastes)
            loss = float(functional.binary_cross_entropy_with_logits(margins, rows.labels))
            self.course.append(margins)
            self.waited = 0 if loss < self.best else self.waited + 1
            self.best = min(self.best, loss)
            if self.waited >= self.recipe.patience:
                return False
        return self.stop_after is None or epoch < self.stop_after

    def state(self) -> Mapping[str, Any]:
        """See Objective."""
        return {"course": self.course, "best": self.best, "waited": self.waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See Objective."""
        for name, value in state.items():
            setattr(self, name, value)

    def network(self) -> Network:
        """What serving evaluates; the scale of the tastes is in the projection."""
        held = {k: v.double().numpy() for k, v in self.net.state_dict().items()}
        width, columns = len(self.taste_mean), self.rows.columns.shape[1]
        projected = len(held["hidden.weight"].T) - columns
        project = held.get("project.weight", np.zeros((projected, width))).T * self.taste_scale
        return Network(
            self.standard, self.taste_mean, project, held["hidden.weight"].T,
            held["hidden.bias"], held["out.weight"][0], float(held["out.bias"][0]),
        )  # fmt: skip

    def _seen(self, table: Table) -> _Rows:
        tastes = (table.tastes - self.taste_mean) * self.taste_scale
        return _Rows(*(
            torch.from_numpy(np.asarray(part, dtype=np.float32))
            for part in (self.standard(table.features), tastes, table.labels)
        ))  # fmt: skip


def network_margins(
    learnt: Table, held: Table, settings: Settings, recipe: PropensityRecipe, folder: Path
) -> Matrix:
    """(epochs, rows) margins of the held rows after each epoch; a run that was cut off goes on."""
    objective = _trained(learnt, held, settings, recipe, folder, None)
    return np.stack([margins.double().numpy() for margins in objective.course])


def fit_network(
    rows: Table, settings: Settings, recipe: PropensityRecipe, folder: Path, epochs: int
) -> Network:
    """The network after so many epochs over all rows."""
    return _trained(rows, None, settings, recipe, folder, epochs).network()


def _trained(
    learnt: Table,
    held: Table | None,
    settings: Settings,
    recipe: PropensityRecipe,
    folder: Path,
    stop_after: int | None,
) -> PropensityObjective:
    torch.manual_seed(recipe.seed)
    objective = PropensityObjective(learnt, held, settings, recipe, stop_after)
    steps = recipe.epochs * objective.per_epoch
    plan = Plan(steps, recipe.warmup_share, recipe.checkpoint_steps, recipe.seed)
    run = {
        "settings": dict(settings),
        "stop_after": stop_after,
        "learnt": _digest(learnt),
        "held": held and _digest(held),
        "recipe": recipe.model_dump(mode="json"),
    }
    fit(objective, plan, folder, run, resume=True)
    return objective


def _digest(table: Table) -> str:
    digest = hashlib.sha256()
    for part in fields(table):
        digest.update(getattr(table, part.name).tobytes())
    return digest.hexdigest()
