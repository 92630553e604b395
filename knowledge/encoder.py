"""The encoder: texts to unit vectors, on the fastest exact engine found.

The embedded default is all-MiniLM-L6-v2 with the adapter that taught it Chinese and the questions
of shops (`weights/encoder`). It is exported once to ONNX (the same order as torch, about three
times faster per query); torch is the fallback where the export fails.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge.digests import file_digest
from knowledge.engines import (
    Run,
    bulk_session,
    export_onnx,
    in_length_order,
    onnx_session,
    padded,
    torch_engine,
)
from knowledge.errors import EncoderError
from knowledge.hanzi import simplified
from knowledge.minilm import (
    ADAPTER,
    EMBEDDINGS,
    ENCODER_ADAPTER,
    backbone,
    extended_tokenizer,
    languages_of,
    minilm_folder,
    verify_minilm,
)

log = logging.getLogger(__name__)

MAX_TOKENS = 256  # as all-MiniLM-L6-v2 was trained (its model card)
WEIGHTS = "model.safetensors"
_READING = "hans"  # changed when texts are put to the model in another way

Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """Texts to vectors; equal `name` means equal vectors, to within the rounding of bfloat16."""

    name: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 (len(texts), dimensions), rows L2-normalised."""
        ...

    def known_share(self, text: str, language: str = "") -> float:
        """Share of the text's tokens that the encoder reads and has a vector for, 0 to 1; 0 in a
        language that it was not taught."""
        ...


class MiniLM:
    """A BERT-like sentence encoder with mean pooling (Reimers and Gurevych, arXiv 1908.10084).

    `folder` holds a sentence-transformers model, `adapter` what `python -m finetune encoder` made
    of it; `engines` is where the ONNX export is kept; `bulk` is for documents by the thousand.
    """

    def __init__(
        self,
        folder: Path,
        engines: Path,
        threads: int = 2,
        adapter: Path | None = None,
        *,
        bulk: bool = False,
    ) -> None:
        digests = [verify_minilm(folder) if folder == minilm_folder() else _digest(folder, WEIGHTS)]
        if adapter:
            digests += [_digest(adapter, name) for name in (ADAPTER, EMBEDDINGS)]
        base = "minilm" if folder == minilm_folder() else folder.name
        self.name = "-".join([base, _READING, *(d[:12] for d in digests)])
        self.dimensions = int(json.loads((folder / "config.json").read_text())["hidden_size"])
        self._tokenizer = extended_tokenizer(folder, adapter)
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        self._languages = languages_of(adapter) if adapter else frozenset()
        self._unknown = self._tokenizer.token_to_id("[UNK]") or 0
        self._run = _engine(folder, adapter, engines / f"{self.name}.onnx", threads, bulk)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 (len(texts), dimensions), rows L2-normalised."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        encodings = self._tokenizer.encode_batch
        rows = in_length_order(
            [len(t) for t in texts],
            lambda rows: self._run(padded(encodings([simplified(texts[r]) for r in rows])))[0],
        )
        return np.stack(rows)

    def known_share(self, text: str, language: str = "") -> float:
        """Share of tokens that are read and are not [UNK], 0 to 1: low for a script that it was not
        taught, and for a text of which it sees but the beginning."""
        if language and self._languages and language not in self._languages:
            return 0.0
        encoding = self._tokenizer.encode(simplified(text), add_special_tokens=False)
        known = len(encoding.ids) - encoding.ids.count(self._unknown)
        beyond = sum(sum(rest.attention_mask) for rest in encoding.overflowing)
        whole = len(encoding.ids) + beyond
        return known / whole if whole else 0.0


def _digest(folder: Path, name: str) -> str:
    if not (folder / name).is_file():
        raise EncoderError(f"{folder} holds no {name}; give a complete model folder")
    return file_digest(folder / name)


def _engine(folder: Path, adapter: Path | None, exported: Path, threads: int, bulk: bool) -> Run:
    try:
        if not exported.exists():
            log.info("exporting the encoder to ONNX, once: %s", exported)
            export_onnx(_pooled(folder, adapter), exported, ["vectors"])
    except Exception as error:  # any trouble of the exporter: the reference is always there
        log.warning("the encoder cannot be exported (%s); falling back to torch", error)
        return torch_engine(_pooled(folder, adapter), threads)
    return (bulk_session if bulk else onnx_session)(exported, threads)


def _pooled(folder: Path, adapter: Path | None) -> Any:
    """torch module: encoder, mean over unmasked tokens, L2 norm."""
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = backbone(folder, adapter, adapter)

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            hidden = self.encoder(input_ids, attention_mask, token_type_ids).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, dim=-1)

    return Pooled().eval()


def load_encoder(
    folder: Path | None, engines: Path, threads: int, *, bulk: bool = False
) -> Encoder:
    """The encoder in folder, or the embedded MiniLM as taught here. Raises EncoderError."""
    if folder:
        return MiniLM(folder, engines, threads, bulk=bulk)
    return MiniLM(minilm_folder(), engines, threads, ENCODER_ADAPTER, bulk=bulk)
