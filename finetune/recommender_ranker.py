"""Train the ranker: the goods of a customer's next visit before the others.

The loss of a list is the cross-entropy of its goods (ListNet with top-one probabilities: Cao et
al., "Learning to rank: from pairwise approach to listwise approach", ICML 2007). A list holds what
the customer owns, what the strongest features propose, and some of the rest, which stand for all
of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from finetune.errors import DataError
from finetune.recommender_curve import Curved
from finetune.recommender_data import Asked
from finetune.recommender_settings import RecommenderRecipe
from knowledge.recommend.features import NAMES, Context, features
from knowledge.recommend.ranking import Ranker
from knowledge.recommend.types import Floats

_PROPOSE = tuple(
    NAMES.index(name)
    for name in ("own_decayed", "bought_with", "bought_beside", "bought_beside_last", "text",
                 "text_nearest", "sold_14", "sold_30")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lesson:
    """A list to put in order: features (goods, NAMES), which goods were bought (1, else 0), and
    for how many of the shop's goods each stands, as a logarithm."""

    rows: Floats
    bought: Floats
    log_weight: Floats


def lessons_of(
    context: Context, asked: Sequence[Asked], day: int, recipe: RecommenderRecipe
) -> list[Lesson]:
    """A list for each customer asked on a day."""
    found = []
    every = features(context, [a.past for a in asked], day)
    for n, (each, rows) in enumerate(zip(asked, every, strict=True)):
        rng = np.random.default_rng([recipe.seed, day, n])
        count = min(recipe.candidates, len(rows) - 1)
        chosen = np.zeros(len(rows), bool)
        chosen[each.past.owned] = True
        chosen[each.bought] = True
        for feature in _PROPOSE:
            chosen[np.argpartition(-rows[:, feature], count)[:count]] = True
        rest = np.flatnonzero(~chosen)
        drawn = rng.choice(rest, min(recipe.others, len(rest)), replace=False)
        listed = np.concatenate([np.flatnonzero(chosen), drawn])
        weight = np.zeros(len(listed), np.float32)
        weight[len(listed) - len(drawn) :] = np.log(len(rest) / max(1, len(drawn)))
        bought = np.isin(listed, each.bought).astype(np.float32)
        found.append(Lesson(rows[listed], bought, weight))
    return found


class RankerObjective(Curved):
    """The loss of a step over some of the lists. Raises DataError when there is none."""

    def __init__(self, lessons: Sequence[Lesson], recipe: RecommenderRecipe) -> None:
        super().__init__()
        if not lessons:
            raise DataError("no customer came back within horizon_days: nothing to rank by")
        self.lessons, self.recipe = lessons, recipe
        whole = np.concatenate([lesson.rows for lesson in lessons])
        self.mean = whole.mean(0)
        self.scale = np.maximum(whole.std(0), 1e-3)
        torch.manual_seed(recipe.seed)
        self.inner = nn.Linear(len(self.mean), recipe.members * recipe.hidden)
        self.outer = nn.Parameter(torch.randn(recipe.members, recipe.hidden) / recipe.hidden**0.5)
        self.straight = nn.Linear(len(self.mean), recipe.members, bias=False)

    def groups(self) -> list[dict[str, Any]]:
        """See Objective."""
        decay = self.recipe.weight_decay
        learnt = [*self.inner.parameters(), self.outer, *self.straight.parameters()]
        return [{"params": learnt, "lr": self.recipe.ranker_rate, "weight_decay": decay}]

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """See Objective."""
        rng = np.random.default_rng([self.recipe.seed, step])
        drawn = rng.integers(len(self.lessons), size=self.recipe.ranker_batch)
        return self.noted({"list": self.loss([self.lessons[n] for n in drawn])})

    def loss(self, lessons: Iterable[Lesson]) -> Tensor:
        """Mean cross-entropy of lists, over the members as well."""
        rows, bought, weight = (
            nn.utils.rnn.pad_sequence([torch.from_numpy(p) for p in part], True, value)
            for part, value in zip(
                zip(*((t.rows, t.bought, t.log_weight) for t in lessons), strict=True),
                (0.0, 0.0, -1e4),
                strict=True,
            )
        )
        x = (rows - torch.from_numpy(self.mean)) / torch.from_numpy(self.scale)
        hidden = torch.relu(self.inner(x)).reshape(*x.shape[:2], *self.outer.shape)
        scores = (hidden * self.outer).sum(-1) + self.straight(x)  # (lists, goods, members)
        whole = torch.logsumexp(scores + weight.unsqueeze(-1), dim=1, keepdim=True)
        likely = ((scores - whole) * bought.unsqueeze(-1)).sum(1)
        loss: Tensor = -(likely / bought.sum(1, keepdim=True)).mean()
        return loss

    def ranker(self) -> Ranker:
        """The mean of the members, as it is served."""
        members = len(self.outer)
        arrays = {
            "inner": self.inner.weight.T, "bias": self.inner.bias,
            "outer": self.outer.flatten() / members, "straight": self.straight.weight.mean(0),
        }  # fmt: skip
        return Ranker(
            self.mean.astype(np.float32), self.scale.astype(np.float32),
            **{name: t.detach().numpy().astype(np.float32).copy() for name, t in arrays.items()},
        )  # fmt: skip
