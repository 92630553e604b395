"""Teach the encoder another language and the questions of shops.

Distillation over parallel sentences (Reimers and Gurevych, arXiv 2004.09813): the student embeds
the other language where the teacher, the checkpoint as it came, embeds the English. At each step a
handful of questions of one shop are drawn to the passages that answer them and away from each
other's, which are near misses. Trained are the vectors of the added tokens and a LoRA adapter.
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
from knowledge.minilm import (
    EMBEDDINGS,
    VOCABULARY,
    add_tokens,
    backbone,
    extended_tokenizer,
    minilm_folder,
)

_TEMPERATURE = 0.05
_PAD_TO = 8
_MAX_TOKENS = 128


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


def contrast(left: Tensor, right: Tensor) -> Tensor:
    """InfoNCE in both directions: row i of left belongs to row i of right."""
    similarity = left @ right.T / _TEMPERATURE
    target = torch.arange(len(left))
    return (
        functional.cross_entropy(similarity, target)
        + functional.cross_entropy(similarity.T, target)
    ) / 2


Answered = Sequence[tuple[str, str, str]]  # (question, the chunk that answers it, its document)


def answered_questions(shop: Shop) -> Answered:
    """The shop's questions, each with the first chunk that holds its facts."""
    chunks = shop_chunks(shop)
    return [
        (q.text, chunk.indexed_text, chunk.document_id)
        for q in shop.questions
        if (chunk := next((c for c in chunks if answers(c, q)), None))
    ]


def draw_questions(
    answered: Answered, count: int, rng: random.Random
) -> tuple[list[str], list[str]]:
    """Questions of one shop and the chunks that answer them, of different documents."""
    chosen: dict[str, tuple[str, str]] = {}
    for question, chunk, document in rng.sample(answered, len(answered)):
        if len(chosen) < count:
            chosen.setdefault(document, (question, chunk))
    return [q for q, _ in chosen.values()], [c for _, c in chosen.values()]


def train_encoder(
    out: Path,
    words: AddedWords,
    pairs: Sequence[tuple[str, str]],
    shops: Sequence[Shop],
    recipe: Recipe,
    *,
    start: Path | None = None,
    log: Callable[[str], object] = print,
) -> None:
    """Fit on pairs (foreign, English) and shops; write the adapter to out.

    With `start`, an earlier result, only its adapter is trained further: what else was trained on
    the vectors of its tokens, the reranker, stays valid.
    """
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)
    teacher, plain = backbone(minilm_folder(), None), extended_tokenizer(minilm_folder(), None)
    model, embedding = student(words, recipe.rank, start)
    answered = [answered_questions(shop) for shop in shops]
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
        questions, passages = draw_questions(rng.choice(answered), recipe.questions, rng)
        losses = torch.stack(
            [
                10 * (1 - (foreign * target).sum(-1)).mean()
                + 10 * (1 - (same * target[: len(kept)]).sum(-1)).mean(),
                contrast(foreign, target),
                contrast(embed(model, tokenizer, questions), embed(model, tokenizer, passages)),
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
