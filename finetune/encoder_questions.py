"""Questions and the passages that answer them, which the encoder is to bring together.

Of shops written for this project, and of english_grounded and chinese_grounded (found below
FRONTDESK_DATA, licences in their README) without the dev part of DRCD, on which retrieval is
measured.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.reranker_data import (
    MEASURED_ON,
    Shop,
    answers,
    is_heading,
    read_records,
    shop_chunks,
)
from knowledge.encoder import Encoder
from knowledge.places import with_countries

_NEAR_MISSES = 8
_HEADINGS = 0.3  # share of the grounded rows whose question is only a heading that is taken
_BEFORE, _AFTER = 200, 400  # characters of a long passage around where the answer begins


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, the first chunk that holds its facts, and the nearest chunks that do not."""

    question: str
    chunk: str
    document: str
    misses: tuple[str, ...]


def answered_questions(shop: Shop, encoder: Encoder) -> list[Answered]:
    """The shop's questions that a chunk answers; `encoder` says which other chunks are near."""
    chunks = shop_chunks(shop)
    vectors = encoder.embed([c.indexed_text for c in chunks])
    questions = [with_countries(q.text, shop.language) for q in shop.questions]
    found = []
    for question, text, vector in zip(
        shop.questions, questions, encoder.embed(questions), strict=True
    ):
        right = [answers(c, question) for c in chunks]
        if any(right):
            near = [chunks[n].indexed_text for n in np.argsort(-(vectors @ vector)) if not right[n]]
            first = chunks[right.index(True)]
            found.append(
                Answered(text, first.indexed_text, first.document_id, tuple(near[:_NEAR_MISSES]))
            )
    return found


def grounded_files(data: Path) -> list[Path]:
    """The collections of grounded questions, one a language."""
    return [data / f"corpora/{name}_grounded.jsonl.zst" for name in ("chinese", "english")]


def grounded_questions(path: Path, rng: random.Random) -> list[Answered]:
    """Each question with its passage and the others that were given with it."""
    found = []
    for number, row in enumerate(read_records(path)):
        source, question = row["source"], row.get("question")
        if not question or source == MEASURED_ON or (is_heading(row) and rng.random() > _HEADINGS):
            continue
        passage = _around(row)
        others = [p for n, p in enumerate(row["passages"]) if n != row["passage"]]
        misses = tuple(p[: _BEFORE + _AFTER] for p in others)
        found.append(Answered(question, passage, f"{source} {number}", misses))
    return found


def _around(row: dict[str, Any]) -> str:
    """The heading of the right passage, and as much text as is read where the answer begins."""
    passage: str = row["passages"][row["passage"]]
    heading = passage[: passage.find("\n") + 1]
    start = max(0, (row.get("span") or (0, 0))[0] - len(heading) - _BEFORE)
    return heading + passage[len(heading) :][start : start + _BEFORE + _AFTER]


def draw_questions(answered: Sequence[Answered], count: int, rng: random.Random) -> list[Answered]:
    """Questions that are answered by different documents."""
    chosen: dict[str, Answered] = {}
    for each in rng.sample(answered, min(len(answered), 20 * count)):
        if len(chosen) < count:
            chosen.setdefault(each.document, each)
    return list(chosen.values())
