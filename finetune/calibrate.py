"""Fit the weights that choose what the reranker reads, and those that turn what it knows of a
candidate into a probability that it answers.

Each shop is loaded into a knowledge base of its own; the
candidates found for its questions are the rows, and a row is right when it belongs to a relevant
passage and holds every fact asked for. Unanswerable questions have only wrong rows.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from finetune.errors import DataError
from finetune.reranker_data import Shop, ShopQuestion, answers, require_both_kinds
from knowledge.cross_encoder import CrossEncoder
from knowledge.encoder import Encoder
from knowledge.inspection.inspector import Uninspected
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.places import with_countries
from knowledge.refresh import Refresher
from knowledge.rerank import (
    CALIBRATION,
    FEATURES,
    MODELS,
    WELL_READ,
    Calibration,
    Candidate,
    Reader,
    cheap_features,
    reading_text,
    what_is_asked,
    with_reader,
)
from knowledge.retrieve import Index, KnowledgeBase
from knowledge.segment import content_words
from knowledge.settings import KnowledgeSettings
from knowledge.versions import Versions

# Inverse strength of the L2 penalty: the shops are few, and invented.
_C = 0.3
_FOREIGN_CAUTION = 0.44  # in log odds
_AGAINST = frozenset({"unknown", "numbers"})  # words and numbers that the passages lack
_EITHER_WAY = frozenset({"cjk", "cjk_cosine"})
Loss = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
# Model that weighs what was read -> threshold -> shares.
Outcomes = dict[str, dict[str, dict[str, float]]]
_THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)


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
        Refresher(versions, Loader(detector), encoder, Uninspected(), settings).refresh([corpus])
        yield KnowledgeBase(versions, encoder, detector, Unread(), settings)


class Unread:
    """A reranker that leaves the order as it is."""

    def fuse(
        self, question: str, candidates: Sequence[Candidate], index: Index, known: float
    ) -> list[Candidate]:
        """The candidates."""
        return list(candidates)

    def rerank(
        self,
        question: str,
        candidates: Sequence[Candidate],
        index: Index,
        known: float,
        passages: int,
    ) -> list[Candidate]:
        """The candidates."""
        return list(candidates)


def cheap_rows(shop: Shop, encoder: Encoder, settings: KnowledgeSettings) -> list[JudgedRow]:
    """All candidates found for the questions of a shop, unread."""
    with shop_knowledge(shop, encoder, settings) as knowledge:
        return [
            JudgedRow(name, bool(question.relevant), row, answers(candidate.chunk, question))
            for name, question, found, rows in _found(shop, knowledge)
            for candidate, row in zip(found, rows, strict=True)
        ]


def read_rows(
    shop: Shop,
    encoder: Encoder,
    reader: Reader,
    prior: Sequence[float],
    settings: KnowledgeSettings,
) -> list[JudgedRow]:
    """The candidates that would be read for the questions of a shop, with what the reader says;
    `prior` are the weights that choose them."""
    judged: list[JudgedRow] = []
    with shop_knowledge(shop, encoder, settings) as knowledge:
        for name, question, found, rows in _found(shop, knowledge):
            order = np.argsort(-(np.array(rows) @ np.array(prior)))[: settings.rerank_passages]
            texts = [reading_text(found[n].chunk) for n in order]
            for n, reading in zip(
                order, reader.read(what_is_asked(question.text), texts), strict=True
            ):
                right = answers(found[n].chunk, question)
                row = with_reader(rows[n], reading)
                judged.append(JudgedRow(name, bool(question.relevant), row, right))
    return judged


def _found(
    shop: Shop, knowledge: KnowledgeBase
) -> Iterator[tuple[str, ShopQuestion, list[Candidate], list[tuple[float, ...]]]]:
    """(name, question, candidates, their features) for each question that finds something."""
    index = knowledge.index()
    language = shop.language
    for number, asked_as in enumerate(shop.questions):
        question = replace(asked_as, text=with_countries(asked_as.text, language))
        vector = knowledge.encoder.embed([question.text])[0]
        found = knowledge.candidates(question.text, vector, 10, "fused")
        asked = frozenset(content_words(question.text))
        if found:
            rows = cheap_features(question.text, asked, found, index)
            yield f"{shop.name}:{number}", question, found, rows


def fit(rows: Sequence[JudgedRow], kind: str) -> tuple[float, ...]:
    """Logistic weights over FEATURES for one of MODELS; what it does not see weighs 0.

    What speaks for a candidate may weigh nothing but never less, and the other way round: invented
    questions avoid their passage's words, and a model free to do so learns to distrust customers
    who use them.
    """
    inputs, scale = _scaled(rows, kind)
    return _minimised(_log_loss(inputs, rows), scale)


def _log_loss(inputs: NDArray[np.float64], rows: Sequence[JudgedRow]) -> Loss:
    """The logistic loss with its slope, and an L2 penalty of all weights but the bias."""
    signs = np.where([r.right for r in rows], 1.0, -1.0)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = signs * (inputs @ weights)
        slopes = -signs / (1 + np.exp(np.clip(margins, -30, 30)))
        penalty = np.concatenate([[0.0], weights[1:]]) / _C
        value = np.logaddexp(0, -margins).sum() + penalty @ weights / 2
        return float(value), inputs.T @ slopes + penalty

    return loss


def fit_foreign(rows: Sequence[JudgedRow], foreign: Sequence[JudgedRow]) -> tuple[float, ...]:
    """Logistic weights over FEATURES for what was read in languages that the reader learnt little
    of: those of all rows together, but for the bias and the reader's weight, which `foreign` rows
    have in part for themselves. Fitted on the few shops in such languages alone, the weights let a
    quarter of the unanswerable questions of another shop through. The bias is lowered by what is
    between .7 and .6: three shops are few to fit on."""
    every = [*rows, *foreign]
    inputs, scale = _scaled(every, "read")
    apart = np.array([0.0] * len(rows) + [1.0] * len(foreign))
    reader = FEATURES.index("reader")
    added = np.column_stack([apart, apart * [r.features[reader] for r in every]])
    spread = added.std(0)
    inputs, scale = np.column_stack([inputs, added / spread]), np.concatenate([scale, spread])
    *weights, bias, of_reader = _minimised(_log_loss(inputs, every), scale, free=2)
    weights[0] += bias - _FOREIGN_CAUTION
    weights[reader] += of_reader
    weights[FEATURES.index("cjk")] = 0.0
    return tuple(weights)


def fit_order(rows: Sequence[JudgedRow], kind: str) -> tuple[float, ...]:
    """Weights that put the right candidate of a question first: a conditional logit over its
    candidates (McFadden 1974), which asks of no weight that it tell answerable questions from
    others. Fitted as probabilities, they gave BM25 three times too much for the order. The bias, of
    which the order knows nothing, puts the middling right candidate at one half."""
    inputs, scale = _scaled(rows, kind)
    right = np.array([r.right for r in rows])
    groups: dict[str, list[int]] = {}
    for n, row in enumerate(rows):
        groups.setdefault(row.question, []).append(n)
    answered = [np.array(g) for g in groups.values() if right[g].any()]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        penalty = weights / _C
        value, gradient = float(penalty @ weights / 2), penalty.copy()
        scores = inputs @ weights
        for members in answered:
            shares = np.exp(scores[members] - scores[members].max())
            chosen = shares * right[members]
            value -= math.log(chosen.sum() / shares.sum())
            pull = shares / shares.sum() - chosen / chosen.sum()
            gradient += pull @ inputs[members]
        return value, gradient

    _, *weights = _minimised(loss, scale)
    middling = np.median(np.array([r.features[1:] for r in rows if r.right]) @ weights)
    return -float(middling), *weights


def _scaled(
    rows: Sequence[JudgedRow], kind: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The features that `kind` sees, at unit variance behind a column of ones, and their scale;
    those it does not see are 0, and stay so under any penalty."""
    values = np.array([r.features[1:] for r in rows])
    values = values * [name in MODELS[kind] for name in FEATURES[1:]]
    scale = np.where(values.std(0) > 0, values.std(0), 1.0)
    return np.column_stack([np.ones(len(rows)), values / scale]), scale


