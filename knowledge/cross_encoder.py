"""A reader: does this text answer the question, and where?

MiniLM with a LoRA adapter and heads (a few MB, that is what is shipped), exported once to ONNX.
That of the reranker has weights in 8 bits: it reads several passages a turn, and it was calibrated
as it runs. That of the inspector reads documents by the thousand, in bfloat16.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge.engines import bulk_session, export_onnx, in_length_order, onnx_session, padded
from knowledge.errors import EncoderError
from knowledge.hanzi import simplified
from knowledge.minilm import (
    ENCODER_ADAPTER,
    HEADS,
    adapter_digest,
    backbone,
    extended_tokenizer,
    minilm_folder,
)

log = logging.getLogger(__name__)
MAX_TOKENS = 160  # as in training
MAX_ANSWER_TOKENS = 40
OUTPUTS = ["relevance", "start", "end"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader makes of a text.

    `relevance` is the logit that it answers; `pointed` is by how much (in nats) the best answer
    span beats "no answer here"; `span` is that span in the text, in characters.
    """

    relevance: float
    pointed: float
    span: tuple[int, int]


class CrossEncoder:
    """Reads texts for questions; `bulk` is for documents by the thousand."""

    def __init__(
        self, folder: Path, engines: Path, threads: int = 2, *, bulk: bool = False
    ) -> None:
        if not (folder / HEADS).is_file():
            raise EncoderError(
                f"{folder} holds no reader; train one with `python -m finetune {folder.name}`"
            )
        self.name = f"{folder.name}-{adapter_digest(folder)}"
        exported = engines / f"{self.name}{'' if bulk else '-int8'}.onnx"
        if not exported.exists():
            log.info("exporting the reader to ONNX, once: %s", exported)
            if bulk:
                export_onnx(_merged(folder), exported, OUTPUTS)
            else:
                _export_quantised(_merged(folder), exported)
        self._run = bulk_session(exported, threads) if bulk else onnx_session(exported, threads)
        self._tokenizer = extended_tokenizer(minilm_folder(), ENCODER_ADAPTER)
        self._tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first")
        self._tokenizer.enable_padding()

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        """One reading a text, in order."""
        return self.read_pairs([(question, text) for text in texts])

    def read_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        """One reading a (question, text), in order."""
        return in_length_order(
            [len(question) + len(text) for question, text in pairs],
            lambda rows: self._read([pairs[r] for r in rows]),
        )

    def _read(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        encodings = self._tokenizer.encode_batch([(simplified(q), simplified(t)) for q, t in pairs])
        relevance, start, end = self._run(padded(encodings))
        return [
            Reading(float(relevance[n]), *best_span(start[n], end[n], e.type_ids, e.offsets))
            for n, e in enumerate(encodings)
        ]


def best_span(
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    type_ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
) -> tuple[float, tuple[int, int]]:
    """(logit of the best span over that of no answer, the span in characters of the text)."""
    tokens = enumerate(zip(type_ids, offsets, strict=True))
    inside = [n for n, (kind, (a, b)) in tokens if kind and b > a]
    if not inside:
        return -30.0, (0, 0)
    first, count = inside[0], len(inside)
    sums = start[first : first + count, None] + end[None, first : first + count]
    allowed = np.triu(np.ones_like(sums)) - np.triu(np.ones_like(sums), MAX_ANSWER_TOKENS)
    sums = np.where(allowed > 0, sums, -np.inf)
    i, j = divmod(int(sums.argmax()), count)
    margin = float(sums[i, j] - start[0] - end[0])
    return margin, (offsets[first + i][0], offsets[first + j][1])


def _export_quantised(module: Any, path: Path) -> None:
    """Export to ONNX and quantise the weights, a scale for each output channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = path.with_suffix(".whole")
    partial = path.with_suffix(f".{os.getpid()}.partial")
    export_onnx(module, whole, OUTPUTS)
    logging.disable(logging.INFO)  # it logs every tensor on the root logger
    try:
        quantize_dynamic(
            whole,
            partial,
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul"],
        )
    finally:
        logging.disable(logging.NOTSET)
    partial.replace(path)
    whole.unlink()


def _merged(folder: Path) -> Any:
    """The torch module with the adapter merged into a full-precision MiniLM."""
    from knowledge.reading_net import ReadingNet

    net = ReadingNet(backbone(minilm_folder(), ENCODER_ADAPTER, folder))
    net.load_heads(folder)
    return net.eval()
