"""Teach the encoder another language and the questions of shops.

Distillation over parallel sentences (Reimers and Gurevych, arXiv 2004.09813): the student embeds
the other language where the teacher, the checkpoint as it came, embeds the English. At each step a
handful of questions of one shop are drawn to the passages that answer them, and away from each
other's and from the nearest that do not answer. Trained are the vectors of the added tokens and a
LoRA adapter.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from finetune.lora import save_adapter
from finetune.reranker_data import Shop, answers, shop_chunks
from finetune.vocabulary import frequent_tokens, starting_vectors, translation_table
from knowledge.encoder import Encoder
from knowledge.minilm import (
    EMBEDDINGS,
    VOCABULARY,
    add_tokens,
    backbone,
    extended_tokenizer,
    minilm_folder,
)
from knowledge.places import with_countries

_TEMPERATURE = 0.05
_PAD_TO = 8
_MAX_TOKENS = 128
_NEAR_MISSES = 8


@dataclass(frozen=True)
class Recipe:
    """Sizes of a step and learning rates."""

    steps: int = 480
    parallel: int = 56
    english: int = 12
    questions: int = 9
    rank: int = 32
    embedding_rate: float = 1e-3
    adapter_rate: float = 3e-4
    seed: int = 20261125


class TwoPartEmbedding(nn.Module):
    """Frozen vectors of the checkpoint and trained ones of the added tokens."""

    old: Tensor

    def __init__(self, old: Tensor, new: Tensor) -> None:
        super().__init__()
        self.register_buffer("old", old)
        self.new = nn.Parameter(new.clone())

    def forward(self, ids: Tensor) -> Tensor:
        """(rows, tokens) ids to (rows, tokens, width)."""
        count = len(self.old)
        first = functional.embedding(ids.clamp(max=count - 1), self.old)
        second = functional.embedding((ids - count).clamp(min=0), self.new)
        return torch.where((ids < count).unsqueeze(-1), first, second)


@dataclass(frozen=True, slots=True)
class AddedWords:
    """Tokens to add and where their vectors start, float32 (tokens, width)."""

    tokens: list[str]
    vectors: NDArray[np.float32]


def added_words(texts: Iterable[str], pairs: Sequence[tuple[str, str]], count: int) -> AddedWords:
    """Frequent tokens of texts, their vectors drawn from pairs (foreign, English)."""
    tokenizer = extended_tokenizer(minilm_folder(), None)
    first_new = tokenizer.get_vocab_size()
    tokens = frequent_tokens(texts, tokenizer.get_vocab(), count)
    add_tokens(tokenizer, tokens)

    def ids(side: int) -> list[list[int]]:
        return [
            e.ids
            for e in tokenizer.encode_batch([p[side] for p in pairs], add_special_tokens=False)
        ]

    foreign = [[i for i in row if i >= first_new] for row in ids(0)]
    table = translation_table(foreign, ids(1))
    old = backbone(minilm_folder(), None).embeddings.word_embeddings.weight.data.numpy()
    return AddedWords(tokens, starting_vectors(tokens, tokenizer, table, old))


def words_of(folder: Path) -> AddedWords:
    """The tokens and vectors that an earlier training wrote."""
    tokens = json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))
    return AddedWords(tokens, load_file(folder / EMBEDDINGS)["embeddings"].float().numpy())


def student(
    words: AddedWords, rank: int, start: Path | None = None
) -> tuple[Any, TwoPartEmbedding]:
    """The checkpoint with the added tokens and a new LoRA adapter, or that of `start`."""
    model = backbone(minilm_folder(), None)
    old = model.embeddings.word_embeddings.weight.data
    embedding = TwoPartEmbedding(old, torch.from_numpy(words.vectors))
    model.embeddings.word_embeddings = embedding
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=["query", "key", "value", "dense"],
    )
    if start:
        return PeftModel.from_pretrained(model, start, is_trainable=True), embedding
    model = get_peft_model(model, config)
    embedding.new.requires_grad_(True)
    return model, embedding


def embed(model: Any, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """(texts, width) mean-pooled unit vectors."""
    rows = tokenizer.encode_batch(list(texts))
    ids = torch.tensor([r.ids for r in rows])
    mask = torch.tensor([r.attention_mask for r in rows])
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).float()
    return functional.normalize((hidden.float() * weights).sum(1) / weights.sum(1), dim=-1)


def contrast(left: Tensor, right: Tensor, misses: Tensor | None = None) -> Tensor:
    """InfoNCE in both directions: row i of left belongs to row i of right, none to `misses`."""
    similarity = left @ right.T / _TEMPERATURE
    target = torch.arange(len(left))
    wide = similarity
    if misses is not None:
        wide = torch.cat([similarity, left @ misses.T / _TEMPERATURE], dim=1)
    return (
        functional.cross_entropy(wide, target) + functional.cross_entropy(similarity.T, target)
    ) / 2


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, the first chunk that holds its facts, and the nearest chunks that do not."""

    question: str
    chunk: str
    document: str
    misses: tuple[str, ...]


