"""The plain recipe: BERT reads what a customer bought and a title as a pair, and says whether it is
bought next. On a sample, since a pair takes as long as embedding twenty titles.

A cross-encoder (MiniLM with LoRA and a head) learns from next visits before the test days: up to
four goods of each visit, and as many others, half of them popular. Then it reorders the 50 goods
that the recommender finds best.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from finetune.pair_training import PairRecipe, encoded, network, pair_tokenizer, train_pairs
from finetune.recommender_data import Asked, asked_on
from finetune.recommender_scores import Measured, measure
from knowledge.recommend.ranking import best
from knowledge.recommend.types import Good, Past, Rows
from knowledge.relevance_net import RelevanceNet

if TYPE_CHECKING:
    from benchmarks.recommendations import Contest

_TITLES, _MAX_TOKENS = 10, 128  # of a history, the latest; of a pair
_EACH, _ROWS, _CANDIDATES = 4, 3600, 50
_SEED = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A history, a title, and whether it was bought at the next visit."""

    texts: tuple[str, str]
    bought: bool


def reordered(contest: Contest, customers: int, folder: Path) -> dict[str, Measured]:
    """Scores on a sample of the test customers: the recommender's best fifty in its own order, in
    the cross-encoder's, and in that of both."""
    goods, day = contest.model.goods, contest.test.day
    held = contest.known.held
    learnt = [each for back in (45, 75, 105) for each in asked_on(held, day - back, 45)]
    sold = np.asarray(contest.model.context.statistics.customers[-1])
    torch.manual_seed(_SEED)
    net = network(RelevanceNet, rank=32)
    losses = partial(losses_of, pair_tokenizer(_MAX_TOKENS))
    make = partial(rows_of, learnt, goods, sold)
    train_pairs(net, losses, make, folder, PairRecipe(epochs=1, batch=48, rate=3e-4), resume=True)
    net = network(RelevanceNet, folder).eval()
    rng = random.Random(_SEED)
    chosen = rng.sample(range(len(contest.test.asked)), min(customers, len(contest.test.asked)))
    orders: dict[str, list[Rows]] = {"recommender": [], "pair": [], "both": []}
    for n in tqdm(chosen, file=sys.stderr):
        first = best(contest.scores[n], _CANDIDATES)
        text = history_text(contest.test.asked[n].past, goods)
        read = read_pairs(net, text, [goods[row] for row in first])
        places = np.argsort(np.argsort(-read))
        orders["recommender"].append(first)
        orders["pair"].append(first[np.argsort(-read, kind="stable")])
        orders["both"].append(first[np.argsort(places + np.arange(len(first)), kind="stable")])
    bought = [contest.test.asked[n].bought for n in chosen]
    return {name: measure(order, bought) for name, order in orders.items()}


def rows_of(
    learnt: Sequence[Asked], goods: Sequence[Good], sold: Any, rng: random.Random
) -> list[Row]:
    """Rows to learn from, as many bought as not."""
    rows: list[Row] = []
    popular = list(range(len(goods)))
    for each in rng.sample(list(learnt), len(learnt)):
        bought = rng.sample(each.bought.tolist(), min(_EACH, len(each.bought)))
        others = rng.choices(popular, sold + 1e-9, k=len(bought) // 2)
        others += rng.choices(popular, k=len(bought) - len(others))
        text = history_text(each.past, goods)
        rows += [Row((text, goods[row].text), True) for row in bought]
        rows += [Row((text, goods[row].text), False) for row in others if row not in each.bought]
    return rows[:_ROWS]


def history_text(past: Past, goods: Sequence[Good]) -> str:
    """The titles bought last, the latest visit first, each once."""
    latest = dict.fromkeys(int(row) for rows in reversed(past.rows) for row in rows)
    return "; ".join(goods[row].text for row in list(latest)[:_TITLES])


def losses_of(tokenizer: Tokenizer, net: RelevanceNet, rows: Sequence[Row]) -> Mapping[str, Tensor]:
    """Cross-entropy of what was bought."""
    _, inputs = encoded(tokenizer, rows)
    labels = torch.tensor([float(row.bought) for row in rows])
    return {"bought": functional.binary_cross_entropy_with_logits(net(**inputs), labels)}


@torch.inference_mode()
def read_pairs(net: RelevanceNet, history: str, candidates: Sequence[Good]) -> Any:
    """float32 (candidates,) logits."""
    rows = [Row((history, good.text), False) for good in candidates]
    _, inputs = encoded(pair_tokenizer(_MAX_TOKENS), rows)
    return net(**inputs).numpy()
