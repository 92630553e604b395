"""Fit the logistic model that turns the reranker's evidence into a probability of answering.

Each shop (`corpus.jsonl`, `questions.jsonl`) is loaded into a knowledge base of its own; the
candidates found for its questions are the rows, and a row is right when it belongs to a relevant
passage and holds every fact asked for. Unanswerable questions have only wrong rows.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
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
from knowledge.rerank import (
    FEATURES,
    MODELS,
    Calibration,
    Candidate,
    PairScorer,
    cheap_features,
    reading_text,
    with_reader,
)
from knowledge.retrieve import Index, KnowledgeBase
from knowledge.segment import content_words
from knowledge.settings import KnowledgeSettings
from knowledge.versions import Versions

# Stronger regularisation than scikit-learn's default: a few hundred questions, six features.
_C = 0.3


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """One candidate of one question: its features, and whether it answers."""

    question: str
    answerable: bool
    features: tuple[float, ...]
    right: bool


@contextmanager
def shop_knowledge(
    shop: Shop, encoder: Encoder, settings: KnowledgeSettings
) -> Iterator[KnowledgeBase]:
    """A temporary knowledge base of a shop, for its candidates only."""
    detector = Detector()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        rows = [{"id": i, "title": title, "text": text} for i, title, text in shop.passages]
        corpus.write_text("\n".join(json.dumps(row) for row in rows))
        versions = Versions(Path(folder) / "home")
        Refresher(versions, Loader(detector), encoder, settings).refresh([corpus])
        yield KnowledgeBase(versions, encoder, detector, Unread(), settings)


class Unread:
    """A reranker that leaves the order as it is."""

    def rerank(
        self, question: str, candidates: Sequence[Candidate], index: Index, known: float
    ) -> list[Candidate]:
        """The candidates."""
        return list(candidates)


def judged_rows(
    shop: Shop, encoder: Encoder, scorer: PairScorer | None, settings: KnowledgeSettings
) -> list[JudgedRow]:
    """Rows of all questions of a shop; without a scorer the reader's feature is 0."""
    rows: list[JudgedRow] = []
    with shop_knowledge(shop, encoder, settings) as knowledge:
        index = knowledge.index()
        for number, question in enumerate(shop.questions):
            vector = encoder.embed([question.text])[0]
            found = knowledge.candidates(question.text, vector, 10, "fused")
            found = found[: settings.rerank_passages]
            asked = frozenset(content_words(question.text))
            cheap = cheap_features(question.text, asked, found, index)
            texts = [reading_text(c.chunk) for c in found]
            logits = scorer.score(question.text, texts) if scorer else np.zeros(len(found))
            for candidate, features, logit in zip(found, cheap, logits, strict=True):
                right = candidate.chunk.document_id in question.relevant and all(
                    any(f in candidate.chunk.text for f in alternatives)
                    for alternatives in question.facts
                )
                rows.append(
                    JudgedRow(
                        question=f"{shop.name}:{number}",
                        answerable=bool(question.relevant),
                        features=with_reader(features, float(logit)),
                        right=right,
                    )
                )
    return rows


def fit(rows: Sequence[JudgedRow], kind: str) -> tuple[float, ...]:
    """Logistic weights over FEATURES for one of MODELS; what it does not see weighs 0."""
    seen = np.array([name in MODELS[kind] for name in FEATURES[1:]])
    values = np.array([r.features[1:] for r in rows]) * seen
    scale = values.std(0) + 1e-9
    model = LogisticRegression(C=_C, max_iter=2000)
    model.fit(values / scale, [r.right for r in rows])
    weights = model.coef_[0] / scale * seen
    return (float(model.intercept_[0]), *(float(w) for w in weights))


def write_calibration(path: Path, rows: Mapping[str, Sequence[JudgedRow]]) -> Calibration:
    """Fit each of MODELS on its rows, write the file, and return what it holds."""
    fitted = {
        kind: dict(zip(FEATURES, (round(w, 5) for w in fit(judged, kind)), strict=True))
        for kind, judged in rows.items()
    }
    path.write_text(json.dumps(fitted, indent=1))
    return Calibration.load(path)
