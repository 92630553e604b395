"""What goes with the inspector's reader: the screen before it, the duplicates' weights, and the
limits from which something is reported, set on cases that it has not learnt from."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from finetune.inspector import WRITTEN_ON, Lessons
from finetune.inspector_data import Case, cut, orders_lines, same_place
from finetune.reranker_data import Shop, shop_chunks
from knowledge.cross_encoder import CrossEncoder
from knowledge.encoder import Encoder
from knowledge.inspection.contradictions import NEAR, at_odds, claim_asked, claims_of
from knowledge.inspection.duplicates import FEATURES, DocumentText, compared, features, texts_of
from knowledge.inspection.expiry import expiry_asked
from knowledge.inspection.inspector import DUPLICATES, LIMITS, SCREEN
from knowledge.inspection.neighbours import near_pairs
from knowledge.inspection.orders import around, orders_asked, plain_statements
from knowledge.inspection.screen import Screen, hashed
from knowledge.segment import split_sentences
from knowledge.types import Document

_SCREEN_RECALL = 0.985
_SCREEN_STRENGTH = 30.0
_DUPLICATE_STRENGTH = 0.3
_ORDINARY_PAIRS = 4  # of neighbouring documents that are none, a shop
_SURE = 0.97
_ORDINARY = 0.998  # of what is ordinary stays below what is sure
_SHOP_PAIRS = 8


def fit_screen(lessons: Lessons, texts: Sequence[str]) -> Screen:
    """A linear model of sentences that are orders, against those of the cases, of shops and
    `texts`; its threshold lets _SCREEN_RECALL of the held cases' orders through."""
    said, labels = _sentences(lessons.of("injected"))
    shops = [
        s for shop in lessons.shops for _, _, text in shop.passages for s in split_sentences(text)
    ]
    ordinary = [*shops, *texts]
    rows = hashed([*said, *ordinary])
    truth = np.array([*labels, *[False] * len(ordinary)])
    model = LogisticRegression(C=_SCREEN_STRENGTH, max_iter=300, class_weight="balanced")
    model.fit(rows, truth)
    best: list[float] = []
    for case in (c for c in lessons.held if c.kind == "injected" and c.planted):
        held, orders = _sentences([case])
        if any(orders):
            scores = model.decision_function(hashed(held))
            best.append(float(scores[np.array(orders)].max()))
    threshold = float(np.quantile(best, 1 - _SCREEN_RECALL))
    return Screen(model.coef_[0].astype(np.float32), float(model.intercept_[0]), threshold)


def _sentences(cases: Sequence[Case]) -> tuple[list[str], list[bool]]:
    """The statements of cases, and which are orders."""
    said: list[str] = []
    labels: list[bool] = []
    for case in cases:
        lines = orders_lines(case)
        for document in case.documents:
            for chunk in cut(document):
                told = plain_statements(chunk)
                said += told
                labels += [case.planted and any(same_place(s, q) for q in lines) for s in told]
    return said, labels


def fit_duplicates(lessons: Lessons, encoder: Encoder) -> dict[str, object]:
    """Logistic weights over FEATURES, from the cases and from neighbouring documents of shops;
    the threshold gives equal precision and recall on the held cases."""
    rows = [_features(c.documents, encoder) for c in lessons.of("duplicate")]
    truth = [c.planted for c in lessons.of("duplicate")]
    for shop in lessons.shops:
        ordinary = list(_neighbours(shop, encoder))
        rows += ordinary
        truth += [False] * len(ordinary)
    matrix = np.array(rows)
    scale = matrix.std(axis=0).clip(min=1e-6)
    model = LogisticRegression(C=_DUPLICATE_STRENGTH, fit_intercept=False, max_iter=1000)
    model.fit(matrix / scale, truth)
    weights = dict(zip(FEATURES, (model.coef_[0] / scale).round(4).tolist(), strict=True))
    held = [c for c in lessons.held if c.kind == "duplicate"]
    logits = np.array([_features(c.documents, encoder) for c in held]) @ list(weights.values())
    limit = balanced_limit(np.array([c.planted for c in held]), logits)
    return {"weights": weights, "threshold": round(float(1 / (1 + np.exp(-limit))), 4)}


def _features(documents: Sequence[Document], encoder: Encoder) -> tuple[float, ...]:
    one, other = (_compared(d, encoder) for d in documents)
    return features(one, other)


def _compared(document: Document, encoder: Encoder) -> DocumentText:
    return compared(document, encoder.embed(texts_of(document)))


def _neighbours(shop: Shop, encoder: Encoder) -> Iterator[tuple[float, ...]]:
    """Features of the documents of a shop that are nearest to one another."""
    documents = [Document(i, title, text, "", shop.name) for i, title, text in shop.passages]
    vectors = encoder.embed([f"{d.title}. {d.text}" for d in documents])
    cosines = np.triu(vectors @ vectors.T, 1)
    for place in np.argsort(-cosines, axis=None)[:_ORDINARY_PAIRS]:
        a, b = divmod(int(place), len(documents))
        yield _features((documents[a], documents[b]), encoder)


