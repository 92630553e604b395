"""Statements beside passages, for the verifier: supported, contradicted or not stated.

Sources: `finetune/statements`, sentences written for this project to passages of `finetune/shops`,
each beside its passage and told of which kind it is; the replies of `finetune/replies`, as they
are, with a fact changed, and beside neighbouring passages; sentences of the passages themselves,
also without their condition; the shops' questions with the fact that answers them; and answers of
english_grounded and chinese_grounded (below FRONTDESK_DATA, licences in their README) without DRCD.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.corrupt import corrupted, without_condition
from finetune.errors import DataError
from finetune.reranker_data import (
    CITATION,
    MEASURED_ON,
    Shop,
    answers,
    find_span,
    read_records,
    shop_chunks,
    windows_of,
    without_answer,
)
from knowledge.encoder import Encoder
from knowledge.rerank import reading_text
from knowledge.segment import content_words, is_cjk, split_sentences
from knowledge.types import Chunk
from knowledge.verdict_net import VERDICTS

SUPPORTED, CONTRADICTED, UNSTATED = range(len(VERDICTS))
# Never learnt from: what the verifier makes of errors that it was not shown is measured on them.
UNSEEN_KINDS = frozenset({"place", "unit", "actor", "only/all", "all-only"})
_NEAR = 4  # neighbours that a statement is put beside one of
_LEAST_WORDS = 4
_LONGEST = 240  # characters of a statement


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence beside a passage as it is served; `verdict` is a place in VERDICTS, `kind` says
    what was done to the sentence, "" where nothing."""

    sentence: str
    text: str
    verdict: int
    kind: str
    source: str

    @property
    def texts(self) -> tuple[str, str]:
        """What the verifier is given."""
        return self.sentence, self.text


class Shelves:
    """A shop's chunks as they are served, by document, and which lie near which."""

    def __init__(self, shop: Shop, encoder: Encoder) -> None:
        self.shop = shop
        self.chunks = shop_chunks(shop)
        self.places: dict[str, list[int]] = {}
        for n, chunk in enumerate(self.chunks):
            self.places.setdefault(chunk.document_id, []).append(n)
        vectors = encoder.embed([c.indexed_text for c in self.chunks])
        order = (-(vectors @ vectors.T)).argsort(axis=1)
        documents = [c.document_id for c in self.chunks]
        self._near = [
            [int(m) for m in row if documents[m] != documents[n]][:_NEAR]
            for n, row in enumerate(order)
        ]

    def holding(self, document_id: str, said: str) -> int | None:
        """The document's chunk that shares most words with what was said."""
        words = set(content_words(said))
        shared = {
            n: len(words & set(content_words(self.chunks[n].text)))
            for n in self.places.get(document_id, ())
        }
        return max(shared, key=shared.__getitem__, default=None)

    def neighbour(self, place: int, rng: random.Random) -> Chunk | None:
        """A chunk of another document that lies near."""
        near = self._near[place]
        return self.chunks[rng.choice(near)] if near else None


def written_statements(path: Path, shelves: Shelves) -> Iterator[Statement]:
    """Rows of `{"id", "supported": [sentence], "contradicted" and "unstated": [[sentence, kind]]}`.

    Raises DataError where one names a passage that the shop lacks.
    """
    for row in read_records(path):
        for verdict, name in enumerate(VERDICTS):
            for said in row[name]:
                sentence, kind = (said, "") if isinstance(said, str) else said
                place = shelves.holding(row["id"], sentence)
                if place is None:
                    raise DataError(f"{path}: there is no passage {row['id']}")
                text = reading_text(shelves.chunks[place])
                yield Statement(sentence, text, verdict, kind, shelves.shop.name)


def reply_statements(
    replies: Iterable[dict[str, Any]], shelves: Shelves, rng: random.Random
) -> Iterator[Statement]:
    """What was told of a passage: beside it, with a fact changed, and beside a neighbour."""
    for reply in replies:
        for sentence in split_sentences(reply["reply"]):
            cited = CITATION.findall(sentence)
            said = CITATION.sub("", sentence).strip()
            place = shelves.holding(cited[0], said) if len(cited) == 1 else None
            if place is not None:
                yield from _beside(said, place, shelves, rng)


def passage_statements(shelves: Shelves, rng: random.Random, count: int) -> Iterator[Statement]:
    """Sentences of passages, beside their own and others."""
    for place in rng.sample(range(len(shelves.chunks)), min(count, len(shelves.chunks))):
        chunk = shelves.chunks[place]
        said = [s for line in chunk.text.splitlines() for s in split_sentences(line)]
        said = [s.strip("-•* ") for s in said if _is_statement(s)]
        if said:
            yield from _beside(rng.choice(said), place, shelves, rng)


