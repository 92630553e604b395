"""What looks before the inspector's reader does: the screens for orders and expiry, what claims
promise, and the duplicates' weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from finetune.inspector import WRITTEN_ON, Lessons
from finetune.inspector_data import Case, cut, orders_lines, same_place
from finetune.reranker_data import Shop, shop_chunks
from knowledge.encoder import Encoder
from knowledge.inspection.claims import FEATURES as CLAIM_FEATURES
from knowledge.inspection.claims import Claim, Told, claims_of
from knowledge.inspection.contradictions import NEAR, NEIGHBOURS
from knowledge.inspection.duplicates import FEATURES, DocumentText, features
from knowledge.inspection.expiry import expiry_asked, telling
from knowledge.inspection.neighbours import document_vectors, near_pairs
from knowledge.inspection.orders import plain_statements
from knowledge.inspection.screen import Screen, hashed
from knowledge.segment import split_sentences
from knowledge.types import Chunk, Document

# Of what is ordinary the reader looks at so much; precision and recall on the held cases are no
# worse than if it looked at everything.
_SENTENCES_READ, _DATED_READ, _CLAIMS_READ = 0.02, 0.02, 0.2
_COUNTED = 5  # one in so many of what is ordinary is not fitted on
_STRENGTH = 30.0
_DUPLICATE_STRENGTH = 0.3
_ORDINARY_PAIRS = 4  # of neighbouring documents that are none, a shop
_CLAIM_PAIRS = 40  # of neighbouring passages, a shop


def fit_screen(
    texts: Sequence[str], truth: Sequence[bool], ordinary: Sequence[str], share: float
) -> Screen:
    """A linear model of the true texts, against the others and the ordinary ones; of these it lets
    `share` through, as a part of them shows that it was not fitted on."""
    counted, learnt = ordinary[::_COUNTED], [t for n, t in enumerate(ordinary) if n % _COUNTED]
    model = LogisticRegression(C=_STRENGTH, max_iter=100, class_weight="balanced")
    model.fit(hashed([*texts, *learnt]), [*truth, *[False] * len(learnt)])
    screen = Screen(model.coef_[0].astype(np.float32), float(model.intercept_[0]), 0.0)
    return replace(screen, threshold=float(np.quantile(screen.scores(counted), 1 - share)))


def fit_orders(lessons: Lessons) -> Screen:
    """The screen before orders: sentences of the cases, of shops and of help documents."""
    said, labels = _sentences(lessons.of("injected"))
    shops = [
        s for shop in lessons.shops for _, _, text in shop.passages for s in split_sentences(text)
    ]
    return fit_screen(
        [*said, *shops],
        [*labels, *[False] * len(shops)],
        lessons.ordinary.sentences,
        _SENTENCES_READ,
    )


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


def fit_expiry(lessons: Lessons) -> Screen:
    """The screen before what may be out of force: the telling sentences of the cases and of help
    documents that name days."""
    rows = [(telling(*pair), c.planted) for c in lessons.of("expired") for pair in expiries_read(c)]
    dated = [telling(*expiry_asked(c, WRITTEN_ON)) for c in lessons.ordinary.dated]
    return fit_screen(
        [text for text, _ in rows], [planted for _, planted in rows], [*filter(None, dated)],
        _DATED_READ,
    )  # fmt: skip


def fit_claims(lessons: Lessons, encoder: Encoder) -> dict[str, object]:
    """Weights over the features of claims: those that the cases plant, against those of ordinary
    neighbours in shops, of which the threshold lets _CLAIMS_READ through."""
    planted = [
        claim.features
        for case in lessons.of("contradiction")
        if case.planted
        for claims in claims_in(case, encoder)
        for claim in claims
        if any(same_place(claim.statement, quote) for quote in case.quotes)
    ]
    usual = [
        claim.features
        for shop in lessons.shops
        for claims in neighbouring_claims(shop_chunks(shop), encoder, NEIGHBOURS, _CLAIM_PAIRS)
        for claim in claims
    ]
    rows = np.array([*planted, *usual])
    scale = rows.std(axis=0).clip(min=1e-6)
    model = LogisticRegression(fit_intercept=False, max_iter=2000, class_weight="balanced")
    model.fit(rows / scale, [*[True] * len(planted), *[False] * len(usual)])
    weights = (model.coef_[0] / scale).round(4)
    return {
        "weights": dict(zip(CLAIM_FEATURES, weights.tolist(), strict=True)),
        "threshold": round(float(np.quantile(np.array(usual) @ weights, 1 - _CLAIMS_READ)), 4),
    }


def claims_in(case: Case, encoder: Encoder) -> Iterator[list[Claim]]:
    """The claims of each passage of the one document beside each of the other."""
    one, other = (cut(d) for d in case.documents)
    vectors = [encoder.embed([c.indexed_text for c in chunks]) for chunks in (one, other)]
    cosines = vectors[0] @ vectors[1].T
    for n, a in enumerate(one):
        for m, b in enumerate(other):
            yield claims_of(Told.by(a), Told.by(b), float(cosines[n, m]))


def neighbouring_claims(
    chunks: Sequence[Chunk], encoder: Encoder, neighbours: int, most: int
) -> Iterator[list[Claim]]:
    """The claims of the nearest passages."""
    vectors = encoder.embed([c.indexed_text for c in chunks])
    for a, b in near_pairs(chunks, vectors, range(len(chunks)), NEAR, neighbours)[:most]:
        yield claims_of(Told.by(chunks[a]), Told.by(chunks[b]), float(vectors[a] @ vectors[b]))


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
    return {"weights": weights, "threshold": round(limit, 4)}


def _features(documents: Sequence[Document], encoder: Encoder) -> tuple[float, ...]:
    """Values of FEATURES."""
    cuts = [cut(d) for d in documents]
    embedded = [encoder.embed([c.indexed_text for c in chunks]) for chunks in cuts]
    a, b = (
        DocumentText.of(d, document_vectors(chunks, vectors)[1][0])
        for d, chunks, vectors in zip(documents, cuts, embedded, strict=True)
    )
    return features(a, b)


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


def expiries_read(case: Case) -> list[tuple[str, str]]:
    """What the reader may be asked of a case, its fields left out."""
    chunks = [c for d in case.documents if not d.valid_until for c in cut(d)]
    return [pair for c in chunks if telling(*(pair := expiry_asked(c, WRITTEN_ON)))]