def balanced_limit(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """The score from which precision and recall are most alike, the least of them being largest."""
    order = np.argsort(-scores)
    right = np.cumsum(truth[order])
    precision = right / np.arange(1, len(order) + 1)
    recall = right / max(1, truth.sum())
    return float(scores[order][np.minimum(precision, recall).argmax()])


def fit_beside(
    out: Path, lessons: Lessons, encoder: Encoder, texts: Sequence[str], engines: Path
) -> dict[str, float]:
    """Fit the screen and the duplicates' weights, set the limits of the reader in `out` on the
    held cases, and write them there; the limits."""
    fit_screen(lessons, texts).save(out / SCREEN)
    write_json(out / DUPLICATES, fit_duplicates(lessons, encoder))
    reader = CrossEncoder(out, engines, bulk=True)
    orders = _scores(lessons, "injected", lambda case: _highest(reader, orders_read(case)))
    expired = _scores(lessons, "expired", lambda case: _highest(reader, expiries_read(case)))
    odds = _scores(lessons, "contradiction", lambda case: _odds(reader, case))
    usual_orders, usual_odds = _usual(lessons.shops, encoder, reader)
    limits = {
        "orders": balanced_limit(*orders),
        "orders_sure": max(_sure_limit(*orders), float(np.quantile(usual_orders, _ORDINARY))),
        "expired": balanced_limit(*expired),
        "contradiction": balanced_limit(*odds),
        "contradiction_sure": max(_sure_limit(*odds), float(np.quantile(usual_odds, _ORDINARY))),
    }
    limits = {name: round(limit, 3) for name, limit in limits.items()}
    write_json(out / LIMITS, limits)
    return limits


def _scores(
    lessons: Lessons, kind: str, score: Callable[[Case], float]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(whether something is planted, the score) of each held case of which something is read."""
    held = [(c.planted, score(c)) for c in lessons.held if c.kind == kind]
    rows = [(planted, value) for planted, value in held if value > -math.inf]
    return np.array([planted for planted, _ in rows]), np.array([value for _, value in rows])


def _highest(reader: CrossEncoder, pairs: Sequence[tuple[str, str]]) -> float:
    return max((r.relevance for r in reader.read_pairs(pairs)), default=-math.inf)


def _odds(reader: CrossEncoder, case: Case) -> float:
    """The highest score of a passage of the one document beside one of the other."""
    one, other = (cut(d) for d in case.documents)
    return max(
        at_odds(reader.read_pairs([claim_asked(claim) for claim in claims_of(a, b)]))
        for a in one
        for b in other
    )


def _usual(
    shops: Sequence[Shop], encoder: Encoder, reader: CrossEncoder
) -> tuple[list[float], list[float]]:
    """The scores of what is ordinary: of each passage of the shops, and of each pair of the
    nearest passages of a shop."""
    orders: list[float] = []
    odds: list[float] = []
    for shop in shops:
        chunks = shop_chunks(shop)
        for chunk in chunks:
            said = plain_statements(chunk)
            asked = [orders_asked(chunk, around(said, n)) for n in range(0, len(said), 2)]
            orders.append(_highest(reader, asked))
        vectors = encoder.embed([c.indexed_text for c in chunks])
        for a, b in near_pairs(chunks, vectors, range(len(chunks)), NEAR, 1)[:_SHOP_PAIRS]:
            claims = [claim_asked(claim) for claim in claims_of(chunks[a], chunks[b])]
            odds.append(at_odds(reader.read_pairs(claims)))
    return orders, odds


def _sure_limit(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """The least limit from which _SURE of what is reported of the held cases is right."""
    order = np.argsort(-scores)
    precision = np.cumsum(truth[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision >= _SURE)
    return float(scores[order][enough[-1]] if len(enough) else scores.max())


def orders_read(case: Case) -> list[tuple[str, str]]:
    """What the reader would be asked of a case if the screen let everything through."""
    pairs = []
    for chunk in (c for d in case.documents for c in cut(d)):
        said = plain_statements(chunk)
        pairs += [orders_asked(chunk, around(said, place)) for place in range(len(said))]
    return pairs


def expiries_read(case: Case) -> list[tuple[str, str]]:
    """What the reader would be asked of a case, its fields left out."""
    chunks = [c for d in case.documents if not d.valid_until for c in cut(d)]
    pairs = [expiry_asked(chunk, WRITTEN_ON) for chunk in chunks]
    return [p for p in pairs if "[over]" in "".join(p) or "[soon]" in "".join(p)]


def write_json(path: Path, value: object) -> None:
    """Indented, one line at the end."""
    path.write_text(json.dumps(value, indent=1) + "\n")
