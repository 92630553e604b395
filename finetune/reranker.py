"""Train the reranker: MiniLM with a LoRA adapter that reads (question, text) and points.

It learns from each pair whether the text answers and, where the answer's place is known, where it
stands. BERT cross-encoders: Nogueira and Cho, "Passage re-ranking with BERT", arXiv 1901.04085.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from finetune.errors import DataError
from finetune.fit import (
    Plan,
    Stateless,
    begin,
    finish,
    fit,
    is_finished,
    rows_digest,
    training_folder,
    weights_digest,
)
from finetune.lora import save_headed
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
from knowledge.hanzi import simplified
from knowledge.minilm import (
    ENCODER_ADAPTER,
    HEADS,
    backbone,
    extended_tokenizer,
    minilm_folder,
)
from knowledge.reading_net import ReadingNet

SEED = 20261125
_WARMUP_STEPS = 100
_SMOOTHING = 0.03
_SPAN_WEIGHT = 0.25
_CHINESE_SHARE = 0.08
_PAD_TO = 16  # few shapes: oneDNN compiles its kernels anew for each


@dataclass(frozen=True)
class ReaderRecipe:
    """Passes over the pairs, rows of a batch, the rate of adapter and heads."""

    epochs: int = 1
    batch: int = 48
    rate: float = 5e-4
    seed: int = SEED


def network(base: Any, adapter: Path | None, rank: int = 96) -> ReadingNet:
    """A trainable reader: a new LoRA adapter on the base, or the one in `adapter`."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if adapter:
        net = ReadingNet(PeftModel.from_pretrained(base, adapter, is_trainable=True))
        net.load_heads(adapter)
        return net.to(device)
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=["query", "key", "value", "dense"],
        exclude_modules=r".*pooler.*",
    )
    return ReadingNet(get_peft_model(base, config)).to(device)


def _batches(pairs: Sequence[Pair], size: int, rng: random.Random) -> list[list[Pair]]:
    """Shuffled batches of pairs of about equal length, so that little is padded."""
    order = sorted(pairs, key=lambda p: len(p.question) + len(p.text) + rng.randint(0, 60))
    batches = [list(order[i : i + size]) for i in range(0, len(order), size)]
    rng.shuffle(batches)
    return batches


def inputs_of(tokenizer: Tokenizer, pairs: Sequence[Pair]) -> tuple[dict[str, Tensor], Tensor]:
    """Token ids, and the tokens (rows, 2) where answers begin and end: 0 for no answer, -100 for
    an answer whose place is unknown or was cut off."""
    rows = tokenizer.encode_batch([(simplified(p.question), simplified(p.text)) for p in pairs])
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
    inputs = {
        "input_ids": torch.tensor([r.ids for r in rows]),
        "attention_mask": torch.tensor([r.attention_mask for r in rows]),
        "token_type_ids": torch.tensor([r.type_ids for r in rows]),
    }
    return inputs, torch.tensor(places)


def loss_of(
    net: ReadingNet, inputs: dict[str, Tensor], pairs: Sequence[Pair], places: Tensor
) -> dict[str, Tensor]:
    """Cross-entropy of the relevance and of the places."""
    device = next(net.parameters()).device
    inputs, places = {name: t.to(device) for name, t in inputs.items()}, places.to(device)
    with torch.autocast(device.type, torch.bfloat16):
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


