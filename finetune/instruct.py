"""Instruction-tune a starter model: all weights, on replies to passages and a question."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from finetune.base import refuse_to_overwrite, save_base
from finetune.errors import DataError
from finetune.examples import Example, collate, encode
from finetune.loop import Outcome, begin, checkpoints_of, run
from finetune.manifest import base_digest, validate_base
from finetune.models import load_base, mean_loss, template_for
from finetune.settings import Recipe

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
    check(base, out)
    if not examples:
        raise DataError("no replies to learn from; name folders with shops and replies")
    fingerprint = {
        "recipe": recipe.model_dump(mode="json"),
        "base": base_digest(base),
        "examples": hashlib.sha256(repr(examples).encode()).hexdigest(),
    }
    begin(out, fingerprint, recipe, resume)
    model, tokenizer = load_base(base, quantised=False)
    template = template_for(tokenizer)
    encoded = [encode(e, tokenizer, template, recipe.max_tokens) for e in examples]
    total_steps = recipe.total_steps(len(encoded))
    log.info("%d examples, %d steps", len(encoded), total_steps)
    collator = partial(collate, pad_id=tokenizer.pad_token_id)
    outcome = run(model, encoded, collator, recipe, total_steps, out, resume)
    kept_back = [encode(e, tokenizer, template, recipe.max_tokens) for e in held_out]
    loss = mean_loss(
        model, (collator(kept_back[i : i + _BATCH]) for i in range(0, len(kept_back), _BATCH))
    )
    save_base(model, tokenizer, out)
    shutil.rmtree(checkpoints_of(out))
    return InstructReport(len(encoded), base_digest(out), outcome, loss)


def check(base: Path, out: Path) -> None:
    """Raise BaseModelError when the base cannot be used or out is not empty."""
    refuse_to_overwrite(out)
    validate_base(base)
