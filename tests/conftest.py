"""Shared fixtures: real parts, built once a session, and fakes that implement the real seams."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from knowledge.encoder import Encoder, load_encoder
from knowledge.language import Detector

REPOSITORY = Path(__file__).parent.parent


class WordLengthEncoder:
    """A fake encoder: a text's vector counts its words by length. Deterministic, no model."""

    name = "word-lengths"
    dimensions = 16

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded.extend(texts)
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[min(len(word), self.dimensions) - 1] += 1
            row[0] += 0.01
        return rows / np.linalg.norm(rows, axis=1, keepdims=True) if len(texts) else rows

    def known_share(self, text: str, language: str = "") -> float:
        return float(text.isascii())


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where exported engines are kept: the developer's own cache when there is one, else a folder
    that the processes of a parallel run share, so that each engine is exported once."""
    own = REPOSITORY / ".frontdesk" / "engines"
    if own.is_dir():
        return own
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "engines"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture(scope="session")
def encoder(engines: Path) -> Encoder:
    """The real encoder."""
    return load_encoder(None, engines, threads=2)


@pytest.fixture
def word_lengths() -> WordLengthEncoder:
    return WordLengthEncoder()


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector()
