"""Load bases, quantised as they are served."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils import logging as transformers_logging

from finetune.errors import BaseModelError
from finetune.examples import IGNORED
from finetune.manifest import NF4, validate_base
from finetune.precision import mixed
from finetune.prompt import PromptTemplate


def load_base(folder: Path, quantised: bool = True) -> tuple[Any, Any]:
    """(model in NF4, tokenizer), or the model in float32. Raises BaseModelError.

    What NF4 leaves alone (embeddings, norms, output) is float32 on a CPU, bfloat16 on a GPU.
    """
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    gpu = torch.cuda.is_available()
    dtype = torch.bfloat16 if gpu and quantised else torch.float32
    nf4 = BitsAndBytesConfig(**NF4, bnb_4bit_compute_dtype=dtype)  # type: ignore[no-untyped-call]
    tokenizer = load_tokenizer(folder)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            quantization_config=nf4 if quantised else None,
            dtype=dtype,
            device_map={"": torch.cuda.current_device() if gpu else "cpu"},
            use_safetensors=True,
        )
    except Exception as error:  # whatever a library makes of a bad folder
        raise BaseModelError(f"the base at {folder} cannot be loaded: {error}") from error
    return model, tokenizer


def load_tokenizer(folder: Path) -> Any:
    """A base's tokenizer, with a token to pad with. Raises BaseModelError."""
    validate_base(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # as above
        raise BaseModelError(f"the base at {folder} cannot be loaded: {error}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


@torch.inference_mode()
def mean_loss(model: Any, batches: Iterable[dict[str, Any]]) -> float | None:
    """Mean cross-entropy, in nats a token that has a label, in bfloat16; None without batches."""
    total, tokens = 0.0, 0
    model.eval()
    for inputs in batches:
        count = int((inputs["labels"] != IGNORED).sum())
        with mixed(model.device):
            loss = model(**{k: v.to(model.device) for k, v in inputs.items()}).loss
        total, tokens = total + float(loss) * count, tokens + count
    return total / tokens if tokens else None


def template_for(tokenizer: Any) -> PromptTemplate:
    """The template that suits a tokenizer."""
    return PromptTemplate.for_vocabulary(
        tokenizer.get_vocab(), tokenizer.bos_token or "", tokenizer.all_special_tokens
    )
