"""Measure a base, and an adapter beside it, on held-out dialogues."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from rouge_score.rouge_scorer import RougeScorer

from finetune.errors import AdapterError, DataError
from finetune.examples import IGNORED, Encoded, Example, collate, encode, examples_of
from finetune.models import load_base, template_for
from finetune.prepare import data_digest, load_rows
from finetune.prompt import PromptTemplate
from finetune.registry import Scorecard, Scores, resolve_base, validate_adapter
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
    limit: int = 200,
    max_tokens: int = 640,
    max_new_tokens: int = 96,
) -> Scores:
    """Scores on at most `limit` replies of the test split, always the same ones.

    With an adapter, its scores, and both its own and its base's are put into its manifest: the
    gate compares them. Perplexity is per token of the agent's replies; ROUGE-L (Lin, 2004) and
    `supported` are of greedy replies, `supported` of those that have passages.
    Raises FinetuneError: DataError, BaseModelError, AdapterError.
    """
    folder = resolve_base(base)
    manifest = validate_adapter(adapter, folder) if adapter else None
    examples = _sample(list(examples_of(load_rows(data, "test"))), limit)
    if not examples:
        raise DataError(f"{data} has no test dialogue in which an agent replies")
    model, tokenizer = load_base(folder)
    template = manifest.template if manifest else template_for(tokenizer)
    max_tokens = int(manifest.recipe.get("max_tokens", max_tokens)) if manifest else max_tokens
    rows = [encode(e, tokenizer, template, max_tokens) for e in examples]
    judge = _Judge(tokenizer, template, supports, max_new_tokens)
    if adapter is None or manifest is None:
        return judge.scores(model.eval(), examples, rows)
    model = PeftModel.from_pretrained(model, adapter).eval()
    with model.disable_adapter():
        before = judge.scores(model, examples, rows)
    log.info("base %s", before)
    after = judge.scores(model, examples, rows)
    log.info("adapter %s", after)
    card = Scorecard(before, after, data_digest(data), manifest.adapter_sha256)
    replace(manifest, scores=card).write(adapter)
    return after


def _sample(examples: list[Example], limit: int) -> list[Example]:
    """The same examples each time, whatever their order: those with the smallest hashes."""
    keyed = {hashlib.sha256(repr(e).encode()).hexdigest(): e for e in examples}
    return [keyed[key] for key in sorted(keyed)[:limit]]


class _Judge:
    """Scores one model after another in the same way."""

    def __init__(
        self, tokenizer: Any, template: PromptTemplate, supports: SupportScorer, max_new_tokens: int
    ) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.supports = supports
        self.max_new_tokens = max_new_tokens
        self.rouge = RougeScorer(["rougeL"], tokenizer=_Words())

    @torch.inference_mode()
    def scores(self, model: Any, examples: Sequence[Example], rows: Sequence[Encoded]) -> Scores:
        """All three measures; batches hold rows of like length."""
        order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
        loss, tokens, rouge, grounded, supported = 0.0, 0, 0.0, 0, 0
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            batch_loss, batch_tokens = self._loss(model, [rows[i] for i in chosen])
            loss, tokens = loss + batch_loss, tokens + batch_tokens
            replies = greedy_replies(
                model,
                self.tokenizer,
                self.template,
                [rows[i] for i in chosen],
                self.max_new_tokens,
            )
            for i, reply in zip(chosen, replies, strict=True):
                rouge += self.rouge.score(examples[i].reply, reply)["rougeL"].fmeasure
                if examples[i].passages:
                    grounded += 1
                    supported += self.supports(reply, examples[i].passages)
        if not math.isfinite(loss):
            raise AdapterError("the model's loss is not a finite number; train with a lower rate")
        return Scores(
            perplexity=round(math.exp(min(loss / tokens, 100.0)), 4),
            rouge_l=round(rouge / len(rows), 4),
            supported=round(supported / grounded, 4) if grounded else 0.0,
            n=len(rows),
        )

    def _loss(self, model: Any, rows: Sequence[Encoded]) -> tuple[float, int]:
        """Summed cross-entropy and count of reply tokens.

        From logits: the loss that AdaLoRA returns has its regulariser in it.
        """
        tensors = collate(rows, self.tokenizer.pad_token_id)
        batch = {name: tensor.to(model.device) for name, tensor in tensors.items()}
        labels = batch.pop("labels")[:, 1:]
        logits = model(**batch).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return loss.item(), int((labels != IGNORED).sum())


def greedy_replies(
    model: Any,
    tokenizer: Any,
    template: PromptTemplate,
    rows: Sequence[Encoded],
    max_new_tokens: int,
) -> list[str]:
    """Greedy replies to the prompts; they are padded on the left, where a batch must be."""
    width = max(row.prompt_tokens for row in rows)
    pad, end = tokenizer.pad_token_id, template.reply_end
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, width - row.prompt_tokens :] = torch.tensor(row.ids[: row.prompt_tokens])
        mask[i, width - row.prompt_tokens :] = 1
    stops = {tokenizer.convert_tokens_to_ids(end), tokenizer.eos_token_id} - {None}
    with torch.inference_mode():
        output = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(stops) or None,
            pad_token_id=pad,
        )
    texts = tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)
    return [text.lstrip().split(end)[0].strip() for text in texts]
