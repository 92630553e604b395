"""Rerank: read the question beside each candidate, and say how sure it is that it answers.

The reader (a LoRA adapter on MiniLM, trained by `python -m finetune reranker`) looks at (question,
chunk), says whether the chunk answers and points at the place. What it says, lexical coverage and
cosine go through a logistic model fitted on shops full of near misses; the result is the
probability that the chunk answers the question. Where the encoder does not know the script of the
question, a logistic model of lexical evidence is used.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from knowledge.chunk import length_in_words
from knowledge.cross_encoder import Reading
from knowledge.segment import content_words, is_cjk, split_sentences
from knowledge.types import Chunk

if TYPE_CHECKING:
    from knowledge.retrieve import Index

MAX_WINDOW_SENTENCES = 3
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# With less than half of its tokens known, the encoder's opinion is noise.
MIN_KNOWN_SHARE = 0.5
# A lead is how far a candidate is before, or behind, the best of other documents: of two near
# misses that fit a question equally well, neither is likely to be its answer.
FEATURES = (
    "bias",
    "reader",
    "pointed",
    "coverage",
    "coverage_lead",
    "cosine",
    "cosine_lead",
    "bm25",
    "unknown",
    "numbers",
    "cjk",
    "cjk_cosine",
)
CALIBRATION = "calibration.json"
_MOST_ASKED = 50  # words of a question that leave the reader room for a passage
_ASKS = re.compile(r"[?？؟][\"'”’)\]]*$")
# Coverage and cosine that a question shares with a passage about something else nearby.
_MIDDLING = 0.4
# Languages that the reader learnt well; in others it is as sure and less often right, and what it
# says is weighed by the model `foreign`.
WELL_READ = frozenset({"", "en", "zh"})
# A relevance from which the candidates below are not read any more; keeps most turns short.
SURE = 0.8
# Which features each of the logistic models sees.
_READ = frozenset({"reader", "pointed"})
_LEADS = frozenset({"coverage_lead", "cosine_lead"})
MODELS: dict[str, frozenset[str]] = {
    "read": frozenset(FEATURES) - {"cjk_cosine"},
    "foreign": frozenset(FEATURES) - {"cjk", "cjk_cosine"},
    "prior": frozenset(FEATURES) - _READ - _LEADS,
    "lexical": frozenset(FEATURES) - _READ - {"cosine", "cosine_lead", "cjk_cosine"},
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk found for a question; `score` is that of the stage that ranked it last.

    `cosine` is between the question and the chunk, `bm25` is divided by the best one found;
    `weight` is what they made of it before it was read, `is_read` says that it was.
    """

    row: int
    score: float
    cosine: float
    bm25: float
    chunk: Chunk
    quote: str = ""
    relevance: float = 0.0
    weight: float = 0.0
    is_read: bool = False


class Reader(Protocol):
    """Reads texts for a question."""

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        """One reading a text, in order."""
        ...


class Reranker(Protocol):
    """Orders candidates by how likely they answer; `known` is the share of the question that the
    encoder reads and knows."""

    def fuse(
        self, question: str, candidates: Sequence[Candidate], index: Index, known: float
    ) -> list[Candidate]:
        """By what is known of them unread, best first."""
        ...

    def rerank(
        self,
        question: str,
        candidates: Sequence[Candidate],
        index: Index,
        known: float,
        passages: int,
    ) -> list[Candidate]:
        """Candidates, of which at most `passages` are read, with `quote` and `relevance` (0 to 1),
        best first."""
        ...


def reading_text(chunk: Chunk) -> str:
    """A chunk as the networks read it."""
    return as_read(chunk.title_path, chunk.text)


def as_read(title_path: Sequence[str], text: str) -> str:
    """The title path, then the text on one line."""
    return " - ".join(title_path) + ": " + " ".join(text.split())


