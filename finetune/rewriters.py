"""Models that say messages in other words: a language model, or a pair of translation models.

Back-translation: Sennrich, Haddow and Birch, "Improving neural machine translation models with
monolingual data", ACL 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from finetune.errors import BaseModelError
from finetune.models import load_base

_BATCH = 16
_MAX_TOKENS = 64
_SEED = 20261126
_REQUEST = (
    "Write this customer's message in other words, in the same language and with the same "
    "meaning. Answer with the message alone.\n\n{text}"
)


class LanguageModelRewriter:
    """Asks an instruction-tuned causal model. Raises BaseModelError when it cannot be loaded."""

    def __init__(self, folder: Path) -> None:
        self._model, self._tokenizer = load_base(folder)
        self._tokenizer.padding_side = "left"

    def rewrite(self, texts: Sequence[str]) -> list[str]:
        """See Rewriter; sampled, the same texts in the same way each time."""
        torch.manual_seed(_SEED)
        return [line for batch in _batches(texts) for line in self._written(batch)]

    @torch.inference_mode()
    def _written(self, texts: Sequence[str]) -> list[str]:
        prompts = [self._prompt(_REQUEST.format(text=text)) for text in texts]
        inputs = self._tokenizer(prompts, return_tensors="pt", padding=True)
        inputs = {k: inputs[k].to(self._model.device) for k in ("input_ids", "attention_mask")}
        written = self._model.generate(
            **inputs, max_new_tokens=_MAX_TOKENS, do_sample=True, temperature=0.8,
            pad_token_id=self._tokenizer.pad_token_id,
        )  # fmt: skip
        said = written[:, inputs["input_ids"].shape[1] :]
        return [_first_line(t) for t in self._tokenizer.batch_decode(said, True)]

    def _prompt(self, request: str) -> str:
        if not self._tokenizer.chat_template:
            return request + "\n\n"
        message = [{"role": "user", "content": request}]
        prompt: str = self._tokenizer.apply_chat_template(
            message, tokenize=False, add_generation_prompt=True
        )
        return prompt


class BackTranslation:
    """Translates with one sequence-to-sequence model and back with another, such as a pair of
    Marian models. Raises BaseModelError when one cannot be loaded."""

    def __init__(self, there: Path, back: Path) -> None:
        self._models = [_translator(folder) for folder in (there, back)]

    def rewrite(self, texts: Sequence[str]) -> list[str]:
        """See Rewriter."""
        for model, tokenizer in self._models:
            texts = [t for batch in _batches(texts) for t in _translated(model, tokenizer, batch)]
        return list(texts)


def _translator(folder: Path) -> tuple[Any, Any]:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model: Any = AutoModelForSeq2SeqLM.from_pretrained(folder, use_safetensors=True)
    except Exception as error:  # whatever a library makes of a bad folder
        raise BaseModelError(
            f"no translation model can be loaded from {folder}: {error}"
        ) from error
    return model.eval(), tokenizer


@torch.inference_mode()
def _translated(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[str]:
    inputs = tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True)
    inputs = {k: inputs[k] for k in ("input_ids", "attention_mask")}
    written = model.generate(**inputs, max_new_tokens=_MAX_TOKENS)
    return [_first_line(t) for t in tokenizer.batch_decode(written, skip_special_tokens=True)]


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[at : at + _BATCH] for at in range(0, len(texts), _BATCH)]


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
