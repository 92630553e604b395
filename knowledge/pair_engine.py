"""The engine of a network that reads two texts together: MiniLM with an adapter and heads of its
own, exported once to ONNX. For single turns its weights have 8 bits; `bulk` is for documents by the
thousand, in bfloat16."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from knowledge.engines import bulk_session, export_onnx, onnx_session, padded
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

if TYPE_CHECKING:
    from knowledge.heads import Headed

log = logging.getLogger(__name__)


class PairEngine:
    """Runs the network of a folder over pairs of texts.

    `network` makes the torch module that takes the folder's heads; it is only called to export it.
    Raises EncoderError when the folder holds no such network.
    """

    def __init__(
        self,
        folder: Path,
        engines: Path,
        network: Callable[[Any], Headed],
        outputs: list[str],
        *,
        threads: int,
        max_tokens: int,
        bulk: bool,
    ) -> None:
        if not (folder / HEADS).is_file():
            raise EncoderError(
                f"{folder} holds no {folder.name}; "
                f"train one with `python -m finetune {folder.name}`"
            )
        self.name = f"{folder.name}-{adapter_digest(folder)}"
        exported = engines / f"{self.name}{'' if bulk else '-int8'}.onnx"
        if not exported.exists():
            log.info("exporting the %s to ONNX, once: %s", folder.name, exported)
            net = network(backbone(minilm_folder(), ENCODER_ADAPTER, folder))
            net.load_heads(folder)
            export = export_onnx if bulk else _export_quantised
            export(net.eval(), exported, outputs)
        self._run = bulk_session(exported, threads) if bulk else onnx_session(exported, threads)
        self._tokenizer = extended_tokenizer(minilm_folder(), ENCODER_ADAPTER)
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        self._tokenizer.enable_padding()

    def run(
        self, pairs: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[Encoding, tuple[NDArray[np.float32], ...]]]:
        """The tokens of each pair, and its row of each of the outputs."""
        encodings = self._tokenizer.encode_batch([(simplified(a), simplified(b)) for a, b in pairs])
        return zip(encodings, zip(*self._run(padded(encodings)), strict=True), strict=True)


def _export_quantised(module: Any, path: Path, outputs: list[str]) -> None:
    """Export to ONNX and quantise the weights, a scale for each output channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = path.with_suffix(f".{os.getpid()}.whole")
    partial = path.with_suffix(f".{os.getpid()}.partial")
    export_onnx(module, whole, outputs)
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