def _minimised(loss: Loss, scale: NDArray[np.float64], free: int = 0) -> tuple[float, ...]:
    """The weights of least loss over FEATURES as they are, each with the sign that it may have, and
    over so many more that may have either."""
    bounds = [(None, None)] + [
        (None if n in _AGAINST | _EITHER_WAY else 0.0, 0.0 if n in _AGAINST else None)
        for n in FEATURES[1:]
    ]
    bounds += free * [(None, None)]
    found = minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds)
    bias, *weights = found.x
    return float(bias), *(float(w / s) for w, s in zip(weights, scale, strict=True))


def calibrate(
    folder: Path,
    unseen: Sequence[Shop],
    encoder: Encoder,
    engines: Path,
    settings: KnowledgeSettings,
    public: Sequence[Shop] = (),
    keep_order: bool = False,
) -> Outcomes:
    """Write folder's calibration.json, all models fitted on shops that neither reader nor encoder
    ever saw: both are too sure of what they have learnt. The order of candidates that were not read
    is fitted on public questions too, or kept as it is. Returns what each threshold gives, by the
    model that weighs what was read."""
    require_both_kinds(unseen)
    reader = CrossEncoder(folder, engines, settings.threads)
    if keep_order:
        weights = dict(Calibration.load(folder / CALIBRATION).weights)
    else:
        cheap = [row for shop in unseen for row in cheap_rows(shop, encoder, settings)]
        others = [row for shop in public for row in cheap_rows(shop, encoder, settings)]
        prior = fit_order([*cheap, *others], "prior")
        weights = {"prior": prior, "lexical": fit(cheap, "lexical")}
    prior = weights["prior"]
    read = {
        kind: [r for shop in shops for r in read_rows(shop, encoder, reader, prior, settings)]
        for kind, shops in by_kind(unseen).items()
    }
    weights["read"] = fit(read["read"], "read")
    if "foreign" in read:
        weights["foreign"] = fit_foreign(read["read"], read["foreign"])
    fitted = {
        kind: dict(zip(FEATURES, (round(w, 5) for w in row), strict=True))
        for kind, row in weights.items()
    }
    (folder / CALIBRATION).write_text(json.dumps(fitted, indent=1))
    return {kind: outcomes(rows, weights[kind]) for kind, rows in read.items()}


