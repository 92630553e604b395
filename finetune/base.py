"""Pre-train a starter model: a byte-level BPE tokenizer and a small Llama, from scratch.

The architecture is Llama's (arXiv 2302.13971), at a few million parameters, so that everything that
serves and fine-tunes a Llama serves and fine-tunes it. It learns from prepared dialogues, and from
plain documents where some are given.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from finetune.errors import BaseModelError, DataError
from finetune.examples import with_marks
from finetune.loop import Outcome, begin, run
from finetune.prepare import load_rows
from finetune.prompt import END, MARKERS, PAD, PromptTemplate, Turn
from finetune.registry import base_digest, files_digest
from finetune.settings import BaseRecipe
from finetune.train import checkpoints_of
from knowledge.load import read_text

log = logging.getLogger(__name__)

# One token each: a citation and a masked value are copied whole or not at all.
_WHOLE = (
    *(f"[{number}]" for number in range(1, 10)),
    *(f"[{kind}_{number}]" for kind in ("EMAIL", "ORDER", "PHONE", "CARD") for number in (1, 2)),
)
_MAX_FILE_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class BaseReport:
    """What pre-training made. `tokens` counts those of the training text, once."""

    parameters: int
    vocabulary: int
    tokens: int
    base_sha256: str
    training: Outcome


def pretrain(
    data: Sequence[Path], out: Path, recipe: BaseRecipe, resume: bool = False
) -> BaseReport:
    """Train on prepared folders and JSON Lines files of {"text"}; write a model folder to out.

    Raises DataError when there is no text, BaseModelError when out is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise BaseModelError(f"{out} is not empty; give another --out or delete it")
    texts = [text for path in data for text in _texts(path)]
    if not texts:
        raise DataError("nothing to train on; name a folder made by `python -m finetune prepare`")
    fingerprint = {"recipe": recipe.model_dump(mode="json"), "data": _digest(data)}
    checkpoints = checkpoints_of(out)
    begin(checkpoints, fingerprint, recipe, resume)
    random.Random(recipe.seed).shuffle(texts)
    tokenizer = train_tokenizer(texts, recipe.vocabulary)
    blocks = list(_blocks(texts, tokenizer, recipe.max_tokens))
    model = LlamaForCausalLM(_config(recipe, tokenizer))
    parameters = sum(p.numel() for p in model.parameters())
    total_steps = recipe.total_steps(len(blocks))
    log.info("%d parameters, %d blocks, %d steps", parameters, len(blocks), total_steps)
    outcome = run(model, blocks, _collate, recipe, total_steps, checkpoints, resume)
    _save(model, tokenizer, out)
    shutil.rmtree(checkpoints)
    tokens = len(blocks) * recipe.max_tokens
    return BaseReport(parameters, len(tokenizer), tokens, base_digest(out), outcome)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer with the template's markers; digits stand alone, to be copied."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(_WHOLE),
        special_tokens=list(MARKERS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Not special: they stay in the text when a reply is decoded.
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in _WHOLE])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[m for m in MARKERS if m not in {END, PAD}],
        clean_up_tokenization_spaces=False,
    )


def _texts(path: Path) -> Iterator[str]:
    template = PromptTemplate()
    if path.is_dir():
        for row in load_rows(path, "train"):
            turns = [
                Turn(t.role, with_marks(t.text, row.passages) if t.role == "agent" else t.text)
                for t in row.turns
            ]
            yield template.render_dialogue(row.passages, turns)
        return
    try:
        for line in read_text(path, _MAX_FILE_BYTES).split("\n"):
            if line.strip():
                yield template.clean(json.loads(line)["text"]) + template.reply_end
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f'{path} is not JSON Lines of {{"text"}}: {error}') from error


def _digest(data: Sequence[Path]) -> str:
    return files_digest([f for p in data for f in ([p / "train.jsonl"] if p.is_dir() else [p])])


def _blocks(texts: Sequence[str], tokenizer: Any, size: int) -> Iterator[list[int]]:
    """The texts end to end, cut into blocks of one size, so that nothing is padded."""
    pending: list[int] = []
    for start in range(0, len(texts), 1000):
        for ids in tokenizer(list(texts[start : start + 1000]))["input_ids"]:
            pending.extend(ids)
        cut = len(pending) // size * size
        yield from (pending[i : i + size] for i in range(0, cut, size))
        del pending[:cut]
    if pending:
        yield pending + [tokenizer.pad_token_id] * (size - len(pending))


def _collate(batch: Sequence[list[int]]) -> dict[str, torch.Tensor]:
    ids = torch.tensor(list(batch))
    return {"input_ids": ids, "labels": ids}


def _config(recipe: BaseRecipe, tokenizer: Any) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context_tokens,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _save(model: Any, tokenizer: Any, out: Path) -> None:
    """An ordinary model folder, in place only when it is whole."""
    unfinished = out.with_name(out.name + ".partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    unfinished.replace(out)
