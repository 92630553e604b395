"""Measure a base, and an adapter beside it, on held-out dialogues."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from peft import PeftModel

from finetune.errors import DataError
from finetune.examples import Encoded, Example, encode_all
from finetune.export import exported
from finetune.lessons import examples_at
from finetune.manifest import (
    INT8_ENGINE,
    NF4_ENGINE,
    Scorecard,
    Scores,
    resolve_base,
    validate_adapter,
)
from finetune.models import load_base, load_tokenizer, template_for
from finetune.prompt import PromptTemplate
from finetune.reply_scores import ReplyScore, ReplyScorer, SupportScorer, mean_scores
from finetune.rows import data_digest
from finetune.scored import Int8Model, ScoredModel, TorchModel

log = logging.getLogger(__name__)

_BATCH = 8


def evaluate(
    data: Path,
    base: str | Path,
    adapter: Path | None,
    supports: SupportScorer,
    engines: Path,
    engine: str = NF4_ENGINE,
    limit: int = 200,
    others: Sequence[Path] = (),
    max_tokens: int = 640,
    max_new_tokens: int = 96,
) -> Scores:
    """Scores on at most `limit` replies of the test split, always the same ones.

    With an adapter, its scores, and both its own and its base's are put into its manifest: the
    gate compares them. What is measured is the model as `engine` serves it; exports for it are
    kept in `engines`. `others` are prepared folders of other dialogues, or files of lessons, of
    which an adapter should forget nothing.

    Raises FinetuneError: DataError, BaseModelError, AdapterError.
    """
    folder = resolve_base(base)
    manifest = validate_adapter(adapter, folder) if adapter else None
    tokenizer = load_tokenizer(folder)
    template = manifest.template if manifest else template_for(tokenizer)
    if manifest:
        max_tokens = int(manifest.recipe.get("max_tokens", max_tokens))
    held_out = HeldOut.of(data, limit, tokenizer, template, max_tokens)
    rest = {p.name: HeldOut.of(p, limit, tokenizer, template, max_tokens) for p in others}
    scorer = ReplyScorer(supports)

    def measured(of: Path | None) -> tuple[Scores, dict[str, float]]:
        make = partial(_model, engine, folder, of, engines)
        model = make(tokenizer, template, max_new_tokens)
        losses = {name: other.mean_loss(model) for name, other in rest.items()}
        return mean_scores(held_out.scores(model, scorer)), losses

    before, known = measured(None)
    if adapter is None or manifest is None:
        return before
    log.info("base %s", before)
    after, still_known = measured(adapter)
    log.info("adapter %s", after)
    # exp(loss) is the perplexity, so a difference of losses is the share that it grows by
    forgetting = {name: round(math.expm1(still_known[name] - known[name]), 4) for name in known}
    sha256 = manifest.adapter_sha256
    card = Scorecard(before, after, data_digest(data), sha256, forgetting)
    replace(manifest, scores=card, engine=engine).write(adapter)
    return after


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Replies to measure on, and how they are read, in the order of their lengths."""

    examples: tuple[Example, ...]
    rows: tuple[Encoded, ...]

    @classmethod
    def of(
        cls, data: Path, limit: int, tokenizer: Any, template: PromptTemplate, max_tokens: int
    ) -> HeldOut:
        """At most `limit` of a prepared folder's test split. Raises DataError without any."""
        examples = _sample(examples_at(data, "test"), limit)
        if not examples:
            raise DataError(f"{data} has no test dialogue in which an agent replies")
        rows = encode_all(examples, tokenizer, template, max_tokens)
        pairs = sorted(zip(examples, rows, strict=True), key=lambda pair: len(pair[1].ids))
        return cls(tuple(e for e, _ in pairs), tuple(r for _, r in pairs))

    def scores(self, model: ScoredModel, scorer: ReplyScorer) -> list[ReplyScore]:
        """A row for each reply."""
        found: list[ReplyScore] = []
        for start in range(0, len(self.rows), _BATCH):
            batch = self.rows[start : start + _BATCH]
            losses, replies = model.losses(batch), model.replies(batch)
            examples = self.examples[start : start + _BATCH]
            for example, reply, (loss, tokens) in zip(examples, replies, losses, strict=True):
                found.append(scorer.score(example, reply, loss, tokens))
        return found

    def mean_loss(self, model: ScoredModel) -> float:
        """Nats a token of the references."""
        starts = range(0, len(self.rows), _BATCH)
        found = [pair for i in starts for pair in model.losses(self.rows[i : i + _BATCH])]
        return sum(loss for loss, _ in found) / sum(tokens for _, tokens in found)


def validation_loss(data: Path, base: str | Path, adapter: Path, limit: int = 200) -> float:
    """Nats a token of the agent's replies in the validation split. Raises DataError without any."""
    folder = resolve_base(base)
    manifest = validate_adapter(adapter, folder)
    examples = _sample(examples_at(data, "validation"), limit)
    if not examples:
        raise DataError(f"{data} has no validation dialogue in which an agent replies")
    tokenizer = load_tokenizer(folder)
    max_tokens = int(manifest.recipe["max_tokens"])
    rows = encode_all(examples, tokenizer, manifest.template, max_tokens)
    model = _model(NF4_ENGINE, folder, adapter, Path(), tokenizer, manifest.template, 1)
    kept_back = HeldOut(tuple(examples), tuple(sorted(rows, key=lambda row: len(row.ids))))
    return kept_back.mean_loss(model)


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


def _sample(examples: Sequence[Example], limit: int) -> list[Example]:
    """The same examples each time, whatever their order: those with the smallest hashes."""
    keyed = {hashlib.sha256(repr(e).encode()).hexdigest(): e for e in examples}
    return [keyed[key] for key in sorted(keyed)[:limit]]
