"""Train the product reranker: MiniLM with a LoRA adapter that reads (search, product).

The shipped one went on from the reranker's adapter, which has learnt to weigh two texts; a shop's
own goes on from the shipped one.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from finetune.errors import DataError
from finetune.pair_training import (
    SEED,
    PairRecipe,
    encoded,
    network,
    pair_tokenizer,
    train_pairs,
)
from finetune.precision import mixed
from finetune.product_labels import MOST_RELEVANT, Judged, Search, ndcg, rows_of
from finetune.recommender_scores import mean_with_interval
from knowledge.catalogue.promoted import SHIPPED, Manifest, write_manifest
from knowledge.catalogue.reranker import MAX_TOKENS, ProductReranker, Suits
from knowledge.catalogue.types import Product
from knowledge.minilm import adapter_digest
from knowledge.relevance_net import RelevanceNet

_SUITS = MOST_RELEVANT - 1  # a grade from which a product is what was searched for
_OTHERS = 2


def losses_of(
    tokenizer: Tokenizer, net: RelevanceNet, rows: Sequence[Judged]
) -> Mapping[str, Tensor]:
    """Cross-entropy with the gains."""
    device = next(net.parameters()).device
    _, inputs = encoded(tokenizer, rows)
    with mixed(device):
        logits = net(**{name: t.to(device) for name, t in inputs.items()})
    gains = torch.tensor([row.gain for row in rows], device=device)
    loss = functional.binary_cross_entropy_with_logits(logits.float(), gains)
    return {"relevance": loss}


def train_product_reranker(
    out: Path,
    searches: Sequence[Search],
    shelf: Mapping[str, Product],
    start: Path,
    recipe: PairRecipe,
    *,
    resume: bool = False,
) -> None:
    """Go on from the adapter in start. Raises DataError where no search is graded."""
    torch.manual_seed(SEED)

    def rows(rng: random.Random) -> list[Judged]:
        return list(rows_of(searches, shelf, _OTHERS, rng))

    losses = partial(losses_of, pair_tokenizer(MAX_TOKENS))
    train_pairs(network(RelevanceNet, start), losses, rows, out, recipe, resume=resume)


def evaluate_product_reranker(reranker: Suits, searches: Sequence[Search]) -> dict[str, float]:
    """NDCG@10 of the judged products in the reranker's order (of those searches that anything
    suits), and how well a relevance of one half tells what suits from what does not. Raises
    DataError where nothing is to be measured."""
    ndcgs, told, right = [], [], []
    for search in searches:
        products, grades = zip(*search.judged, strict=True)
        relevance = reranker.suits(search.query, products)
        told += (relevance >= 0.5).tolist()
        right += [grade >= _SUITS for grade in grades]
        if max(grades) > 0:
            ndcgs.append(_ndcg(relevance, grades))
    if not ndcgs:
        raise DataError("no product suits any of the searches: there is nothing to measure")
    hits = sum(t and r for t, r in zip(told, right, strict=True))
    return {
        "searches": len(searches),
        "ndcg@10": round(float(np.mean(ndcgs)), 4),
        "precision": round(hits / max(1, sum(told)), 4),
        "recall": round(hits / max(1, sum(right)), 4),
    }


def ahead_of(
    reranker: Suits, other: Suits, searches: Sequence[Search]
) -> tuple[float, float, float]:
    """By how much NDCG@10 is above another's, over searches: the mean and its 95% interval."""
    apart = []
    for search in searches:
        products, grades = zip(*search.judged, strict=True)
        if max(grades) > 0:
            ours, theirs = (each.suits(search.query, products) for each in (reranker, other))
            apart.append(_ndcg(ours, grades) - _ndcg(theirs, grades))
    return mean_with_interval(np.array(apart))


def measured(
    out: Path, learnt: Sequence[Search], held: Sequence[Search], engines: Path
) -> Manifest:
    """Write the manifest of a trained reranker, with what it is worth on searches that were held
    out, if there are any, and whether it is better there than the shipped one."""
    reranker, shipped = (ProductReranker(folder, engines) for folder in (out, SHIPPED))
    manifest = Manifest(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        weights=adapter_digest(out),
        searches=len(learnt),
        graded=sum(len(search.judged) for search in learnt),
        scores=evaluate_product_reranker(reranker, held) if held else {},
        ahead=ahead_of(reranker, shipped, held) if held else None,
    )
    write_manifest(out, manifest)
    return manifest


def held_out(searches: Sequence[Search], share: float) -> tuple[list[Search], list[Search]]:
    """(those to learn from, those to measure on): always the same ones, by their words."""
    learnt: list[Search] = []
    held: list[Search] = []
    for search in searches:
        digest = hashlib.sha256(search.query.casefold().encode()).digest()
        (held if int.from_bytes(digest[:4]) < share * 2**32 else learnt).append(search)
    return learnt, held


def _ndcg(relevance: NDArray[np.float32], grades: Sequence[float]) -> float:
    """Of products in the order of their relevance."""
    order = np.argsort(-relevance, kind="stable")
    return ndcg([grades[row] for row in order], grades)
