"""Measure a base, and an adapter beside it, on held-out dialogues."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from peft import PeftModel
from rouge_score.rouge_scorer import RougeScorer

from finetune.errors import AdapterError, DataError
from finetune.examples import Encoded, Example, encode, examples_of
from finetune.export import exported
from finetune.models import load_base, load_tokenizer, template_for
from finetune.prompt import PromptTemplate
from finetune.registry import (
    INT8_ENGINE,
    NF4_ENGINE,
    Scorecard,
    Scores,
    resolve_base,
    validate_adapter,
)
from finetune.rows import data_digest, load_rows
from finetune.scored import Int8Model, ScoredModel, TorchModel
from knowledge.segment import words

log = logging.getLogger(__name__)

_BATCH = 8
# (reply, passages) -> whether the passages support all that the reply claims.
SupportScorer = Callable[[str, Sequence[str]], bool]


class _Words:
    """ROUGE's tokenizer for any language; the library's own drops all but a-z and 0-9."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


def evaluate(
    data: Path,
    base: str | Path,
    adapter: Path | None,
    supports: SupportScorer,
    engines: Path,
    engine: str = NF4_ENGINE,
    limit: int = 200,
    max_tokens: int = 640,
    max_new_tokens: int = 96,
) -> Scores:
    """Scores on at most `limit` replies of the test split, always the same ones.

    With an adapter, its scores, and both its own and its base's are put into its manifest: the
    gate compares them. Perplexity is per token of the agent's replies; ROUGE-L (Lin, 2004) and
    `supported` are of greedy replies, `supported` of those that have passages. What is measured is
    the model as `engine` serves it; exports for it are kept in `engines`.
    Raises FinetuneError: DataError, BaseModelError, AdapterError.
    """
    folder = resolve_base(base)
    manifest = validate_adapter(adapter, folder) if adapter else None
    examples = _sample(list(examples_of(load_rows(data, "test"))), limit)
    if not examples:
        raise DataError(f"{data} has no test dialogue in which an agent replies")
    tokenizer = load_tokenizer(folder)
    template = manifest.template if manifest else template_for(tokenizer)
    max_tokens = int(manifest.recipe.get("max_tokens", max_tokens)) if manifest else max_tokens
    rows = [encode(e, tokenizer, template, max_tokens) for e in examples]

    def scores(of: Path | None) -> Scores:
        make = partial(_model, engine, folder, of, engines)
        return _scores(make(tokenizer, template, max_new_tokens), examples, rows, supports)

    if adapter is None or manifest is None:
        return scores(None)
    before = scores(None)
    log.info("base %s", before)
    after = scores(adapter)
    log.info("adapter %s", after)
    card = Scorecard(before, after, data_digest(data), manifest.adapter_sha256)
    replace(manifest, scores=card, engine=engine).write(adapter)
    return after


def _model(
    engine: str,
    base: Path,
    adapter: Path | None,
    engines: Path,
    tokenizer: Any,
    template: PromptTemplate,
    max_new_tokens: int,
) -> ScoredModel:
    """A base, with an adapter or without, as an engine serves it."""
    if engine == INT8_ENGINE:
        folder = exported(base, adapter, engines)
        return Int8Model(folder, tokenizer, template, max_new_tokens)
    model, _ = load_base(base)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    return TorchModel(model, tokenizer, template, max_new_tokens)


def _sample(examples: list[Example], limit: int) -> list[Example]:
    """The same examples each time, whatever their order: those with the smallest hashes."""
    keyed = {hashlib.sha256(repr(e).encode()).hexdigest(): e for e in examples}
    return [keyed[key] for key in sorted(keyed)[:limit]]


def _scores(
    model: ScoredModel,
    examples: Sequence[Example],
    rows: Sequence[Encoded],
    supports: SupportScorer,
) -> Scores:
    """All three measures; batches hold rows of like length."""
    scorer = RougeScorer(["rougeL"], tokenizer=_Words())
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    loss, tokens, rouge, grounded, supported = 0.0, 0, 0.0, 0, 0
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        batch = [rows[i] for i in chosen]
        batch_loss, batch_tokens = model.loss(batch)
        loss, tokens = loss + batch_loss, tokens + batch_tokens
        for i, reply in zip(chosen, model.replies(batch), strict=True):
            rouge += scorer.score(examples[i].reply, reply)["rougeL"].fmeasure
            if examples[i].passages:
                grounded += 1
                supported += supports(reply, examples[i].passages)
    if not math.isfinite(loss):
        raise AdapterError("the model's loss is not a finite number; train with a lower rate")
    return Scores(
        perplexity=round(math.exp(min(loss / tokens, 100.0)), 4),
        rouge_l=round(rouge / len(rows), 4),
        supported=round(supported / grounded, 4) if grounded else 0.0,
        n=len(rows),
    )
