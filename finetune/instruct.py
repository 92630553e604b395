"""Instruction-tune a starter model: all weights, on replies to passages and a question."""

from __future__ import annotations

import hashlib
import logging
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from finetune.base import refuse_to_overwrite, save_base
from finetune.errors import DataError
from finetune.examples import Example, collate, encode_all
from finetune.loop import Outcome, begin, checkpoints_of, run
from finetune.manifest import base_digest, validate_base
from finetune.models import load_base, mean_loss, template_for
from finetune.packing import collate_packs, packed
from finetune.processes import processes, whole
from finetune.prompt import AGENT, QUOTE
from finetune.renumber import renumbered
from finetune.settings import InstructRecipe, Recipe

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
    _teach_quotes(model, tokenizer)
    template = template_for(tokenizer)
    drawn = _renumbered(examples, recipe)
    encoded = encode_all(drawn, tokenizer, template, recipe.max_tokens)
    collator: Any = partial(collate, pad_id=tokenizer.pad_token_id)
    rows: Sequence[Any] = encoded
    collate_rows = collator
    if isinstance(recipe, InstructRecipe) and recipe.packed:
        rows = packed(encoded, recipe.max_tokens, tokenizer.pad_token_id)
        collate_rows = collate_packs
    total_steps = recipe.total_steps(len(rows), processes().num_processes)
    log.info("%d examples in %d sequences, %d steps", len(encoded), len(rows), total_steps)
    outcome = run(model, rows, collate_rows, recipe, total_steps, out, resume)
    trained, loss = whole(model), None
    if processes().is_main_process:
        kept_back = encode_all(held_out, tokenizer, template, recipe.max_tokens)
        starts = range(0, len(kept_back), _BATCH)
        loss = mean_loss(trained, (collator(kept_back[i : i + _BATCH]) for i in starts))
        save_base(trained, tokenizer, out)
        shutil.rmtree(checkpoints_of(out))
    processes().wait_for_everyone()
    return InstructReport(len(encoded), base_digest(out), outcome, loss)


def _teach_quotes(model: Any, tokenizer: Any) -> None:
    """Give a starter model from before quotes the token that announces one."""
    if AGENT in tokenizer.get_vocab() and QUOTE not in tokenizer.get_vocab():
        tokenizer.add_tokens([AddedToken(QUOTE, normalized=False, special=True)])
        model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=64)


def _renumbered(examples: Sequence[Example], recipe: Recipe) -> list[Example]:
    """The examples, and as often as the recipe says those that can have other numbers."""
    times = recipe.renumbered if isinstance(recipe, InstructRecipe) else 0
    rng = random.Random(recipe.seed)
    others = (renumbered(example, rng) for _ in range(times) for example in examples)
    return [*examples, *(other for other in others if other)]


def check(base: Path, out: Path) -> None:
    """Raise BaseModelError when the base cannot be used or out is not empty."""
    refuse_to_overwrite(out)
    validate_base(base)
