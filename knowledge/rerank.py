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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge.segment import content_words, split_sentences
from knowledge.store import scope_of
from knowledge.types import Chunk

if TYPE_CHECKING:
    from knowledge.retrieve import Index

MAX_WINDOW_SENTENCES = 3
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# With less than half of its tokens known, the encoder's opinion is noise.
MIN_KNOWN_SHARE = 0.5
FEATURES = ("bias", "reader", "coverage", "cosine", "fused", "unknown", "numbers")
READ_AT_ONCE = 2
# A relevance from which the candidates below are not read any more; keeps most turns short.
SURE = 0.8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk found for a question; `score` is that of the stage that ranked it last."""

    row: int
    score: float
    cosine: float
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
    """Logistic weights over FEATURES, with the reader and without it."""

    read: tuple[float, ...]
    lexical: tuple[float, ...]

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """From the JSON file that `finetune reranker` writes."""
        rows = json.loads(path.read_text())
        return cls(*(tuple(rows[kind][name] for name in FEATURES) for kind in ("read", "lexical")))

    def relevance(self, features: Sequence[float], with_reader: bool) -> float:
        """Probability that a candidate answers."""
        weights = self.read if with_reader else self.lexical
        logit = sum(w * f for w, f in zip(weights, features, strict=True))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))


class CrossEncoderReranker:
    """Reads the first candidates a few at a time, until one is sure to answer."""

    def __init__(self, scorer: PairScorer, calibration: Calibration, passages: int = 6) -> None:
        self.scorer = scorer
        self.calibration = calibration
        self.passages = passages

    def rerank(
        self, question: str, candidates: Sequence[Candidate], index: Index, known: float
    ) -> list[Candidate]:
        """Read, weigh, sort; candidates that were not read follow in their old order."""
        with_reader = known >= MIN_KNOWN_SHARE
        asked = content_words(question)
        step = READ_AT_ONCE if with_reader else self.passages
        read: list[Candidate] = []
        while len(read) < min(self.passages, len(candidates)):
            batch = candidates[len(read) : min(len(read) + step, self.passages)]
            rows = self.features(question, asked, batch, index, with_reader)
            for candidate, features in zip(batch, rows, strict=True):
                relevance = self.calibration.relevance(features, with_reader)
                quote = best_window(asked, candidate.chunk, index)
                read.append(replace(candidate, quote=quote, relevance=relevance, score=relevance))
            if max(c.relevance for c in read) >= SURE:
                break
        rest = [replace(c, score=0.0) for c in candidates[len(read) :]]
        return sorted(read, key=lambda c: -c.relevance) + rest

    def features(
        self,
        question: str,
        asked: Sequence[str],
        candidates: Sequence[Candidate],
        index: Index,
        with_reader: bool,
    ) -> list[tuple[float, ...]]:
        """Values of FEATURES for each candidate."""
        logits = np.zeros(len(candidates), dtype=np.float32)
        if with_reader:
            logits = self.scorer.score(question, [reading_text(c.chunk) for c in candidates])
        numbers = set(_NUMBER.findall(question))
        rows = []
        for candidate, logit in zip(candidates, logits, strict=True):
            lexical = index.lexical[scope_of(candidate.chunk)]
            text = candidate.chunk.indexed_text
            weight = sum(lexical.weight(w) for w in set(asked)) or 1.0
            unknown = sum(lexical.weight(w) for w in set(asked) if not lexical.knows(w))
            rows.append(
                (
                    1.0,
                    float(logit),
                    lexical.coverage(asked, text),
                    candidate.cosine,
                    candidate.score,
                    unknown / weight,
                    float(bool(numbers - set(_NUMBER.findall(text)))),
                )
            )
        return rows


def best_window(asked: Sequence[str], chunk: Chunk, index: Index) -> str:
    """The window that covers most of the question, preferring short ones and early ones."""
    lexical = index.lexical[scope_of(chunk)]
    windows = windows_of(chunk.text) or [chunk.text]
    return max(windows, key=lambda w: lexical.coverage(asked, w) - 0.0005 * len(w.split()))
