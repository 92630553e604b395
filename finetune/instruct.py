"""Instruction-tune a starter model: all weights, on replies to passages and a question."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from finetune.base import refuse_to_overwrite, save_base
from finetune.errors import DataError
from finetune.examples import Encoded, Example, collate, encode
from finetune.loop import Outcome, begin, run
from finetune.models import template_for
from finetune.registry import base_digest, validate_base
from finetune.settings import Recipe
from finetune.train import checkpoints_of

log = logging.getLogger(__name__)

_BATCH = 16


@dataclass(frozen=True, slots=True)
class InstructReport:
    """What tuning made. `held_out_loss` is in nats a token of the replies kept back, or None."""

    examples: int
    base_sha256: str
    training: Outcome
    held_out_loss: float | None


def instruct(
    base: Path,
    examples: Sequence[Example],
    held_out: Sequence[Example],
    out: Path,
    recipe: Recipe,
    resume: bool = False,
) -> InstructReport:
    """Tune all weights of `base` on the examples and write a model folder to out.

    Raises DataError when there are no examples, BaseModelError when the base cannot be used or out
    is not empty.
    """
    refuse_to_overwrite(out)
    validate_base(base)
    if not examples:
        raise DataError("no replies to learn from; name folders with shops and replies")
    fingerprint = {
        "recipe": recipe.model_dump(mode="json"),
        "base": base_digest(base),
        "examples": hashlib.sha256(repr(examples).encode()).hexdigest(),
    }
    checkpoints = checkpoints_of(out)
    begin(checkpoints, fingerprint, recipe, resume)
    tokenizer = AutoTokenizer.from_pretrained(base)
    template = template_for(tokenizer)
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    encoded = [encode(e, tokenizer, template, recipe.max_tokens) for e in examples]
    total_steps = recipe.total_steps(len(encoded))
    log.info("%d examples, %d steps", len(encoded), total_steps)
    collator = partial(collate, pad_id=tokenizer.pad_token_id)
    outcome = run(model, encoded, collator, recipe, total_steps, checkpoints, resume)
    kept_back = [encode(e, tokenizer, template, recipe.max_tokens) for e in held_out]
    loss = reply_loss(model, kept_back, tokenizer.pad_token_id)
    save_base(model, tokenizer, out)
    shutil.rmtree(checkpoints)
    return InstructReport(len(encoded), base_digest(out), outcome, loss)


@torch.inference_mode()
def reply_loss(model: Any, encoded: Sequence[Encoded], pad_id: int) -> float | None:
    """Mean cross-entropy in nats a token of the replies; None without any."""
    total, tokens = 0.0, 0
    model.eval()
    for start in range(0, len(encoded), _BATCH):
        inputs = collate(encoded[start : start + _BATCH], pad_id)
        count = int((inputs["labels"] >= 0).sum())
        with torch.autocast(model.device.type, torch.bfloat16):
            loss = model(**{k: v.to(model.device) for k, v in inputs.items()}).loss
        total, tokens = total + float(loss) * count, tokens + count
    return total / tokens if tokens else None