def answered_questions(shop: Shop, encoder: Encoder) -> list[Answered]:
    """The shop's questions that a chunk answers; `encoder` says which other chunks are near."""
    chunks = shop_chunks(shop)
    vectors = encoder.embed([c.indexed_text for c in chunks])
    questions = [with_countries(q.text) for q in shop.questions]
    found = []
    for question, text, vector in zip(
        shop.questions, questions, encoder.embed(questions), strict=True
    ):
        right = [answers(c, question) for c in chunks]
        if any(right):
            near = [chunks[n].indexed_text for n in np.argsort(-(vectors @ vector)) if not right[n]]
            first = chunks[right.index(True)]
            found.append(
                Answered(text, first.indexed_text, first.document_id, tuple(near[:_NEAR_MISSES]))
            )
    return found


def draw_questions(answered: Sequence[Answered], count: int, rng: random.Random) -> list[Answered]:
    """Questions of one shop that are answered by different documents."""
    chosen: dict[str, Answered] = {}
    for each in rng.sample(answered, len(answered)):
        if len(chosen) < count:
            chosen.setdefault(each.document, each)
    return list(chosen.values())


def questions_loss(
    model: Any, tokenizer: Tokenizer, drawn: Sequence[Answered], rng: random.Random
) -> Tensor:
    """InfoNCE of the drawn questions, with one near miss of each that answers none of them."""
    right = [a.chunk for a in drawn]
    misses = {rng.choice(a.misses) for a in drawn if a.misses} - set(right)
    found = embed(model, tokenizer, [a.question for a in drawn])
    passages = embed(model, tokenizer, right + sorted(misses))
    return contrast(found, passages[: len(right)], passages[len(right) :])


def train_encoder(
    out: Path,
    words: AddedWords,
    pairs: Sequence[tuple[str, str]],
    shops: Sequence[Sequence[Answered]],
    recipe: Recipe,
    *,
    start: Path | None = None,
    log: Callable[[str], object] = print,
) -> None:
    """Fit on pairs (foreign, English) and the questions of shops, a shop being drawn as often as
    it has questions; write the adapter to out.

    With `start`, an earlier result, only its adapter is trained further: what else was trained on
    the vectors of its tokens, the reranker, stays valid.
    """
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)
    teacher, plain = backbone(minilm_folder(), None), extended_tokenizer(minilm_folder(), None)
    model, embedding = student(words, recipe.rank, start)
    sizes = [len(shop) for shop in shops]
    tokenizer = extended_tokenizer(minilm_folder(), None)
    add_tokens(tokenizer, words.tokens)
    for each in (plain, tokenizer):
        each.enable_truncation(_MAX_TOKENS)
        each.enable_padding(pad_to_multiple_of=_PAD_TO)
    adapter = [p for p in model.parameters() if p.requires_grad and p is not embedding.new]
    optimizer = torch.optim.AdamW(
        [
            {"params": [embedding.new], "lr": recipe.embedding_rate, "weight_decay": 0.0},
            {"params": adapter, "lr": recipe.adapter_rate, "weight_decay": 0.01},
        ]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min((s + 1) / 50, 0.5 * (1 + math.cos(math.pi * s / recipe.steps))),
    )
    model.train()
    started, running = time.monotonic(), torch.zeros(3)
    for step in range(1, recipe.steps + 1):
        batch = rng.sample(pairs, recipe.parallel)
        kept = [e for _, e in batch[: recipe.english]]
        english = [e for _, e in batch]
        with torch.no_grad():
            target = embed(teacher, plain, english)
        found = embed(model, tokenizer, [f for f, _ in batch] + kept)
        foreign, same = found[: len(batch)], found[len(batch) :]
        (shop,) = rng.choices(shops, sizes)
        drawn = draw_questions(shop, recipe.questions, rng)
        losses = torch.stack(
            [
                10 * (1 - (foreign * target).sum(-1)).mean()
                + 10 * (1 - (same * target[: len(kept)]).sum(-1)).mean(),
                contrast(foreign, target),
                questions_loss(model, tokenizer, drawn, rng),
            ]
        )
        losses.sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([*adapter, embedding.new], 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        running = 0.97 * running + 0.03 * losses.detach()
        if step % 25 == 0:
            shown = [round(float(x), 3) for x in running / (1 - 0.97**step)]
            log(f"step {step}/{recipe.steps} losses {shown} {time.monotonic() - started:.0f}s")
        if step % 240 == 0 or step == recipe.steps:
            save_encoder(model, embedding, words.tokens, out)


def save_encoder(model: Any, embedding: TwoPartEmbedding, tokens: list[str], out: Path) -> None:
    """Write vocabulary, vectors and adapter (float16) to out."""
    out.mkdir(parents=True, exist_ok=True)
    (out / VOCABULARY).write_text(json.dumps(tokens, ensure_ascii=False), encoding="utf-8")
    save_file({"embeddings": embedding.new.detach().half().contiguous()}, out / EMBEDDINGS)
    save_adapter(model, out)
