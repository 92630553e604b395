"""Train the text tower: titles of goods that are bought together, or next, come to lie together.

A row is a few goods that a customer bought, and one that was bought with them or at the next visit;
the other rows' goods are its negatives, less what the customer has bought as well, and each is
corrected for how often it is drawn (logQ: Yi et al., "Sampling-bias-corrected neural modeling for
large corpus item recommendations", RecSys 2019). Only the last blocks learn, so what the first ones
make of the titles is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn import functional

from finetune.errors import DataError
from finetune.recommender_curve import Curved
from finetune.recommender_settings import RecommenderRecipe
from knowledge.hanzi import simplified
from knowledge.recommend.statistics import incidence
from knowledge.recommend.tower import mean_pooled, tower_base, tower_tokenizer
from knowledge.recommend.types import Good, Past, Rows

_READ = 64  # titles that the frozen blocks read at a time
_DECAY = 0.8  # what the goods of an earlier visit are drawn with, as against the next one's


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows of a step: `histories` of goods' rows, `targets` (rows,), `customers` (rows,)."""

    histories: tuple[Rows, ...]
    targets: Rows
    customers: Rows


class Draws:
    """Draws rows from visits; equal seeds draw equal rows. Raises DataError when no visit has two
    goods or follows another."""

    def __init__(self, held: Mapping[str, Past], count: int, recipe: RecommenderRecipe) -> None:
        self.recipe = recipe
        self._pasts = list(held.values())
        self._places = [
            (n, visit)
            for n, past in enumerate(self._pasts)
            for visit, rows in enumerate(past.rows)
            if visit or len(rows) > 1
        ]
        if not self._places:
            raise DataError("no customer bought two things: there is nothing to learn from")
        self.bought = incidence([past.owned for past in self._pasts], count)
        drawn = np.zeros(count)
        for n, visit in self._places:
            rows = self._pasts[n].rows[visit]
            drawn[rows] += 1 / (len(rows) * len(self._places))
        self.log_drawn = np.log(np.maximum(drawn, 1e-12)).astype(np.float32)

    def draw(self, step: int) -> Drawn:
        """The rows of a step."""
        recipe, rng = self.recipe, np.random.default_rng([self.recipe.seed, step])
        chosen = rng.integers(len(self._places), size=recipe.tower_batch)
        histories, targets, customers = [], [], []
        for place in chosen:
            n, visit = self._places[place]
            past = self._pasts[n]
            rows = past.rows[visit]
            target = rng.choice(rows)
            beside = rows[rows != target]
            same = len(beside) and (not visit or rng.random() < recipe.same_visit_share)
            histories.append(
                self._some(beside, np.ones(len(beside)), rng)
                if same
                else self._earlier(past, visit, rng)
            )
            targets.append(target)
            customers.append(n)
        return Drawn(tuple(histories), np.array(targets), np.array(customers))

    def _earlier(self, past: Past, visit: int, rng: np.random.Generator) -> Rows:
        rows = np.concatenate(past.rows[:visit])
        ages = np.concatenate([np.full(len(r), visit - n) for n, r in enumerate(past.rows[:visit])])
        return self._some(rows, _DECAY**ages, rng)

    def _some(self, rows: Rows, weights: Any, rng: np.random.Generator) -> Rows:
        count = min(self.recipe.history, len(rows))
        return np.unique(rng.choice(rows, count, replace=False, p=weights / weights.sum()))


class TowerObjective(Curved):
    """The loss of a step; see the module."""

    def __init__(
        self, goods: Sequence[Good], held: Mapping[str, Past], recipe: RecommenderRecipe
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.draws = Draws(held, len(goods), recipe)
        base = tower_base()
        first = len(base.encoder.layer) - recipe.layers
        self.hidden, self.mask = _frozen_part(base, first, [good.text for good in goods])
        config = LoraConfig(
            r=recipe.rank,
            lora_alpha=2 * recipe.rank,
            target_modules=["query", "key", "value", "dense"],
            layers_to_transform=list(range(first, first + recipe.layers)),
            layers_pattern="layer",
        )
        self.model = get_peft_model(base, config)
        self.blocks = self.model.base_model.model.encoder.layer[first:]
        self.model.train()

    def groups(self) -> list[dict[str, Any]]:
        """See Objective."""
        learnt = [p for p in self.model.parameters() if p.requires_grad]
        decay = self.recipe.weight_decay
        return [{"params": learnt, "lr": self.recipe.tower_rate, "weight_decay": decay}]

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """See Objective."""
        return self.noted({"next": self.loss(self.draws.draw(step))})

    def loss(self, drawn: Drawn) -> Tensor:
        """Cross-entropy of each row's good among those of all rows."""
        lengths = [len(history) for history in drawn.histories]
        wanted, place = np.unique(
            np.concatenate([*drawn.histories, drawn.targets]), return_inverse=True
        )
        vectors = self.vectors(torch.from_numpy(wanted))[torch.from_numpy(place)]
        owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        summed = vectors.new_zeros(len(lengths), vectors.shape[1])
        customers = functional.normalize(
            summed.index_add(0, owner, vectors[: sum(lengths)]), dim=-1
        )
        cosine = customers @ vectors[sum(lengths) :].T
        logits = cosine / self.recipe.temperature
        logits = logits - torch.from_numpy(self.draws.log_drawn[drawn.targets])
        logits = logits.masked_fill(torch.from_numpy(self._also_bought(drawn)), -1e4)
        return functional.cross_entropy(logits, torch.arange(len(lengths)))

    def _also_bought(self, drawn: Drawn) -> Any:
        """bool (rows, rows): what is no negative of a row, since its customer bought it too."""
        bought = self.draws.bought[drawn.customers][:, drawn.targets].toarray() > 0
        np.fill_diagonal(bought, False)
        return bought

    def vectors(self, rows: Tensor) -> Tensor:
        """(goods, width) unit vectors of the goods in these rows."""
        mask = self.mask[rows]
        length = int(mask.sum(1).max())
        mask = mask[:, :length]
        hidden = self.hidden[rows, :length]
        hidden = _through(self.blocks, hidden, mask)
        vectors: Tensor = mean_pooled(hidden, mask)
        return vectors


@torch.no_grad()
def _frozen_part(base: Any, first: int, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """What the first blocks make of texts, (texts, tokens, width), and the mask (texts, tokens)."""
    tokens = tower_tokenizer().encode_batch([simplified(text) for text in texts])
    ids = torch.tensor([t.ids for t in tokens])
    mask = torch.tensor([t.attention_mask for t in tokens])
    hidden = []
    for start in range(0, len(ids), _READ):
        rows = slice(start, start + _READ)
        embedded = base.embeddings(input_ids=ids[rows])
        hidden.append(_through(base.encoder.layer[:first], embedded, mask[rows]))
    return torch.cat(hidden), mask


def _through(blocks: Any, hidden: Tensor, mask: Tensor) -> Tensor:
    """Hidden states through transformer blocks; what is masked is not attended to."""
    added = torch.zeros(mask.shape).masked_fill(mask == 0, torch.finfo(torch.float32).min)
    for block in blocks:
        hidden = block(hidden, added[:, None, None, :])
    return hidden
