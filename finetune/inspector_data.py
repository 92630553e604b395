"""Lessons for the inspector: (question, text) pairs for each kind of finding.

`finetune/findings` holds rows written for this project: one or two documents, whether a finding is
planted in them, and the sentences that give it away. Statements of the shops' replies, true and
corrupted, are put beside the passage that they rest on; neighbouring passages of one shop, which
do not contradict one another, are the look-alikes of everyday.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from finetune.corrupt import corrupted
from finetune.reranker_data import CITATION, Pair, Shop, read_records, shop_chunks
from knowledge.chunk import chunk_document
from knowledge.disguise import plainly
from knowledge.encoder import Encoder
from knowledge.inspection.claims import contradiction_asked
from knowledge.inspection.dates import year_in
from knowledge.inspection.expiry import expiry_asked, tagged
from knowledge.inspection.orders import around, orders_asked, plain_statements
from knowledge.inspection.reading import statements, titled
from knowledge.segment import split_sentences
from knowledge.types import Chunk, Document, parse_day

_CHUNK_WORDS, _OVERLAP = 90, 1  # as served, see KnowledgeSettings
_SAME_PLACE = 0.5
_QUIET = 2  # statements beside the one that clashes, that are read too


@dataclass(frozen=True, slots=True)
class Case:
    """Documents in which a finding of a kind is planted, or that look so and are innocent.

    `quotes` are the sentences that give it away, or that a naive check would trip over.
    """

    id: str
    kind: str
    planted: bool
    language: str
    documents: tuple[Document, ...]
    quotes: tuple[str, ...] = ()


def read_cases(path: Path) -> list[Case]:
    """The cases of a JSON Lines file."""
    return [
        Case(
            row["id"],
            row["kind"],
            row["planted"],
            row["language"],
            tuple(_document(d, row["language"]) for d in row["documents"]),
            tuple(row.get("quotes", ())),
        )
        for row in read_records(path)
    ]


def _document(row: dict[str, Any], language: str) -> Document:
    return Document(
        row["id"],
        row["title"],
        row["text"],
        language,
        row["id"],
        valid_from=parse_day(row.get("valid_from")),
        valid_until=parse_day(row.get("valid_until")),
    )


def cut(document: Document) -> list[Chunk]:
    """A document as it is served."""
    return chunk_document(document, _CHUNK_WORDS, _OVERLAP)


def place_of(quote: str, text: str) -> tuple[int, int] | None:
    """Where the quote stands in text that was joined to one line, or None."""
    start = text.find(" ".join(quote.split()))
    return (start, start + len(" ".join(quote.split()))) if start >= 0 else None


def same_place(statement: str, quote: str) -> bool:
    """Whether half of the shorter's character fours are in the other; tables are cut otherwise."""
    a, b = (_fours(re.sub(r"[\s|*\-:;.。；：]+", "", t).casefold()) for t in (statement, quote))
    return len(a & b) >= _SAME_PLACE * min(len(a), len(b))


def _fours(text: str) -> set[str]:
    return {text[i : i + 4] for i in range(max(1, len(text) - 3))}


def contradiction_pairs(case: Case, rng: random.Random) -> Iterator[Pair]:
    """Statements of either document beside the chunks of the other."""
    first, second = case.documents
    for one, other, quotes in (
        (first, second, case.quotes),
        (second, first, case.quotes[::-1]),
    ):
        asked = [(c, s) for c in cut(one) for s in dict.fromkeys(statements(c.text))]
        telling = [(c, s) for c, s in asked if same_place(s, quotes[0])]
        quiet = [pair for pair in asked if pair not in telling]
        for chunk in cut(other):
            text = titled(chunk, chunk.text)
            lines = [s for line in chunk.text.splitlines() for s in split_sentences(line)]
            clashing = next((s for s in lines if same_place(s, quotes[1])), None)
            for source, statement in telling:
                span = place_of(clashing, text) if clashing else None
                label = int(case.planted and clashing is not None)
                question = contradiction_asked(source, statement)
                yield Pair(question, text, label, span if label else None, case.id)
            for source, statement in rng.sample(quiet, min(_QUIET, len(quiet))):
                yield Pair(contradiction_asked(source, statement), text, 0, None, case.id)


