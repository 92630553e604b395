"""Pre-train a starter model: a byte-level BPE tokenizer and a small Llama, from scratch.

The architecture is Llama's (arXiv 2302.13971), at some million parameters, so that everything that
serves and fine-tunes a Llama serves and fine-tunes it. What it may learn from: see corpus.py.
"""

from __future__ import annotations

import logging
import math
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from finetune.corpus import read_corpus
from finetune.errors import BaseModelError, DataError
from finetune.examples import IGNORED
from finetune.loop import Outcome, begin, checkpoints_of, run
from finetune.manifest import DIGEST, base_digest, files_digest
from finetune.models import mean_loss
from finetune.processes import processes, whole
from finetune.prompt import END, MARKERS, PAD
from finetune.settings import BaseRecipe

log = logging.getLogger(__name__)

# One token each: a citation and a masked value are copied whole or not at all.
_WHOLE = (
    *(f"[{number}]" for number in range(1, 10)),
    *(f"[{kind}_{number}]" for kind in ("EMAIL", "ORDER", "PHONE", "CARD") for number in (1, 2)),
)
_TOKENIZER_CHARACTERS = 60_000_000

Blocks = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class BaseReport:
    """What pre-training made. `tokens` counts those of the training text, once.

    `held_out_loss` is in nats a token, over the texts kept back; None where none were.
    """

    parameters: int
    vocabulary: int
    tokens: int
    base_sha256: str
    training: Outcome
    held_out_loss: float | None


def pretrain(
    data: Sequence[Path],
    out: Path,
    recipe: BaseRecipe,
    resume: bool = False,
    tokenizer_folder: Path | None = None,
) -> BaseReport:
    """Train on prepared folders and JSON Lines files (see corpus.py); write a model folder to out.

    The tokenizer is trained on the same texts unless a folder holds one. Raises DataError when
    there is no text, BaseModelError when out is not empty.
    """
    refuse_to_overwrite(out)
    corpus = read_corpus(data, recipe.leave_out, recipe.held_out_share)
    if not corpus.train:
        raise DataError("nothing to train on; name a folder made by `python -m finetune prepare`")
    fingerprint = {
        "recipe": recipe.model_dump(mode="json"),
        "data": [_digest(path) for path in data],
        "tokenizer": _digest(tokenizer_folder) if tokenizer_folder else None,
    }
    begin(out, fingerprint, recipe, resume)
    texts = list(corpus.train)
    random.Random(recipe.seed).shuffle(texts)
    if tokenizer_folder:
        tokenizer = _load_tokenizer(tokenizer_folder)
    else:
        tokenizer = train_tokenizer(texts, recipe.vocabulary)
    blocks = blocks_of(texts, tokenizer, recipe.max_tokens)
    model = LlamaForCausalLM(_config(recipe, tokenizer))
    parameters = sum(p.numel() for p in model.parameters())
    total_steps = recipe.total_steps(len(blocks), processes().num_processes)
    log.info("%d parameters, %d blocks, %d steps", parameters, len(blocks), total_steps)
    collate = partial(_collate, pad_id=tokenizer.pad_token_id)
    outcome = run(model, list(blocks), collate, recipe, total_steps, out, resume)
    trained, held_out = whole(model), None
    if processes().is_main_process:
        kept_back = blocks_of(corpus.held_out, tokenizer, recipe.max_tokens)
        held_out = mean_loss(trained, (collate([row]) for row in kept_back))
        save_base(trained, tokenizer, out)
        shutil.rmtree(checkpoints_of(out))
    processes().wait_for_everyone()
    tokens = int((blocks != tokenizer.pad_token_id).sum())
    return BaseReport(parameters, len(tokenizer), tokens, base_digest(out), outcome, held_out)


def refuse_to_overwrite(out: Path) -> None:
    """Raises BaseModelError when out is not empty."""
    if out.exists() and any(out.iterdir()):
        raise BaseModelError(f"{out} is not empty; give another --out or delete it")


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer with the template's markers; digits stand alone, to be copied.

    Learned from every nth text, some 60 million characters: more changes no merge that matters.
    """
    texts = texts[:: math.ceil(sum(map(len, texts)) / _TOKENIZER_CHARACTERS)]
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


def _load_tokenizer(folder: Path) -> Any:
    """A tokenizer made by train_tokenizer. Raises BaseModelError when it is none."""
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{folder} holds no tokenizer: {error}") from error
    if missing := set(MARKERS) - set(tokenizer.get_vocab()):
        raise BaseModelError(f"the tokenizer in {folder} lacks {', '.join(sorted(missing))}")
    return tokenizer


def _digest(path: Path) -> str:
    return files_digest(sorted(path.glob("*.json*")) if path.is_dir() else [path])


def blocks_of(texts: Sequence[str], tokenizer: Any, size: int) -> Blocks:
    """The texts end to end, cut into rows of `size` tokens, so that only the last is padded.

    int32 (rows, size).
    """
    pieces = [
        np.fromiter(ids, dtype=np.int32)
        for start in range(0, len(texts), 1000)
        for ids in tokenizer(list(texts[start : start + 1000]))["input_ids"]
    ]
    flat = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int32)
    padding = np.full(-len(flat) % size, tokenizer.pad_token_id, dtype=np.int32)
    return np.concatenate([flat, padding]).reshape(-1, size)


def _collate(batch: Sequence[Blocks], pad_id: int) -> dict[str, torch.Tensor]:
    ids = torch.from_numpy(np.stack(batch)).long()
    return {"input_ids": ids, "labels": ids.masked_fill(ids == pad_id, IGNORED)}


def _config(recipe: BaseRecipe, tokenizer: Any) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.key_value_heads or recipe.heads,
        max_position_embeddings=recipe.context_tokens,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def save_base(model: Any, tokenizer: Any, out: Path) -> None:
    """An ordinary model folder in bfloat16, with its digest; in place only when it is whole."""
    model = model.to("cpu", torch.bfloat16)
    model.config.use_cache = True  # the Trainer turned it off
    unfinished = out.with_name(out.name + ".partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    (unfinished / DIGEST).write_text(base_digest(unfinished) + "\n")
    unfinished.replace(out)
