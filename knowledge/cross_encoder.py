"""The reader of the reranker: MiniLM with a LoRA adapter, scoring (question, text) pairs.

Like the encoder it is exported once to ONNX, its weights then quantised to 8 bits: it reads several
passages a turn, and it was calibrated as it runs. The adapter (a few MB) is what is shipped.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from knowledge.encoder import export_onnx, in_length_order, minilm_folder, onnx_session, padded
from knowledge.errors import EncoderError

log = logging.getLogger(__name__)
MAX_TOKENS = 144  # as in training
ADAPTER = "adapter_model.safetensors"


class CrossEncoder:
    """Scores texts for a question; higher logits are more likely answers."""

    def __init__(self, adapter: Path, engines: Path, threads: int = 2) -> None:
        if not (adapter / ADAPTER).is_file():
            raise EncoderError(
                f"{adapter} holds no reranker; train one with `python -m finetune reranker`"
            )
        digest = hashlib.sha256((adapter / ADAPTER).read_bytes()).hexdigest()[:12]
        exported = engines / f"reranker-{digest}-int8.onnx"
        if not exported.exists():
            log.info("exporting the reranker to ONNX, once: %s", exported)
            _export(_merged(adapter), exported)
        self._run = onnx_session(exported, threads)
        self._tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first")
        self._tokenizer.enable_padding()

    def score(self, question: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 (len(texts),) logits."""
        if not texts:
            return np.zeros(0, dtype=np.float32)
        rows = in_length_order(
            [len(w) for w in texts],
            lambda rows: self._run(padded(self._tokenizer, [(question, texts[r]) for r in rows])),
        )
        return np.asarray(rows, dtype=np.float32).reshape(-1)


def _export(module: Any, path: Path) -> None:
    """Export to ONNX and quantise the weights, a scale for each output channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = path.with_suffix(".whole")
    partial = path.with_suffix(f".{os.getpid()}.partial")
    export_onnx(module, whole)
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


def _merged(adapter: Path) -> Any:
    """torch module with the adapter merged into a full-precision MiniLM; one logit a row."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    base = AutoModelForSequenceClassification.from_pretrained(
        minilm_folder(), num_labels=1, attn_implementation="eager"
    )
    model = PeftModel.from_pretrained(base, adapter).merge_and_unload().eval()

    class Logit(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            return self.model(input_ids, attention_mask, token_type_ids).logits.squeeze(-1)

    return Logit().eval()