def expiry_pairs(case: Case, today: date) -> Iterator[Pair]:
    """The chunks of a page with its days told from today; what the fields tell is left out."""
    (document,) = case.documents
    if case.planted and not case.quotes:
        return
    year = year_in(document.title)
    in_title = any(q in document.title for q in case.quotes)
    for chunk in cut(document):
        question, text = expiry_asked(chunk, today)
        held = [s for q in case.quotes if (s := place_of(tagged(q, today, year), text))]
        if case.quotes and not held:
            told = [t for t in statements(text) if same_place(t, case.quotes[0])]
            held = [s for t in told if (s := place_of(t, text))]
        if case.planted and not held and not in_title:
            continue
        span = held[0] if case.planted and held else None
        yield Pair(question, text, int(case.planted), span, case.id)


def orders_pairs(case: Case, rng: random.Random) -> Iterator[Pair]:
    """Statements of a page with their neighbours: those that hold the orders, those that a naive
    check would trip over, and some others."""
    (document,) = case.documents
    lines = orders_lines(case)
    for chunk in cut(document):
        said = plain_statements(chunk)
        telling = [any(same_place(s, line) for line in lines) for s in said]
        quiet = [n for n, t in enumerate(telling) if not t]
        chosen = [n for n, t in enumerate(telling) if t]
        for place in chosen + rng.sample(quiet, min(_QUIET, len(quiet))):
            held = around(said, place) if rng.random() < 0.8 else said
            question, text = orders_asked(chunk, held)
            found = next((s for s, t in zip(said, telling, strict=True) if t and s in held), "")
            label = int(case.planted and bool(found))
            yield Pair(question, text, label, place_of(found, text) if label else None, case.id)


def orders_lines(case: Case) -> list[str]:
    """The lines of the case's quotes as a program reads them."""
    lines = [plainly(line.strip()) for q in case.quotes for line in q.splitlines()]
    return [" ".join(line.split()) for line in lines if len(line.strip()) > 5]


def reply_pairs(
    replies: Iterable[dict[str, Any]], shop: Shop, rng: random.Random
) -> Iterator[Pair]:
    """What was told of a passage, as it is (no clash) and with a fact changed (a clash)."""
    chunks: dict[str, list[Chunk]] = {}
    for chunk in shop_chunks(shop):
        chunks.setdefault(chunk.document_id, []).append(chunk)
    for reply in replies:
        for sentence in split_sentences(reply["reply"]):
            cited = CITATION.findall(sentence)
            if len(cited) != 1 or cited[0] not in chunks:
                continue
            said = CITATION.sub("", sentence).strip()
            yield from _claim_pairs(reply["question"], said, chunks[cited[0]], shop.name, rng)


def _claim_pairs(
    subject: str, said: str, chunks: Sequence[Chunk], source: str, rng: random.Random
) -> Iterator[Pair]:
    held = chunks[0] if len(chunks) == 1 else max(chunks, key=lambda c: _shared(said, c.text))
    text = titled(held, held.text)
    place = max(statements(held.text), key=lambda s: _shared(said, s), default="")
    changed = corrupted(said, rng)
    yield Pair(f"contradicts: {subject}: {said}", text, 0, None, source)
    if changed:
        span = place_of(place, text)
        yield Pair(f"contradicts: {subject}: {changed}", text, 1, span, source)


def _shared(a: str, b: str) -> int:
    return len(_fours(a.casefold()) & _fours(b.casefold()))


def neighbour_pairs(shop: Shop, encoder: Encoder, rng: random.Random, count: int) -> Iterator[Pair]:
    """Statements beside the nearest chunk of another document of the shop, and beside their own;
    of some the fact is changed where their own chunk tells it."""
    chunks = shop_chunks(shop)
    vectors = encoder.embed([c.indexed_text for c in chunks])
    near = vectors @ vectors.T
    for _ in range(count):
        n = rng.randrange(len(chunks))
        said = statements(chunks[n].text)
        if not said:
            continue
        statement = rng.choice(said)
        order = [
            i for i in near[n].argsort()[::-1] if chunks[i].document_id != chunks[n].document_id
        ]
        other = chunks[rng.choice(order[:3])]
        question = contradiction_asked(chunks[n], statement)
        yield Pair(question, titled(other, other.text), 0, None, shop.name)
        if rng.random() < 0.3 and (changed := corrupted(statement, rng)):
            text = titled(chunks[n], chunks[n].text)
            question = contradiction_asked(chunks[n], changed)
            yield Pair(question, text, 1, place_of(statement, text), shop.name)