def windows_of(text: str) -> list[str]:
    """All stretches of one to three consecutive sentences, in reading order."""
    sentences = [s for line in text.splitlines() for s in split_sentences(line)]
    return [
        " ".join(sentences[start : start + size])
        for start in range(len(sentences))
        for size in range(1, MAX_WINDOW_SENTENCES + 1)
        if start + size <= len(sentences)
    ]


def what_is_asked(message: str) -> str:
    """A message short enough to be read beside a passage: of a longer one the sentences that ask,
    and of the others those next to them, as many as fit and at least one."""
    sentences = split_sentences(message)
    if length_in_words(message) <= _MOST_ASKED or len(sentences) < 2:
        return message
    asking = [n for n, s in enumerate(sentences) if _ASKS.search(s)] or [len(sentences) - 1]
    others = sorted(
        set(range(len(sentences))) - set(asking),
        key=lambda n: min((abs(n - a), n > a) for a in asking),
    )
    kept: list[int] = []
    for n in [*reversed(asking), *others]:
        longer = " ".join(sentences[k] for k in sorted([*kept, n]))
        if kept and length_in_words(longer) > _MOST_ASKED:
            break
        kept.append(n)
    return " ".join(sentences[n] for n in sorted(kept))


def logistic(weights: Iterable[float], values: Iterable[float]) -> float:
    """The probability that a logistic model with these weights gives to these values."""
    logit = sum(w * v for w, v in zip(weights, values, strict=True))
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic weights over FEATURES, one row for each of MODELS."""

    weights: Mapping[str, tuple[float, ...]]

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """From the JSON file that `finetune reranker` writes; one fitted without shops in other
        languages weighs them like the rest."""
        rows = json.loads(path.read_text())
        rows.setdefault("foreign", rows["read"])
        return cls({kind: tuple(rows[kind][name] for name in FEATURES) for kind in MODELS})

    def relevance(self, kind: str, features: Sequence[float]) -> float:
        """Probability that a candidate answers, by the model `kind`."""
        return logistic(self.weights[kind], features)


class CrossEncoderReranker:
    """Orders candidates by cheap evidence, then reads the first ones until one is sure."""

    def __init__(self, reader: Reader, calibration: Calibration) -> None:
        self.reader = reader
        self.calibration = calibration

    def fuse(
        self, question: str, candidates: Sequence[Candidate], index: Index, known: float
    ) -> list[Candidate]:
        """By the weights that were fitted for the order."""
        rows = cheap_features(question, frozenset(content_words(question)), candidates, index)
        kind = model_for(known)
        weights = [self.calibration.relevance(kind, row) for row in rows]
        weighed = (replace(c, score=w) for c, w in zip(candidates, weights, strict=True))
        return sorted(weighed, key=lambda c: -c.score)

    def rerank(
        self,
        question: str,
        candidates: Sequence[Candidate],
        index: Index,
        known: float,
        passages: int,
    ) -> list[Candidate]:
        """Weigh, read, sort; candidates that were not read follow in the order of the prior."""
        asked = frozenset(content_words(question))
        rows = cheap_features(question, asked, candidates, index)
        kind = model_for(known)
        weights = [self.calibration.relevance(kind, row) for row in rows]
        candidates = [replace(c, weight=w) for c, w in zip(candidates, weights, strict=True)]
        order = sorted(range(len(rows)), key=lambda n: -weights[n])
        first = order[:passages]
        if kind == "prior":
            judged = self._read(question, candidates, rows, first)
        else:
            judged = [
                replace(
                    candidates[n],
                    quote=best_window(asked, candidates[n], index),
                    relevance=weights[n],
                    score=weights[n],
                    is_read=True,
                )
                for n in first
            ]
        least = min((c.relevance for c in judged), default=1.0)
        rest = [replace(candidates[n], score=min(weights[n], least)) for n in order[len(judged) :]]
        return sorted(judged, key=lambda c: -c.relevance) + rest

    def _read(
        self,
        question: str,
        candidates: Sequence[Candidate],
        rows: Sequence[tuple[float, ...]],
        order: Sequence[int],
    ) -> list[Candidate]:
        """The candidates read, one after another, until one is sure to answer."""
        judged: list[Candidate] = []
        asked = what_is_asked(question)
        for n in order:
            chunk = candidates[n].chunk
            text = reading_text(chunk)
            (reading,) = self.reader.read(asked, [text])
            kind = "read" if chunk.language in WELL_READ else "foreign"
            relevance = self.calibration.relevance(kind, with_reader(rows[n], reading))
            quote = sentence_at(chunk.text, text, reading.span)
            judged.append(
                replace(
                    candidates[n], quote=quote, relevance=relevance, score=relevance, is_read=True
                )
            )
            if relevance >= SURE:
                break
        return judged


def model_for(known: float) -> str:
    """Which of MODELS weighs candidates that were not read."""
    return "prior" if known >= MIN_KNOWN_SHARE else "lexical"


def cheap_features(
    question: str, asked: Collection[str], candidates: Sequence[Candidate], index: Index
) -> list[tuple[float, ...]]:
    """Values of FEATURES for each candidate, the reader's being 0."""
    numbers = set(_NUMBER.findall(question))
    words = {scope: lexical.asked(asked) for scope, lexical in index.lexical.items()}
    unknown = {scope: index.lexical[scope].unknown(held) for scope, held in words.items()}
    cjk = float(is_cjk(question))  # the reader is bolder in Chinese
    places = [index.place[c.row] for c in candidates]
    coverage = [index.lexical[s].coverage(words[s], position) for s, position in places]
    documents = [c.chunk.document_id for c in candidates]
    coverage_lead = leads(coverage, documents)
    cosine_lead = leads([c.cosine for c in candidates], documents)
    return [
        (
            1.0,
            0.0,
            0.0,
            coverage[n],
            coverage_lead[n],
            candidate.cosine,
            cosine_lead[n],
            candidate.bm25,
            unknown[places[n][0]],
            float(bool(numbers - set(_NUMBER.findall(candidate.chunk.indexed_text)))),
            cjk,
            cjk * candidate.cosine,
        )
        for n, candidate in enumerate(candidates)
    ]


