"""Pairs (question, window) for the reranker, built from public question-answer sets.

A window is a title and one to four consecutive sentences of a passage, as the reranker will see
them when it serves. Label 1: the window holds the answer. Negatives are near misses: other
sentences of the same passage, the paragraph an unanswerable question was written against, and
neighbouring passages of the same source.

Sources (found below FRONTDESK_DATA): half of the SQuAD 2.0 dev set (CC BY-SA 4.0), XQuAD English
(CC BY-SA 4.0), english_grounded (licences in its README). Shops written for this project (with
`questions.jsonl` beside `corpus.jsonl`) can be added.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.chunk import chunk_document
from knowledge.encoder import Encoder
from knowledge.load import read_text
from knowledge.rerank import reading_text
from knowledge.segment import content_words, split_sentences
from knowledge.types import Document

MAX_WINDOW_SENTENCES = 4
MAX_WINDOW_CHARACTERS = 520
_MAX_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Pair:
    """One training row; `group` names the article or source, so that splits never cut one."""

    question: str
    window: str
    label: int
    group: str


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSON Lines file, plain, gzip or zstd."""
    lines = read_text(path, _MAX_BYTES).split("\n")
    return (json.loads(line) for line in lines if line.strip())


def overlap(question: str, text: str) -> float:
    """Share of the question's content words that stand in text, 0 to 1."""
    asked = set(content_words(question))
    return len(asked & set(content_words(text))) / len(asked) if asked else 0.0


def windows_of(title: str, text: str, rng: random.Random) -> list[str]:
    """Cut text into consecutive windows of random length, each under its title."""
    sentences, windows, start = split_sentences(text), [], 0
    while start < len(sentences):
        size = rng.randint(1, MAX_WINDOW_SENTENCES)
        windows.append(" ".join(sentences[start : start + size]))
        start += size
    return [f"{title}: {w}"[:MAX_WINDOW_CHARACTERS] if title else w for w in windows if w]


def near_misses(question: str, windows: Iterable[str], count: int) -> list[str]:
    """The windows that share most words with the question."""
    return sorted(windows, key=lambda w: -overlap(question, w))[:count]


def squad_pairs(folder: Path, rng: random.Random, language: str | None = None) -> Iterator[Pair]:
    """SQuAD-like folder (corpus, queries): answerable and adversarially unanswerable questions."""
    corpus = {row["id"]: row for row in read_records(folder / "corpus.jsonl.gz")}
    for query in read_records(folder / "queries.jsonl.gz"):
        if language and query.get("lang", query.get("language")) != language:
            continue
        sources = query["relevant"] or query.get("near_miss", [])
        if not sources or sources[0] not in corpus:
            continue
        passage = corpus[sources[0]]
        windows = windows_of(passage["title"], passage["text"], rng)
        answers = query.get("answers") or [query.get("answer") or ""]
        holding = [w for w in windows if any(a and a in w for a in answers)]
        question, group = query["text"].strip(), passage["title"]
        if query["relevant"] and holding:
            yield Pair(question, near_misses(question, holding, 1)[0], 1, group)
        missing = [w for w in windows if w not in holding]
        for window in near_misses(question, missing, 1 if query["relevant"] else 2):
            yield Pair(question, window, 0, group)


def grounded_pairs(path: Path, rng: random.Random, faq_share: float) -> Iterator[Pair]:
    """english_grounded: the span's window against sibling passages and, within a source, others."""
    recent: dict[str, list[str]] = {}
    for record in read_records(path):
        source, question = record["source"], record.get("question")
        synthetic = source.split(":")[0] in {"faq", "howto", "about"}
        if not question or (synthetic and rng.random() > faq_share):
            continue
        titles, texts = zip(
            *(p.split("\n", 1) if "\n" in p else ("", p) for p in record["passages"]), strict=True
        )
        gold, span = record["passage"], record.get("span")
        windows = windows_of(titles[gold], texts[gold], rng)
        if not windows:
            continue
        answer = record["passages"][gold][span[0] : span[1]] if span else ""
        start = re.sub(r"\s+", " ", answer)[:40]
        holding = [w for w in windows if start and start in w] or windows[:1]
        positive = holding[0]
        if synthetic and rng.random() < 0.6:  # the question repeats the heading: hide it often
            positive = positive.split(": ", 1)[-1]
        others = [
            w for i, t in enumerate(texts) if i != gold for w in windows_of(titles[i], t, rng)
        ]
        pool = near_misses(question, others + recent.setdefault(source, []), 6)
        yield Pair(question[-300:], positive, 1, source)
        for window in rng.sample(pool, min(2, len(pool))):
            yield Pair(question[-300:], window, 0, source)
        recent[source] = (recent[source] + windows)[-150:]


@dataclass(frozen=True, slots=True)
class ShopQuestion:
    """A question put to a shop; `relevant` passages hold `facts` (alternatives each)."""

    text: str
    relevant: tuple[str, ...]
    facts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Shop:
    """Passages (id, title, text) and the questions put to them, unanswerable ones included."""

    name: str
    passages: tuple[tuple[str, str, str], ...]
    questions: tuple[ShopQuestion, ...]


def read_shop(path: Path) -> Shop:
    """A shop from a folder (corpus.jsonl, questions.jsonl), or from one file whose rows are
    passages with the questions they answer (`answered`) and narrowly do not (`missed`)."""
    if path.is_dir():
        rows = list(read_records(path / "corpus.jsonl"))
        questions = [
            ShopQuestion(q["text"], tuple(q["relevant"]), tuple(map(tuple, q["facts"])))
            for q in read_records(path / "questions.jsonl")
        ]
    else:
        rows = list(read_records(path))
        questions = [
            ShopQuestion(question, (r["id"],), ((fact,),))
            for r in rows
            for question, fact in r["answered"]
        ] + [ShopQuestion(question, (), ()) for r in rows for question in r["missed"]]
    passages = tuple((str(r["id"]), r["title"], r["text"]) for r in rows)
    return Shop(path.name.removesuffix(".jsonl"), passages, tuple(questions))


def shops_below(folder: Path) -> list[Shop]:
    """All shops in a folder, by name."""
    return [read_shop(p) for p in sorted(folder.iterdir()) if p.is_dir() or p.suffix == ".jsonl"]


def shop_pairs(shop: Shop, encoder: Encoder, max_words: int, negatives: int = 5) -> Iterator[Pair]:
    """(question, chunk) as served: the right chunks, and those nearest to the question that are
    not. Chunks of relevant passages that lack a fact are left out: they may answer in part."""
    documents = [Document(i, title, text, "", shop.name) for i, title, text in shop.passages]
    chunks = [c for d in documents for c in chunk_document(d, max_words, 1)]
    vectors = encoder.embed([c.indexed_text for c in chunks])
    asked = encoder.embed([q.text for q in shop.questions])
    for question, vector in zip(shop.questions, asked, strict=True):
        cosines = vectors @ vector
        lexical = np.array([overlap(question.text, c.indexed_text) for c in chunks])
        order = np.argsort(-(cosines + 0.5 * lexical))
        wrong = [chunks[i] for i in order if chunks[i].document_id not in question.relevant]
        right = [
            c
            for c in chunks
            if c.document_id in question.relevant
            and all(any(f in c.text for f in alternatives) for alternatives in question.facts)
        ]
        yield from (Pair(question.text, reading_text(c), 1, shop.name) for c in right)
        yield from (Pair(question.text, reading_text(c), 0, shop.name) for c in wrong[:negatives])
