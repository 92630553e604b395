"""What goes with the inspector's reader: the looks before it, and the limits from which something
is reported, set on cases that it has not learnt from."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune.inspector import Lessons, Log
from finetune.inspector_data import Case, cut
from finetune.inspector_screens import (
    balanced_limit,
    claims_in,
    expiries_read,
    fit_claims,
    fit_duplicates,
    fit_expiry,
    fit_orders,
    neighbouring_claims,
)
from finetune.reranker_data import shop_chunks
from knowledge.cross_encoder import CrossEncoder
from knowledge.encoder import Encoder
from knowledge.inspection.claims import Claim
from knowledge.inspection.contradictions import at_odds, promises
from knowledge.inspection.expiry import telling
from knowledge.inspection.inspector import CLAIMS, DUPLICATES, EXPIRY, LIMITS, ORDERS
from knowledge.inspection.linear import LinearModel
from knowledge.inspection.orders import around, may_be_orders, orders_asked, plain_statements
from knowledge.inspection.screen import Screen
from knowledge.types import Chunk

_SURE = 0.97
_ORDINARY = 0.998  # of what is ordinary stays below what is sure
_UNNOTICED = 0.9  # of the nearest passages that nobody planted anything in
_SHOP_PAIRS, _PAGE_PAIRS = 8, 800

Scores = tuple[NDArray[np.bool_], NDArray[np.float64]]


def fit_beside(
    out: Path, lessons: Lessons, encoder: Encoder, engines: Path, log: Log = print
) -> dict[str, float]:
    """Fit what goes with the reader in `out`, its limits on the held cases, and write them there;
    the limits."""
    log("claims and duplicates")
    write_json(out / CLAIMS, fit_claims(lessons, encoder))
    write_json(out / DUPLICATES, fit_duplicates(lessons, encoder))
    reader = CrossEncoder(out, engines, bulk=True)
    log("orders")
    screen = fit_orders(lessons)
    screen.save(out / ORDERS)
    orders = _scores_of(lessons, "injected", lambda case: _orders(case, reader, screen))
    usual_orders = [
        _highest_order(chunk, reader, screen)
        for shop in lessons.shops
        for chunk in shop_chunks(shop)
    ]
    log("expiry")
    expiry_screen = fit_expiry(lessons)
    expiry_screen.save(out / EXPIRY)
    expired = _scores_of(lessons, "expired", lambda case: _expired(case, reader, expiry_screen))
    log("contradictions")
    limits = {
        "orders": balanced_limit(*orders),
        "orders_sure": max(_sure_limit(*orders), _most_ordinary(usual_orders)),
        "expired": balanced_limit(*expired),
        **contradiction_limits(lessons, reader, LinearModel.load(out / CLAIMS), encoder),
    }
    limits = {name: round(limit, 3) for name, limit in limits.items()}
    write_json(out / LIMITS, limits)
    return limits


def contradiction_limits(
    lessons: Lessons, reader: CrossEncoder, screen: LinearModel, encoder: Encoder
) -> dict[str, float]:
    """From which score two passages are noticed, and from which it is sure. Of the nearest
    passages of help documents, from which nothing was learnt, few may be noticed."""
    odds = _scores_of(
        lessons, "contradiction", lambda case: _odds(reader, screen, claims_in(case, encoder))
    )
    shops = [
        _odds(reader, screen, [of_pair])
        for shop in lessons.shops
        for of_pair in neighbouring_claims(shop_chunks(shop), encoder, 1, _SHOP_PAIRS)
    ]
    pages = [
        _odds(reader, screen, [of_pair])
        for of_pair in neighbouring_claims(lessons.ordinary.pages, encoder, 1, _PAGE_PAIRS)
    ]
    return {
        "contradiction": max(balanced_limit(*odds), _most_ordinary(pages, _UNNOTICED)),
        "contradiction_sure": max(_sure_limit(*odds), _most_ordinary([*shops, *pages])),
    }


def _scores_of(lessons: Lessons, kind: str, score: Callable[[Case], float | None]) -> Scores:
    """(whether something is planted, the score) of each held case that holds anything to read."""
    held = [(c.planted, score(c)) for c in lessons.held if c.kind == kind]
    rows = [(planted, value) for planted, value in held if value is not None]
    return np.array([planted for planted, _ in rows]), np.array([value for _, value in rows])


def _orders(case: Case, reader: CrossEncoder, screen: Screen) -> float:
    chunks = [chunk for document in case.documents for chunk in cut(document)]
    return max(_highest_order(chunk, reader, screen) for chunk in chunks)


def _highest_order(chunk: Chunk, reader: CrossEncoder, screen: Screen) -> float:
    """The highest logit of the sentences of a chunk that are read."""
    said = plain_statements(chunk)
    read = [n for n, p in enumerate(screen.passes(said)) if p or may_be_orders(said[n])]
    readings = reader.read_pairs([orders_asked(chunk, around(said, n)) for n in read])
    return max((r.relevance for r in readings), default=-math.inf)


def _expired(case: Case, reader: CrossEncoder, screen: Screen) -> float | None:
    """The highest logit of a case; None where its fields tell it, or it names no day."""
    pairs = expiries_read(case)
    if not pairs:
        return None
    passes = screen.passes([telling(*pair) for pair in pairs])
    read = [pair for pair, passed in zip(pairs, passes, strict=True) if passed]
    return max((r.relevance for r in reader.read_pairs(read)), default=-math.inf)


def _odds(reader: CrossEncoder, screen: LinearModel, pairs: Iterable[list[Claim]]) -> float:
    """The highest score of two passages, of the claims that pass the screen."""
    read = ([claim.asked for claim in claims if promises(screen, claim)] for claims in pairs)
    return max((at_odds(reader.read_pairs(asked)) for asked in read), default=-math.inf)


def _most_ordinary(values: Sequence[float], share: float = _ORDINARY) -> float:
    return float(np.quantile(values, share, method="higher"))


def _sure_limit(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """The least limit from which _SURE of what is reported of the held cases is right."""
    order = np.argsort(-scores)
    precision = np.cumsum(truth[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision >= _SURE)
    return float(scores[order][enough[-1]] if len(enough) else scores.max())


def write_json(path: Path, value: object) -> None:
    """Indented, one line at the end."""
    path.write_text(json.dumps(value, indent=1) + "\n")