def leads(values: Sequence[float], documents: Sequence[str]) -> list[float]:
    """Each value less the largest of other documents, or what a middling one would have."""
    best: dict[str, float] = {}
    for value, document in zip(values, documents, strict=True):
        best[document] = max(value, best.get(document, value))
    if len(best) < 2:
        return [v - _MIDDLING for v in values]
    (winner, first), (_, second) = nlargest(2, best.items(), key=itemgetter(1))
    return [v - (second if d == winner else first) for v, d in zip(values, documents, strict=True)]


def with_reader(features: tuple[float, ...], reading: Reading) -> tuple[float, ...]:
    """Features with the reader's filled in."""
    return (features[0], reading.relevance, reading.pointed, *features[3:])


def sentence_at(passage: str, text: str, span: tuple[int, int]) -> str:
    """The sentences of a passage that the span of its reading text touches, joined by spaces."""
    touched: list[str] = []
    position = len(text) - len(" ".join(passage.split()))
    for line in passage.splitlines():
        for sentence in split_sentences(line):
            start = text.find(" ".join(sentence.split()), position)
            position = max(position, start + 1)
            if start < span[1] and start + len(sentence) > span[0]:
                touched.append(sentence)
    return " ".join(touched)


def best_window(asked: Collection[str], candidate: Candidate, index: Index) -> str:
    """The window that covers most of the question, preferring short ones and early ones."""
    lexical = index.lexical[index.place[candidate.row][0]]
    windows = windows_of(candidate.chunk.text) or [candidate.chunk.text]
    return max(windows, key=lambda w: lexical.coverage_by(asked, w) - 0.0005 * len(w.split()))
