"""The encoder: texts to unit vectors, on the fastest exact engine found.

The embedded default is all-MiniLM-L6-v2 with the adapter that taught it Chinese and the questions
of shops (`weights/encoder`). It is exported once to ONNX and runs on ONNX Runtime (the same order
as torch, about three times faster per query); torch is the fallback where the export fails.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from knowledge.errors import EncoderError
from knowledge.minilm import (
    ADAPTER,
    EMBEDDINGS,
    ENCODER_ADAPTER,
    backbone,
    extended_tokenizer,
    minilm_folder,
    verify_minilm,
)

log = logging.getLogger(__name__)

MAX_TOKENS = 256  # as all-MiniLM-L6-v2 was trained (its model card)
_BATCH = 32
WEIGHTS = "model.safetensors"

_Row = TypeVar("_Row")
Vectors = NDArray[np.float32]
Run = Callable[[dict[str, NDArray[np.int64]]], Sequence[NDArray[np.float32]]]


class Encoder(Protocol):
    """Texts to vectors; equal `name` means equal vectors."""

    name: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 (len(texts), dimensions), rows L2-normalised."""
        ...

    def known_share(self, text: str) -> float:
        """Share of the text's tokens that the encoder has a vector for, 0 to 1."""
        ...


def onnx_session(path: Path, threads: int) -> Run:
    """An ONNX Runtime session as a function from inputs to its outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Encoder and reader take turns: threads of the one that spin would slow the other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)


def export_onnx(module: Any, path: Path, outputs: list[str]) -> None:
    """Export a torch module of (input_ids, attention_mask, token_type_ids) to path, atomically."""
    import torch

    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=512)
    example = torch.ones((2, 16), dtype=torch.int64)
    mask = example.clone()
    mask[1, 9:] = 0  # with an all-ones mask the exporter would drop masking altogether
    partial = path.with_suffix(f".{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        torch.onnx.export(
            module.eval(),
            (example, mask, example * 0),
            partial,
            input_names=["input_ids", "attention_mask", "token_type_ids"],
            output_names=outputs,
            dynamic_shapes=({0: batch, 1: length},) * 3,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    partial.replace(path)


def padded(rows: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
    """Inputs of a batch of rows that the tokenizer padded."""
    return {
        "input_ids": np.array([r.ids for r in rows], dtype=np.int64),
        "attention_mask": np.array([r.attention_mask for r in rows], dtype=np.int64),
        "token_type_ids": np.array([r.type_ids for r in rows], dtype=np.int64),
    }


def in_length_order(
    lengths: Sequence[int], run: Callable[[list[int]], Iterable[_Row]]
) -> list[_Row]:
    """Run batches of rows of like length and return the outputs in the original order."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    outputs: list[Any] = [None] * len(order)
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        for row, output in zip(rows, run(rows), strict=True):
            outputs[row] = output
    return outputs


class MiniLM:
    """A BERT-like sentence encoder with mean pooling (Reimers and Gurevych, arXiv 1908.10084).

    `folder` holds a sentence-transformers model, `adapter` what `python -m finetune encoder` made
    of it; `engines` is where the ONNX export is kept.
    """

    def __init__(
        self, folder: Path, engines: Path, threads: int = 2, adapter: Path | None = None
    ) -> None:
        digests = [verify_minilm(folder) if folder == minilm_folder() else _digest(folder, WEIGHTS)]
        if adapter:
            digests += [_digest(adapter, name) for name in (ADAPTER, EMBEDDINGS)]
        base = "minilm" if folder == minilm_folder() else folder.name
        self.name = "-".join([base, *(d[:12] for d in digests)])
        self.dimensions = int(json.loads((folder / "config.json").read_text())["hidden_size"])
        self._tokenizer = extended_tokenizer(folder, adapter)
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        self._unknown = self._tokenizer.token_to_id("[UNK]") or 0
        self._run = _engine(folder, adapter, engines / f"{self.name}.onnx", threads)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 (len(texts), dimensions), rows L2-normalised."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        encodings = self._tokenizer.encode_batch
        rows = in_length_order(
            [len(t) for t in texts],
            lambda rows: self._run(padded(encodings([texts[r] for r in rows])))[0],
        )
        return np.stack(rows)

    def known_share(self, text: str) -> float:
        """Share of tokens other than [UNK], 0 to 1; low for a script that it was not taught."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return 1 - ids.count(self._unknown) / len(ids) if ids else 0.0


def _digest(folder: Path, name: str) -> str:
    if not (folder / name).is_file():
        raise EncoderError(f"{folder} holds no {name}; give a complete model folder")
    with (folder / name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _engine(folder: Path, adapter: Path | None, exported: Path, threads: int) -> Run:
    try:
        if not exported.exists():
            log.info("exporting the encoder to ONNX, once: %s", exported)
            export_onnx(_pooled(folder, adapter), exported, ["vectors"])
        return onnx_session(exported, threads)
    except Exception as error:  # any engine trouble: the reference engine is always there
        log.warning("ONNX Runtime cannot be used (%s); falling back to torch", error)
        return _torch_engine(_pooled(folder, adapter), threads)


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


def _torch_engine(module: Any, threads: int) -> Run:
    import torch

    torch.set_num_threads(threads)

    def run(inputs: dict[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        with torch.inference_mode():
            return [module(*(torch.from_numpy(v) for v in inputs.values())).numpy()]

    return run


def load_encoder(folder: Path | None, engines: Path, threads: int) -> Encoder:
    """The encoder in folder, or the embedded MiniLM as taught here. Raises EncoderError."""
    if folder:
        return MiniLM(folder, engines, threads)
    return MiniLM(minilm_folder(), engines, threads, ENCODER_ADAPTER)
