"""Fit the logistic model that turns the reranker's evidence into a probability of answering.

Each shop (`corpus.jsonl`, `questions.jsonl`) is loaded into a knowledge base of its own; the
candidates found for its questions are the rows, and a row is right when it belongs to a relevant
passage and holds every fact asked for. Unanswerable questions have only wrong rows.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from finetune.reranker_data import Shop
from knowledge.encoder import Encoder
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.refresh import Refresher
from knowledge.rerank import FEATURES, MIN_KNOWN_SHARE, Calibration, CrossEncoderReranker, PairScorer
from knowledge.retrieve import KnowledgeBase
from knowledge.segment import content_words
from knowledge.settings import KnowledgeSettings
from knowledge.versions import Versions

# Stronger regularisation than scikit-learn's default: a few hundred questions, eight features.
_C = 0.3


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """One candidate of one question: its features, whether it answers, and its best window."""

    question: str
    answerable: bool
    features: tuple[float, ...]
    right: bool
    with_reader: bool


@contextmanager
def shop_knowledge(
    shop: Shop, encoder: Encoder, scorer: PairScorer, settings: KnowledgeSettings
) -> Iterator[tuple[KnowledgeBase, CrossEncoderReranker]]:
    """A temporary knowledge base of a shop, with an uncalibrated reranker."""
    detector = Detector()
    nothing = Calibration((0.0,) * len(FEATURES), (0.0,) * len(FEATURES))
    reranker = CrossEncoderReranker(scorer, nothing, settings.rerank_passages)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        rows = [{"id": i, "title": title, "text": text} for i, title, text in shop.passages]
        corpus.write_text("\n".join(json.dumps(row) for row in rows))
        versions = Versions(Path(folder) / "home")
        Refresher(versions, Loader(detector), encoder, settings).refresh([corpus])
        yield KnowledgeBase(versions, encoder, detector, reranker, settings), reranker


def judged_rows(
    shop: Shop, encoder: Encoder, scorer: PairScorer, settings: KnowledgeSettings
) -> list[JudgedRow]:
    """Rows of all questions of a shop."""
    rows: list[JudgedRow] = []
    with shop_knowledge(shop, encoder, scorer, settings) as (knowledge, reranker):
        index = knowledge.index()
        for number, question in enumerate(shop.questions):
            known = encoder.known_share(question.text)
            with_reader = known >= MIN_KNOWN_SHARE
            vector = encoder.embed([question.text])[0]
            found = knowledge.candidates(question.text, vector, 10, "fused")
            first = found[: settings.rerank_passages]
            asked = content_words(question.text)
            read = reranker.features(question.text, asked, first, index, with_reader)
            for candidate, features in zip(first, read, strict=True):
                facts = all(any(f in candidate.chunk.text for f in alternatives) for alternatives in question.facts)
                right = candidate.chunk.document_id in question.relevant and facts
                name = f"{shop.name}:{number}"
                rows.append(JudgedRow(name, bool(question.relevant), features, right, with_reader))
    return rows


def fit(rows: Sequence[JudgedRow]) -> tuple[float, ...]:
    """Logistic weights over FEATURES; the first is the bias."""
    values = np.array([r.features[1:] for r in rows])
    scale = values.std(0) + 1e-9
    model = LogisticRegression(C=_C, max_iter=2000)
    model.fit(values / scale, [r.right for r in rows])
    weights = model.coef_[0] / scale
    return (float(model.intercept_[0]), *(float(w) for w in weights))


def write_calibration(path: Path, read: Sequence[JudgedRow], lexical: Sequence[JudgedRow]) -> None:
    """Fit both models and write them."""
    rows = {
        kind: dict(zip(FEATURES, (round(w, 5) for w in fit(judged)), strict=True))
        for kind, judged in (("read", read), ("lexical", lexical))
    }
    path.write_text(json.dumps(rows, indent=1))
