"""The text tower: titles to vectors whose cosine says what is bought together.

all-MiniLM-L6-v2 as taught here, with one more LoRA adapter, which `python -m finetune recommender`
makes. Both towers of a two-tower model (Yi et al., "Sampling-bias-corrected neural modeling for
large corpus item recommendations", RecSys 2019) are this one: a customer's vector is the mean of
what was bought.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from knowledge.engines import Run, bulk_session, export_onnx, in_length_order, padded, torch_engine
from knowledge.errors import RecommenderError
from knowledge.hanzi import simplified
from knowledge.minilm import (
    ADAPTER,
    EMBEDDINGS,
    ENCODER_ADAPTER,
    backbone,
    extended_tokenizer,
    minilm_folder,
)
from knowledge.recommend.types import Floats

log = logging.getLogger(__name__)
MAX_TOKENS = 32  # of a title with its category; as in training


def tower_tokenizer() -> Tokenizer:
    """The tokenizer of the tower, set to cut and pad rows."""
    tokenizer = extended_tokenizer(minilm_folder(), ENCODER_ADAPTER)
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    return tokenizer


def tower_base() -> Any:
    """The torch model that the tower's adapter sits on."""
    return backbone(minilm_folder(), ENCODER_ADAPTER, ENCODER_ADAPTER)


class TextTower:
    """Embeds goods; `folder` holds the adapter, or is None for the encoder as it is.

    Raises RecommenderError when the folder holds no adapter.
    """

    def __init__(self, folder: Path | None, engines: Path, threads: int = 2) -> None:
        if folder and not (folder / ADAPTER).is_file():
            raise RecommenderError(f"{folder} holds no text tower; train the recommender anew")
        self.name = f"tower-{_digest(folder)}"
        self._tokenizer = tower_tokenizer()
        self._run = _engine(folder, engines / f"{self.name}.onnx", threads)

    def embed(self, texts: Sequence[str]) -> Floats:
        """float32 (len(texts), width), rows L2-normalised."""
        rows = in_length_order(
            [len(text) for text in texts],
            lambda rows: self._run(self._tokens([texts[r] for r in rows]))[0],
        )
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def _tokens(self, texts: Sequence[str]) -> dict[str, Any]:
        return padded(self._tokenizer.encode_batch([simplified(text) for text in texts]))


def _digest(folder: Path | None) -> str:
    digest = hashlib.sha256()
    for path in (folder / ADAPTER,) if folder else ():
        digest.update(path.read_bytes())
    for name in (ADAPTER, EMBEDDINGS):
        digest.update((ENCODER_ADAPTER / name).read_bytes())
    return digest.hexdigest()[:12]


def _engine(folder: Path | None, exported: Path, threads: int) -> Run:
    try:
        if not exported.exists():
            log.info("exporting the text tower to ONNX, once: %s", exported)
            export_onnx(_pooled(folder), exported, ["vectors"])
    except Exception as error:  # any trouble of the exporter: the reference is always there
        log.warning("the text tower cannot be exported (%s); falling back to torch", error)
        return torch_engine(_pooled(folder), threads)
    return bulk_session(exported, threads)


def _pooled(folder: Path | None) -> Any:
    """torch module: MiniLM with the adapter, mean over unmasked tokens, L2 norm."""
    import torch
    from peft import PeftModel

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            base = tower_base()
            if folder:
                base = PeftModel.from_pretrained(base, folder).merge_and_unload()
            self.encoder = base.eval()

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            hidden = self.encoder(input_ids, attention_mask, token_type_ids).last_hidden_state
            return mean_pooled(hidden, attention_mask)

    return Pooled().eval()


def mean_pooled(hidden: Any, mask: Any) -> Any:
    """(texts, tokens, width) to unit vectors (texts, width): the mean of unmasked tokens."""
    import torch

    weights = mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(mean, dim=-1)
