"""Teach the encoder another language and the questions of customers.

Distillation over parallel sentences (Reimers and Gurevych, arXiv 2004.09813): the student embeds
the other language where the teacher, the checkpoint as it came, embeds the English. At each step a
handful of questions of one shop, and some of help documents, are drawn to the passages that answer
them, and away from each other's and from the nearest that do not answer. Trained are the vectors of
the added tokens and a LoRA adapter.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from finetune.encoder_data import SPELT
from finetune.encoder_questions import Answered, draw_questions
from finetune.encoder_words import AddedWords
from finetune.fit import Plan, Stateless, finish, fit, rows_digest, training_folder, weights_digest
from finetune.lora import save_adapter
from finetune.precision import mixed
from knowledge.hanzi import simplified
from knowledge.minilm import (
    EMBEDDINGS,
    LANGUAGES,
    VOCABULARY,
    add_tokens,
    backbone,
    extended_tokenizer,
    minilm_folder,
)

_TEMPERATURE = 0.05
_PAD_TO = 8
_MAX_TOKENS = 128
_CLOSE = 10.0  # weight of the cosine to the teacher


@dataclass(frozen=True)
class Recipe:
    """Sizes of a step and learning rates."""

    steps: int = 480
    parallel: int = 32
    english: int = 8
    questions: int = 9
    documents: int = 8  # questions of help documents
    rank: int = 32
    embedding_rate: float = 1e-3
    adapter_rate: float = 3e-4
    seed: int = 20261125


@dataclass(frozen=True)
class Lessons:
    """Pairs (foreign, English), and questions: a list for each shop and for each collection of help
    documents. A shop is drawn as often as it has questions, the collections in turn."""

    pairs: Sequence[tuple[str, str]]
    shops: Sequence[Sequence[Answered]]
    documents: Sequence[Sequence[Answered]] = ()


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
    rows = tokenizer.encode_batch([simplified(t) for t in texts])
    ids = torch.tensor([r.ids for r in rows])
    mask = torch.tensor([r.attention_mask for r in rows])
    with mixed("cpu"):
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


def questions_loss(
    model: Any, tokenizer: Tokenizer, drawn: Sequence[Answered], rng: random.Random
) -> Tensor:
    """InfoNCE of the drawn questions, with one near miss of each that answers none of them."""
    right = [a.chunk for a in drawn]
    misses = {rng.choice(a.misses) for a in drawn if a.misses} - set(right)
    found = embed(model, tokenizer, [a.question for a in drawn])
    passages = embed(model, tokenizer, right + sorted(misses))
    return contrast(found, passages[: len(right)], passages[len(right) :])


class EncoderObjective(Stateless):
    """The losses of a step; see the module."""

    def __init__(
        self, words: AddedWords, lessons: Lessons, recipe: Recipe, start: Path | None
    ) -> None:
        self.lessons, self.recipe = lessons, recipe
        self.teacher = backbone(minilm_folder(), None)
        self.model, self.embedding = student(words, recipe.rank, start)
        self.plain = extended_tokenizer(minilm_folder(), None)
        self.tokenizer = extended_tokenizer(minilm_folder(), None)
        add_tokens(self.tokenizer, words.tokens)
        for each in (self.plain, self.tokenizer):
            each.enable_truncation(_MAX_TOKENS)
            each.enable_padding(pad_to_multiple_of=_PAD_TO)
        self.model.train()

    def groups(self) -> list[dict[str, Any]]:
        """See Objective; the vectors first, where they are trained."""
        new = self.embedding.new
        adapter = [p for p in self.model.parameters() if p.requires_grad and p is not new]
        groups = [{"params": adapter, "lr": self.recipe.adapter_rate, "weight_decay": 0.01}]
        if new.requires_grad:
            rate = self.recipe.embedding_rate
            groups.insert(0, {"params": [new], "lr": rate, "weight_decay": 0.0})
        return groups

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """See Objective."""
        recipe, lessons = self.recipe, self.lessons
        rng = random.Random(f"{recipe.seed} {step}")
        parts = self._distilled(rng.choices(lessons.pairs, k=recipe.parallel))
        (shop,) = rng.choices(lessons.shops, [len(shop) for shop in lessons.shops])
        drawn = draw_questions(shop, recipe.questions, rng)
        parts["shop"] = questions_loss(self.model, self.tokenizer, drawn, rng)
        if lessons.documents:
            collection = lessons.documents[step % len(lessons.documents)]
            drawn = draw_questions(collection, recipe.documents, rng)
            parts["documents"] = questions_loss(self.model, self.tokenizer, drawn, rng)
        return parts

    def _distilled(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
        """How far the student is from the teacher, in both languages."""
        english = [e for _, e in pairs]
        kept = english[: self.recipe.english]
        with torch.no_grad():
            target = embed(self.teacher, self.plain, english)
        found = embed(self.model, self.tokenizer, [*(f for f, _ in pairs), *kept])
        foreign, same = found[: len(pairs)], found[len(pairs) :]
        return {
            "foreign": _CLOSE * (1 - (foreign * target).sum(-1)).mean(),
            "english": _CLOSE * (1 - (same * target[: len(kept)]).sum(-1)).mean(),
            "contrast": contrast(foreign, target),
        }


def train_encoder(
    out: Path,
    words: AddedWords,
    lessons: Lessons,
    recipe: Recipe,
    *,
    start: Path | None = None,
    resume: bool = False,
) -> None:
    """Fit and write the adapter to out; a run that was cut off goes on with `resume`.

    With `start`, an earlier result, only its adapter is trained further: what else was trained on
    the vectors of its tokens, the reranker, stays valid.
    """
    torch.manual_seed(recipe.seed)
    objective = EncoderObjective(words, lessons, recipe, start)
    plan = Plan(recipe.steps, seed=recipe.seed)
    run = {
        "recipe": asdict(recipe),
        "words": rows_digest(words.tokens),
        "start": weights_digest(objective.model),
        "lessons": rows_digest(lessons),
    }
    fit(objective, plan, training_folder(out), run, resume=resume)
    save_encoder(objective.model, objective.embedding, words.tokens, out)
    finish(out)


def save_encoder(model: Any, embedding: TwoPartEmbedding, tokens: list[str], out: Path) -> None:
    """Write vocabulary, vectors and adapter (float16) to out."""
    out.mkdir(parents=True, exist_ok=True)
    (out / VOCABULARY).write_text(json.dumps(tokens, ensure_ascii=False), encoding="utf-8")
    (out / LANGUAGES).write_text(json.dumps(["en", "zh", *SPELT]), encoding="utf-8")
    save_file({"embeddings": embedding.new.detach().half().contiguous()}, out / EMBEDDINGS)
    save_adapter(model, out)
