"""A linear text classifier over the encoder's vector and hashed terms, with calibrated output.

The vector carries meaning, the hashed terms carry languages that the encoder does not know.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from knowledge.encoder import Encoder, Vectors
from knowledge.errors import KnowledgeError
from knowledge.segment import stem, words

HASH_BUCKETS = 4096


def hashed_terms(text: str) -> NDArray[np.float32]:
    """(HASH_BUCKETS,) unit vector: stems, pairs of neighbours, and for CJK single characters."""
    stems = [stem(w) for w in words(text)]
    terms = stems + [f"{a} {b}" for a, b in zip(stems, stems[1:], strict=False)]
    terms += [c for c in text if "\u4e00" <= c <= "\u9fff"]
    vector = np.zeros(HASH_BUCKETS, dtype=np.float32)
    for term in terms:
        vector[zlib.crc32(term.encode()) % HASH_BUCKETS] += 1
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector


def features(text: str, vector: Vectors, known: float) -> NDArray[np.float32]:
    """Row of the classifier: the encoder's vector scaled by how much it knows, then the terms."""
    return np.concatenate([vector * known, 0.7 * hashed_terms(text)])


def feature_rows(texts: Sequence[str], encoder: Encoder) -> NDArray[np.float32]:
    """float32 (len(texts), dimensions + HASH_BUCKETS)."""
    vectors = encoder.embed(texts)
    return np.stack(
        [features(t, v, encoder.known_share(t)) for t, v in zip(texts, vectors, strict=True)]
    )


@dataclass(frozen=True, slots=True)
class TextClassifier:
    """Weights (labels, features), bias (labels,) and the temperature that calibrates them.

    Temperature scaling: Guo et al., "On calibration of modern neural networks", ICML 2017.
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float
    encoder_name: str

    def probabilities(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """(labels,) calibrated probabilities of one feature row."""
        logits = (self.weights @ row + self.bias) / self.temperature
        exponentials = np.exp(logits - logits.max())
        return np.asarray(exponentials / exponentials.sum(), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors, then manifest.json, whose presence means complete."""
        folder.mkdir(parents=True, exist_ok=True)
        # safetensors writes the buffer as it lies in memory, whatever the strides say.
        tensors: dict[str, NDArray[Any]] = {
            "weights": np.ascontiguousarray(self.weights, dtype=np.float16),
            "bias": np.ascontiguousarray(self.bias),
        }
        save_file(tensors, folder / "weights.safetensors")
        manifest = {
            "labels": self.labels,
            "temperature": round(self.temperature, 4),
            "encoder": self.encoder_name,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False))

    @classmethod
    def load(cls, folder: Path) -> TextClassifier:
        """Inverse of save. Raises KnowledgeError when the folder holds no classifier."""
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            tensors = load_file(folder / "weights.safetensors")
        except (OSError, ValueError) as error:
            raise KnowledgeError(
                f"{folder} holds no classifier; train one with `python -m finetune intents`"
            ) from error
        return cls(
            labels=tuple(manifest["labels"]),
            weights=tensors["weights"].astype(np.float32),
            bias=tensors["bias"],
            temperature=manifest["temperature"],
            encoder_name=manifest["encoder"],
        )