def evaluate_reranker(
    folder: Path,
    shops: Sequence[Shop],
    encoder: Encoder,
    engines: Path,
    settings: KnowledgeSettings,
) -> Outcomes:
    """What each threshold gives on shops, by the reranker in folder as it is calibrated, and by the
    model that weighs what was read."""
    require_both_kinds(shops)
    reader = CrossEncoder(folder, engines, settings.threads)
    if not (folder / CALIBRATION).is_file():
        raise DataError(f"{folder} is not calibrated; run `python -m finetune calibrate-reranker`")
    weights = Calibration.load(folder / CALIBRATION).weights
    prior = weights["prior"]
    return {
        kind: outcomes(
            [r for s in some for r in read_rows(s, encoder, reader, prior, settings)],
            weights[kind],
        )
        for kind, some in by_kind(shops).items()
    }


def by_kind(shops: Sequence[Shop]) -> dict[str, list[Shop]]:
    """Shops by the model that weighs what was read of them."""
    found: dict[str, list[Shop]] = {}
    for shop in shops:
        kind = "read" if shop.language in WELL_READ else "foreign"
        found.setdefault(kind, []).append(shop)
    return found


def outcomes(rows: Sequence[JudgedRow], weights: Sequence[float]) -> dict[str, dict[str, float]]:
    """For each threshold the shares of answerable questions answered rightly and wrongly, and of
    unanswerable ones withheld, when the most relevant candidate is quoted."""
    best: dict[str, tuple[float, JudgedRow]] = {}
    for row in rows:
        relevance = 1 / (1 + math.exp(-float(np.dot(weights, row.features))))
        if row.question not in best or relevance > best[row.question][0]:
            best[row.question] = relevance, row
    asked = [(r, row.right) for r, row in best.values() if row.answerable]
    others = [r for r, row in best.values() if not row.answerable]
    return {
        f"{t:.2f}": {
            "right": round(float(np.mean([r >= t and right for r, right in asked])), 3),
            "wrong": round(float(np.mean([r >= t and not right for r, right in asked])), 3),
            "withheld": round(float(np.mean([r < t for r in others])), 3),
        }
        for t in _THRESHOLDS
    }