def pair_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer set to cut and pad (question, text) rows for training."""
    tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first")
    tokenizer.enable_padding(pad_to_multiple_of=_PAD_TO)
    return tokenizer


class ReaderObjective(Stateless):
    """The losses of a step over pairs, which are drawn anew for each epoch."""

    def __init__(
        self,
        net: ReadingNet,
        tokenizer: Tokenizer,
        make_pairs: Callable[[random.Random], Sequence[Pair]],
        recipe: ReaderRecipe,
    ) -> None:
        self.net, self.tokenizer, self.recipe = net, pair_tokenizer(tokenizer), recipe
        self._make_pairs = make_pairs
        self._batches = lru_cache(maxsize=1)(self._drawn)
        self.pairs = self._batches(0)
        self.per_epoch = len(self.pairs)
        if not self.per_epoch:
            raise DataError("there is no pair to learn from")
        net.train()

    def groups(self) -> list[dict[str, Any]]:
        """See Objective."""
        parameters = [p for p in self.net.parameters() if p.requires_grad]
        return [{"params": parameters, "lr": self.recipe.rate, "weight_decay": 0.01}]

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """See Objective."""
        epoch, place = divmod(step, self.per_epoch)
        batches = self._batches(epoch)
        batch = batches[place % len(batches)]
        inputs, places = inputs_of(self.tokenizer, batch)
        return loss_of(self.net, inputs, batch, places)

    def _drawn(self, epoch: int) -> list[list[Pair]]:
        rng = random.Random(f"{self.recipe.seed} {epoch}")
        return _batches(self._make_pairs(rng), self.recipe.batch, rng)


def train(
    net: ReadingNet,
    tokenizer: Tokenizer,
    make_pairs: Callable[[random.Random], Sequence[Pair]],
    out: Path,
    recipe: ReaderRecipe,
    *,
    resume: bool = False,
) -> None:
    """Fit on make_pairs and save to out; a run that was cut off goes on with `resume`, and one that
    was finished is left as it is. Raises DataError when there is no pair."""
    if resume and is_finished(out, HEADS):
        return
    objective = ReaderObjective(net, tokenizer, make_pairs, recipe)
    steps = recipe.epochs * objective.per_epoch
    plan = Plan(steps, warmup=min(0.1, _WARMUP_STEPS / steps), seed=recipe.seed)
    run = {
        "recipe": asdict(recipe),
        "pairs": rows_digest(objective.pairs),
        "start": weights_digest(net),
    }
    fit(objective, plan, training_folder(out), run, resume=resume)
    save_headed(net, out)
    finish(out)


@torch.inference_mode()
def relevance_of(net: ReadingNet, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> Any:
    """float32 (pairs,) relevance logits."""
    net.eval()
    device = next(net.parameters()).device
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].question) + len(pairs[i].text))
    logits = np.zeros(len(pairs), dtype=np.float32)
    for first in range(0, len(order), 64):
        rows = order[first : first + 64]
        inputs, _ = inputs_of(tokenizer, [pairs[i] for i in rows])
        with torch.autocast(device.type, torch.bfloat16):
            relevance = net(**{name: t.to(device) for name, t in inputs.items()})[0]
        logits[rows] = relevance.float().cpu().numpy()
    net.train()
    return logits


def scores(net: ReadingNet, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> dict[str, float]:
    """What a shop would see of (question, candidates) pairs by the reader alone.

    `right`: share of answerable questions whose best candidate answers, at the threshold that
    withholds nine tenths of the unanswerable ones; `first`: the same without a threshold.
    """
    return withheld_score(pairs, relevance_of(net, tokenizer, pairs))


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


def train_reranker(
    out: Path,
    material: Material,
    encoder: Encoder,
    data: Path | None,
    *,
    start: Path | None = None,
    epochs: int = 2,
    most: int | None = None,
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
    tokenizer = extended_tokenizer(minilm_folder(), ENCODER_ADAPTER)
    base = partial(backbone, minilm_folder(), ENCODER_ADAPTER)
    if start is None:
        if data is None:
            raise DataError("set FRONTDESK_DATA to the public sets, or give --start an adapter")
        start = out / "public"
        for folder in () if resume else (start, out):
            begin(folder)
        log("stage 1: public question-answer pairs")
        pairs_of = partial(public_pairs, data)
        train(network(base(), None), tokenizer, pairs_of, start, ReaderRecipe(), resume=resume)
    log("stage 2: shops")

    def pairs(rng: random.Random) -> list[Pair]:
        drawn = [p for s in material.shops for p in shop_pairs(s, encoder, rng=rng)]
        if data:
            drawn += chinese_pairs(data, rng, round(_CHINESE_SHARE * len(drawn)))
        return rng.sample(drawn, min(most or len(drawn), len(drawn)))

    train(network(base(), start), tokenizer, pairs, out, ReaderRecipe(epochs), resume=resume)
    unseen = [p for s in material.unseen for p in shop_pairs(s, encoder, negatives=6)]
    return scores(network(base(), out), tokenizer, unseen)