def _beside(said: str, place: int, shelves: Shelves, rng: random.Random) -> Iterator[Statement]:
    """A true statement, and what it becomes."""
    source, chunk = shelves.shop.name, shelves.chunks[place]
    text = reading_text(chunk)
    yield Statement(said, text, SUPPORTED, "", source)
    if changed := corrupted(said, rng):
        yield Statement(changed, text, CONTRADICTED, "changed", source)
    if (bare := without_condition(said)) and rng.random() < 0.7:
        yield Statement(bare, text, UNSTATED, "condition-dropped", source)
    other = shelves.neighbour(place, rng)
    if other and said not in other.text:
        yield Statement(said, reading_text(other), UNSTATED, "neighbour", source)
    if (left := _without(said, chunk)) and rng.random() < 0.5:
        yield Statement(said, left, UNSTATED, "taken out", source)


def _without(said: str, chunk: Chunk) -> str | None:
    """The chunk without the sentence that shares most words with what was said."""
    words = set(content_words(said))
    sentences = [s for line in chunk.text.splitlines() for s in split_sentences(line)]
    if len(sentences) < 3:
        return None
    shared = [len(words & set(content_words(s))) for s in sentences]
    highest = max(shared)
    kept = [s for s, n in zip(sentences, shared, strict=True) if 2 * n < highest]
    title = " - ".join(chunk.title_path)
    return f"{title}: {' '.join(kept)}" if kept else None


def answer_statements(shelves: Shelves, rng: random.Random, share: float) -> Iterator[Statement]:
    """The shop's questions with the fact that answers them, beside their passage and others, and
    with a fact that answers another question put to it."""
    shop = shelves.shop
    asked = [q for q in shop.questions if q.facts]
    for question in rng.sample(asked, round(share * len(asked))):
        place = next((n for n, c in enumerate(shelves.chunks) if answers(c, question)), None)
        if place is None:
            continue
        fact, text = question.facts[0][0], reading_text(shelves.chunks[place])
        said = f"{question.text} {fact}"
        yield Statement(said, text, SUPPORTED, "", shop.name)
        if (span := find_span(text, [fact])) and rng.random() < 0.5:
            title = " - ".join(shelves.chunks[place].title_path)
            if left := without_answer(text, span, title):
                yield Statement(said, left, UNSTATED, "taken out", shop.name)
        if other := shelves.neighbour(place, rng):
            yield Statement(said, reading_text(other), UNSTATED, "neighbour", shop.name)
        others = [q.facts[0][0] for q in asked if q.relevant == question.relevant]
        changed = corrupted(fact, rng) or rng.choice([f for f in others if f != fact] or [""])
        if changed and changed not in fact:
            wrong = f"{question.text} {changed}"
            yield Statement(wrong, text, CONTRADICTED, "changed", shop.name)


def grounded_statements(path: Path, rng: random.Random, share: float) -> Iterator[Statement]:
    """A share of public answers, beside the passage that they rest on, and others."""
    for record in read_records(path):
        if record["source"] == MEASURED_ON or rng.random() > share:
            continue
        said = split_sentences(record["answer"])[:1]
        title, _, text = record["passages"][record["passage"]].rpartition("\n")
        if not said or not _is_statement(said[0]):
            continue
        words = set(content_words(said[0]))
        windows = windows_of(title, text, rng)
        held = max(windows, key=lambda w: len(words & set(content_words(w))), default="")
        if not held or (record.get("span") and said[0][:40] not in held):
            continue
        yield Statement(said[0], held, SUPPORTED, "", record["source"])
        if changed := corrupted(said[0], rng):
            yield Statement(changed, held, CONTRADICTED, "changed", record["source"])
        others = [w for w in windows if w != held]
        for n, passage in enumerate(record["passages"]):
            if n != record["passage"]:
                name, _, body = passage.rpartition("\n")
                others += windows_of(name, body, rng)
        others = [w for w in others if said[0] not in w]
        if others:
            near = max(others, key=lambda w: len(words & set(content_words(w))))
            yield Statement(said[0], near, UNSTATED, "neighbour", record["source"])


def _is_statement(sentence: str) -> bool:
    length = len(sentence) / 2 if is_cjk(sentence) else len(sentence.split())
    return length >= _LEAST_WORDS and len(sentence) <= _LONGEST and sentence[-1] not in "?？:："


def held_statements(folder: Path, shops: Sequence[Shop], encoder: Encoder) -> list[Statement]:
    """What was written to the shops that a folder has a file for. Raises DataError for none."""
    found = [
        statement
        for shop in shops
        if (path := folder / f"{shop.name}.jsonl").is_file()
        for statement in written_statements(path, Shelves(shop, encoder))
    ]
    if not found:
        raise DataError(f"{folder} holds no statements to these shops")
    return found


def learnt(statements: Iterable[Statement]) -> list[Statement]:
    """Those whose kind is not kept for measuring."""
    return [s for s in statements if s.kind not in UNSEEN_KINDS]
