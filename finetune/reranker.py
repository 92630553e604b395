"""Train the reranker: MiniLM with a LoRA adapter that reads (question, text) and points.

It learns from each pair whether the text answers and, where the answer's place is known, where it
stands. BERT cross-encoders: Nogueira and Cho, "Passage re-ranking with BERT", arXiv 1901.04085.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from finetune.errors import DataError
from finetune.fit import begin
from finetune.pair_training import (
    SEED,
    PairRecipe,
    encoded,
    network,
    pair_tokenizer,
    train_pairs,
)
from finetune.precision import mixed
from finetune.reranker_data import (
    Material,
    Pair,
    grounded_pairs,
    require_both_kinds,
    shop_pairs,
    squad_pairs,
)
from knowledge.cross_encoder import MAX_TOKENS
from knowledge.encoder import Encoder
from knowledge.reading_net import ReadingNet

_SMOOTHING = 0.03
_SPAN_WEIGHT = 0.25
_CHINESE_SHARE = 0.08
_SMOOTHED = 0.3  # exponent of the languages' shares


def inputs_of(tokenizer: Tokenizer, pairs: Sequence[Pair]) -> tuple[dict[str, Tensor], Tensor]:
    """What the network takes, and the tokens (rows, 2) where answers begin and end: 0 for no
    answer, -100 for an answer whose place is unknown or was cut off."""
    rows, inputs = encoded(tokenizer, pairs)
    places = []
    for pair, row in zip(pairs, rows, strict=True):
        place = (0, 0) if not pair.label else (-100, -100)
        if pair.span:
            inside = [
                n
                for n, ((a, b), kind) in enumerate(zip(row.offsets, row.type_ids, strict=True))
                if kind == 1 and a < pair.span[1] and b > pair.span[0] and b > a
            ]
            place = (inside[0], inside[-1]) if inside else place
        places.append(place)
    return inputs, torch.tensor(places)


def losses_of(tokenizer: Tokenizer, net: ReadingNet, pairs: Sequence[Pair]) -> Mapping[str, Tensor]:
    """Cross-entropy of the relevance and of the places."""
    device = next(net.parameters()).device
    inputs, places = inputs_of(tokenizer, pairs)
    inputs, places = {name: t.to(device) for name, t in inputs.items()}, places.to(device)
    with mixed(device):
        relevance, start, end = net(**inputs)
    labels = torch.tensor([float(p.label) for p in pairs], device=device)
    labels = labels * (1 - 2 * _SMOOTHING) + _SMOOTHING
    losses = {"relevance": functional.binary_cross_entropy_with_logits(relevance.float(), labels)}
    allowed = (inputs["token_type_ids"] == 1) & (inputs["attention_mask"] == 1)
    allowed[:, 0] = True
    if (places != -100).any():
        ends = zip(("start", "end"), (start, end), places.unbind(1), strict=True)
        for name, logits, place in ends:
            masked = logits.float().masked_fill(~allowed, -1e4)
            losses[name] = _SPAN_WEIGHT * functional.cross_entropy(masked, place)
    return losses


def train_reader(
    net: ReadingNet,
    make_pairs: Callable[[random.Random], Sequence[Pair]],
    out: Path,
    recipe: PairRecipe,
    *,
    resume: bool = False,
) -> None:
    """See train_pairs."""
    losses = partial(losses_of, pair_tokenizer(MAX_TOKENS))
    train_pairs(net, losses, make_pairs, out, recipe, resume=resume)


@torch.inference_mode()
def relevance_of(net: ReadingNet, pairs: Sequence[Pair]) -> Any:
    """float32 (pairs,) relevance logits."""
    net.eval()
    tokenizer = pair_tokenizer(MAX_TOKENS)
    device = next(net.parameters()).device
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].question) + len(pairs[i].text))
    logits = np.zeros(len(pairs), dtype=np.float32)
    for first in range(0, len(order), 64):
        rows = order[first : first + 64]
        inputs, _ = inputs_of(tokenizer, [pairs[i] for i in rows])
        with mixed(device):
            relevance = net(**{name: t.to(device) for name, t in inputs.items()})[0]
        logits[rows] = relevance.float().cpu().numpy()
    net.train()
    return logits


def scores(net: ReadingNet, pairs: Sequence[Pair]) -> dict[str, float]:
    """What a shop would see of (question, candidates) pairs by the reader alone.

    `right`: share of answerable questions whose best candidate answers, at the threshold that
    withholds nine tenths of the unanswerable ones; `first`: the same without a threshold.
    """
    return withheld_score(pairs, relevance_of(net, pairs))


def withheld_score(pairs: Iterable[Pair], logits: Iterable[float]) -> dict[str, float]:
    """See scores."""
    best: dict[tuple[str, int], tuple[float, int]] = {}
    answerable: dict[tuple[str, int], bool] = {}
    for pair, logit in zip(pairs, logits, strict=True):
        key = (pair.source, pair.group)
        best[key] = max(best.get(key, (-99.0, 0)), (float(logit), pair.label))
        answerable[key] = answerable.get(key, False) or bool(pair.label)
    wrong = [best[k][0] for k in best if not answerable[k]]
    threshold = float(np.quantile(wrong, 0.9))
    asked = [best[k] for k in best if answerable[k]]
    return {
        "right": round(float(np.mean([label and logit > threshold for logit, label in asked])), 3),
        "first": round(float(np.mean([label for _, label in asked])), 3),
    }


def public_pairs(data: Path, rng: random.Random) -> list[Pair]:
    """Stage one: pairs from public question-answer sets below FRONTDESK_DATA."""
    pairs = list(squad_pairs(data / "data/squad2_half_dev", rng))
    pairs += squad_pairs(data / "data/xquad", rng, "en")
    pairs += grounded_pairs(data / "corpora/english_grounded.jsonl.zst", rng, 0.12)
    rng.shuffle(pairs)
    return pairs


def chinese_pairs(data: Path, rng: random.Random, count: int) -> list[Pair]:
    """Chinese question-answer pairs for stage two, where the reader learns to read Chinese."""
    pairs = list(grounded_pairs(data / "corpora/chinese_grounded.jsonl.zst", rng, 0.05))
    pairs += squad_pairs(data / "data/cmrc2018", rng)
    return rng.sample(pairs, min(count, len(pairs)))


def among_languages(
    drawn: Mapping[str, Sequence[Pair]], most: int | None, rng: random.Random
) -> list[Pair]:
    """All pairs, or `most` of them, of which languages that have few get more than their share
    (Conneau et al., "Unsupervised cross-lingual representation learning at scale", arXiv
    1911.02116, section 3.1)."""
    if most is None:
        return [pair for pairs in drawn.values() for pair in pairs]
    shares = {language: len(pairs) ** _SMOOTHED for language, pairs in drawn.items()}
    whole = sum(shares.values())
    return [
        pair
        for language, pairs in drawn.items()
        for pair in rng.sample(list(pairs), min(len(pairs), round(most * shares[language] / whole)))
    ]


def train_reranker(
    out: Path,
    material: Material,
    encoder: Encoder,
    data: Path | None,
    *,
    start: Path | None = None,
    epochs: int = 2,
    most: int | None = None,
    rate: float = PairRecipe.rate,
    resume: bool = False,
    log: Callable[[str], object] = print,
) -> dict[str, float]:
    """Public pairs (or an earlier adapter, `start`), then shops full of near misses, at most
    `most` pairs of them an epoch.

    Returns the scores on the unseen shops. Raises DataError when there is nothing to start from
    or to score.
    """
    require_both_kinds(material.unseen)
    torch.manual_seed(SEED)
    if start is None:
        if data is None:
            raise DataError("set FRONTDESK_DATA to the public sets, or give --start an adapter")
        start = out / "public"
        for folder in () if resume else (start, out):
            begin(folder)
        log("stage 1: public question-answer pairs")
        pairs_of = partial(public_pairs, data)
        train_reader(network(ReadingNet), pairs_of, start, PairRecipe(), resume=resume)
    log("stage 2: shops")

    def pairs(rng: random.Random) -> list[Pair]:
        drawn: dict[str, list[Pair]] = {}
        for shop in material.shops:
            drawn.setdefault(shop.language, []).extend(shop_pairs(shop, encoder, rng=rng))
        if data:
            count = round(_CHINESE_SHARE * sum(map(len, drawn.values())))
            drawn.setdefault("zh", []).extend(chinese_pairs(data, rng, count))
        return among_languages(drawn, most, rng)

    recipe = PairRecipe(epochs, rate=rate)
    train_reader(network(ReadingNet, start), pairs, out, recipe, resume=resume)
    unseen = [p for s in material.unseen for p in shop_pairs(s, encoder, negatives=6)]
    return scores(network(ReadingNet, out), unseen)
