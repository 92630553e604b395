"""Which intents a message has, by MiniLM with the adapter that `python -m finetune intents` made.

An adapter of a few MB and a direction for each intent are what is kept; they are exported once to
ONNX, which takes five milliseconds a message.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from knowledge.engines import export_onnx, in_length_order, onnx_session, padded
from knowledge.errors import KnowledgeError
from knowledge.hanzi import simplified
from knowledge.minilm import (
    ENCODER_ADAPTER,
    adapter_digest,
    backbone,
    extended_tokenizer,
    minilm_folder,
)

log = logging.getLogger(__name__)
MAX_TOKENS = 64
MANIFEST = "manifest.json"
OUT_OF_SCOPE = "out_of_scope"

Advice = Literal["route", "clarify", "out_of_scope"]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bands:
    """What to do by the probability of the best intent: from `sure` on it is taken, below `low`
    the message is out of scope, between them the customer is asked which of two is meant."""

    low: float
    sure: float

    def advice(self, probability: float) -> Advice:
        """See the class."""
        if probability >= self.sure:
            return "route"
        return "clarify" if probability >= self.low else "out_of_scope"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder says of its classifier. `several`: a message may have several intents, each
    with a probability of its own, or none. `languages` are those that it was taught; to it
    everything in others looks out of scope. The temperature calibrates the probabilities (Guo et
    al., "On calibration of modern neural networks", ICML 2017)."""

    labels: tuple[str, ...]
    temperature: float
    bands: Bands
    several: bool = False
    languages: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises KnowledgeError when the folder holds none."""
        try:
            values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            bands = Bands(**values.pop("bands"))
            lists = {name: tuple(values.get(name, ())) for name in ("labels", "languages")}
            return cls(**values | lists | {"bands": bands})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise KnowledgeError(
                f"{folder} holds no intents of today's kind; train them with "
                "`python -m finetune intents`"
            ) from error

    def knows(self, language: str) -> bool:
        """Whether it was taught a language, or does not say which."""
        return not self.languages or language in self.languages

    def write(self, folder: Path) -> None:
        """Write it; its presence means that the folder is complete."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")

    def probabilities(self, logits: NDArray[np.floating[Any]]) -> Probabilities:
        """Calibrated, (rows, labels): of a row they sum to one, unless there can be several."""
        scaled = logits.astype(np.float64) / self.temperature
        if self.several:
            return np.asarray(1 / (1 + np.exp(-scaled)))
        exponentials = np.exp(scaled - scaled.max(1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(1, keepdims=True))


class IntentClassifier:
    """The classifier in a folder; `engines` is where its export is kept. Raises KnowledgeError."""

    def __init__(self, folder: Path, engines: Path, threads: int = 2) -> None:
        self.manifest = Manifest.read(folder)
        exported = engines / f"intents-{adapter_digest(folder)}.onnx"
        if not exported.exists():
            log.info("exporting the intents to ONNX, once: %s", exported)
            export_onnx(_merged(folder, len(self.manifest.labels)), exported, ["logits"])
        self._run = onnx_session(exported, threads)
        self._tokenizer = extended_tokenizer(minilm_folder(), ENCODER_ADAPTER)
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """(texts, labels), calibrated."""
        encode = self._tokenizer.encode_batch
        logits = in_length_order(
            [len(t) for t in texts],
            lambda rows: self._run(padded(encode([simplified(texts[r]) for r in rows])))[0],
        )
        return self.manifest.probabilities(np.stack(logits))


def _merged(folder: Path, intents: int) -> Any:
    """The torch module with both adapters merged into a full-precision MiniLM."""
    from peft import PeftModel

    from knowledge.intent_net import IntentNet

    base = backbone(minilm_folder(), ENCODER_ADAPTER, ENCODER_ADAPTER)
    net = IntentNet(PeftModel.from_pretrained(base, folder).merge_and_unload(), intents)
    net.load_heads(folder)
    return net.eval()
