"""Rerank: read the question beside each candidate, and say how sure it is that it answers.

The cross-encoder (a LoRA adapter on MiniLM, trained by `python -m finetune reranker`) scores
(question, chunk). Its logit, lexical coverage and cosine go through a logistic model fitted on
shops full of near misses; the result is the probability that the chunk answers the question. Where
the encoder does not know the script of the question, a logistic model of lexical evidence is used.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge.segment import content_words, split_sentences
from knowledge.types import Chunk

if TYPE_CHECKING:
    from knowledge.retrieve import Index

MAX_WINDOW_SENTENCES = 3
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# With less than half of its tokens known, the encoder's opinion is noise.
MIN_KNOWN_SHARE = 0.5
# The fused score is left out: what it is worth depends on how many passages a shop has.
FEATURES = ("bias", "reader", "coverage", "cosine", "bm25", "unknown", "numbers")
READ_AT_ONCE = 2
# A relevance from which the candidates below are not read any more; keeps most turns short.
SURE = 0.8
# Which features each of the logistic models sees.
MODELS: dict[str, frozenset[str]] = {
    "read": frozenset(FEATURES),
    "prior": frozenset(FEATURES) - {"reader"},
    "lexical": frozenset(FEATURES) - {"reader", "cosine"},
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk found for a question; `score` is that of the stage that ranked it last.

    `cosine` is between the question and the chunk, `bm25` is divided by the best one found.
    """

    row: int
    score: float
    cosine: float
    bm25: float
    chunk: Chunk
    quote: str = ""
    relevance: float = 0.0


class PairScorer(Protocol):
    """Scores (question, text) pairs; one logit a text, higher is more likely an answer."""

    def score(self, question: str, texts: Sequence[str]) -> NDArray[np.float32]: ...


class Reranker(Protocol):
    """Orders candidates by how likely they answer."""

    def rerank(
        self, question: str, candidates: Sequence[Candidate], index: Index, known: float
    ) -> list[Candidate]:
        """Candidates with `quote` and `relevance` (0 to 1), best first."""
        ...


def reading_text(chunk: Chunk) -> str:
    """A chunk as the cross-encoder reads it: the title path, then the text on one line."""
    return " - ".join(chunk.title_path) + ": " + " ".join(chunk.text.split())


def windows_of(text: str) -> list[str]:
    """All stretches of one to three consecutive sentences, in reading order."""
    sentences = [s for line in text.splitlines() for s in split_sentences(line)]
    return [
        " ".join(sentences[start : start + size])
        for start in range(len(sentences))
        for size in range(1, MAX_WINDOW_SENTENCES + 1)
        if start + size <= len(sentences)
    ]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic weights over FEATURES, one row for each of MODELS."""

    weights: Mapping[str, tuple[float, ...]]

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """From the JSON file that `finetune reranker` writes."""
        rows = json.loads(path.read_text())
        return cls({kind: tuple(rows[kind][name] for name in FEATURES) for kind in MODELS})

    def relevance(self, kind: str, features: Sequence[float]) -> float:
        """Probability that a candidate answers, by the model `kind`."""
        logit = sum(w * f for w, f in zip(self.weights[kind], features, strict=True))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))


class CrossEncoderReranker:
    """Orders candidates by cheap evidence, then reads the first ones until one is sure."""

    def __init__(self, scorer: PairScorer, calibration: Calibration, passages: int = 6) -> None:
        self.scorer = scorer
        self.calibration = calibration
        self.passages = passages

    def rerank(
        self, question: str, candidates: Sequence[Candidate], index: Index, known: float
    ) -> list[Candidate]:
        """Weigh, read, sort; candidates that were not read follow in the order of the prior."""
        asked = frozenset(content_words(question))
        rows = cheap_features(question, asked, candidates, index)
        kind = "prior" if known >= MIN_KNOWN_SHARE else "lexical"
        weighed = sorted(
            ((self.calibration.relevance(kind, row), n) for n, row in enumerate(rows)), reverse=True
        )
        relevance = dict.fromkeys((n for _, n in weighed), 0.0)
        first = [n for _, n in weighed[: self.passages]]
        if kind == "lexical":
            relevance |= {n: r for r, n in weighed[: self.passages]}
        else:
            relevance |= self._read(question, candidates, rows, first)
        order = sorted(first, key=lambda n: -relevance[n]) + [n for _, n in weighed[len(first) :]]
        return [
            replace(
                candidates[n],
                quote=best_window(asked, candidates[n], index) if n in first else "",
                relevance=relevance[n],
                score=relevance[n],
            )
            for n in order
        ]

    def _read(
        self,
        question: str,
        candidates: Sequence[Candidate],
        rows: Sequence[tuple[float, ...]],
        order: Sequence[int],
    ) -> dict[int, float]:
        """Relevance of the candidates read, a few at a time, until one is sure to answer."""
        relevance: dict[int, float] = {}
        for start in range(0, len(order), READ_AT_ONCE):
            batch = order[start : start + READ_AT_ONCE]
            logits = self.scorer.score(question, [reading_text(candidates[n].chunk) for n in batch])
            for n, logit in zip(batch, logits, strict=True):
                features = with_reader(rows[n], float(logit))
                relevance[n] = self.calibration.relevance("read", features)
            if max(relevance.values()) >= SURE:
                break
        return relevance


def cheap_features(
    question: str, asked: Collection[str], candidates: Sequence[Candidate], index: Index
) -> list[tuple[float, ...]]:
    """Values of FEATURES for each candidate, the reader's being 0."""
    numbers = set(_NUMBER.findall(question))
    unknown = {scope: lexical.unknown(asked) for scope, lexical in index.lexical.items()}
    rows: list[tuple[float, ...]] = []
    for candidate in candidates:
        scope, position = index.place[candidate.row]
        lexical = index.lexical[scope]
        missing = bool(numbers) and bool(
            numbers - set(_NUMBER.findall(candidate.chunk.indexed_text))
        )
        rows.append(
            (
                1.0,
                0.0,
                lexical.coverage(asked, position),
                candidate.cosine,
                candidate.bm25,
                unknown[scope],
                float(missing),
            )
        )
    return rows


def with_reader(features: tuple[float, ...], logit: float) -> tuple[float, ...]:
    """Features with the cross-encoder's logit filled in."""
    return (features[0], logit, *features[2:])


def best_window(asked: Collection[str], candidate: Candidate, index: Index) -> str:
    """The window that covers most of the question, preferring short ones and early ones."""
    lexical = index.lexical[index.place[candidate.row][0]]
    windows = windows_of(candidate.chunk.text) or [candidate.chunk.text]
    return max(windows, key=lambda w: lexical.coverage_by(asked, w) - 0.0005 * len(w.split()))
