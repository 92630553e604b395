"""How well an encoder brings together what belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finetune.errors import DataError
from finetune.reranker_data import Shop, answers, read_records, shop_chunks
from knowledge.encoder import Encoder
from knowledge.places import with_countries

_MOST_PAIRS = 2_000


def question_scores(encoder: Encoder, shops: Sequence[Shop]) -> dict[str, float]:
    """Share of the questions whose answering chunk is the nearest of its shop, or among the nearest
    five. Raises DataError when no question is answered by a chunk."""
    ranks: list[int] = []
    for shop in shops:
        chunks = shop_chunks(shop)
        vectors = encoder.embed([c.indexed_text for c in chunks])
        asked = encoder.embed([with_countries(q.text, shop.language) for q in shop.questions])
        for question, vector in zip(shop.questions, asked, strict=True):
            order = np.argsort(-(vectors @ vector))
            right = [n for n, at in enumerate(order) if answers(chunks[at], question)]
            ranks += right[:1]
    if not ranks:
        raise DataError("the shops hold no question that a passage answers")
    placed = np.array(ranks)
    return {
        "questions": len(ranks),
        "recall@1": round(float((placed < 1).mean()), 4),
        "recall@5": round(float((placed < 5).mean()), 4),
    }


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """(foreign, English) of rows with "en" and one other language. Raises DataError."""
    found = []
    for row in read_records(path):
        others = [key for key in row if key not in {"en", "source"}]
        if "en" not in row or len(others) != 1:
            raise DataError(f"{path}: a row needs en and one other language, not {sorted(row)}")
        found.append((row[others[0]], row["en"]))
    return found


def translation_scores(encoder: Encoder, pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Share of foreign sentences whose nearest English one is their translation, and the other way
    round, among evenly spread pairs. Raises DataError when there is none."""
    if not pairs:
        raise DataError("there are no pairs to find translations in")
    drawn = pairs[:: -(-len(pairs) // _MOST_PAIRS)]
    foreign, english = (encoder.embed([p[side] for p in drawn]) for side in (0, 1))
    cosines, own = foreign @ english.T, np.arange(len(drawn))
    return {
        "pairs": len(drawn),
        "to_english": round(float((cosines.argmax(1) == own).mean()), 4),
        "from_english": round(float((cosines.argmax(0) == own).mean()), 4),
    }
