"""Pairs (question, text) for the reranker, from public question-answer sets and our own shops.

A text is a title and consecutive sentences of a passage, as the reader sees a chunk when it serves.
Label 1: the text holds the answer, `span` says where. Negatives are near misses: the same text
without the sentence that answers, other parts of the passage, the paragraph an unanswerable
question was written against, neighbouring passages of the same source.

Sources (found below FRONTDESK_DATA): half of the SQuAD 2.0 dev set and XQuAD English (CC BY-SA
4.0), CMRC 2018 trial (CC BY-SA), english_grounded and chinese_grounded (licences in their README)
without DRCD, on which retrieval is measured. The shops in `finetune/shops` were written for this
project.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from finetune.errors import DataError
from finetune.pointing import nearest_sentence
from knowledge.chunk import chunk_document, length_in_words
from knowledge.encoder import Encoder
from knowledge.formats import read_json_lines
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.places import with_countries
from knowledge.rerank import reading_text
from knowledge.segment import content_words, split_sentences
from knowledge.types import Chunk, Document

_CHUNK_WORDS = 90  # as served, see KnowledgeSettings
_WINDOW_WORDS = (30, 50, 70, 85)
_MAX_CHARACTERS = 640
_UNTITLED_SHARE = 0.15
_TELLING = 8  # passages that tell the language of a shop
_MAX_BYTES = 500_000_000
CITATION = re.compile(r"\s*\[([^\]\[]+)\]")  # of a passage, by its id
# Retrieval is measured on this part of chinese_grounded.
MEASURED_ON = "DRCKnowledgeTeam/DRCD dev"


@dataclass(frozen=True, slots=True)
class Pair:
    """One training row: does `text` (as the reader sees a chunk) answer the question?

    `span` is where the answer stands in `text`, in characters, or None where it does not or is not
    known. `group` is the question's number within its source, `source` the article or shop.
    """

    question: str
    text: str
    label: int
    span: tuple[int, int] | None
    source: str
    group: int = 0

    @property
    def texts(self) -> tuple[str, str]:
        """What the reader is given."""
        return self.question, self.text


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSON Lines file, plain, gzip or zstd. Raises DataError when it is none."""
    try:
        yield from read_json_lines(path, _MAX_BYTES)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} is not JSON Lines: {error}") from error


def overlap(question: str, text: str) -> float:
    """Share of the question's content words that stand in text, 0 to 1."""
    asked = set(content_words(question))
    return len(asked & set(content_words(text))) / len(asked) if asked else 0.0


def find_span(text: str, answers: Iterable[str]) -> tuple[int, int] | None:
    """Where the first answer that text holds begins and ends, in characters."""
    folded = text.casefold()
    for answer in answers:
        wanted = " ".join(answer.split()).casefold()
        if wanted and (start := folded.find(wanted)) >= 0 and len(folded) == len(text):
            return start, start + len(wanted)
    return None


def windows_of(title: str, text: str, rng: random.Random) -> list[str]:
    """Cut text into consecutive windows of whole sentences, of random length, under its title."""
    windows: list[str] = []
    current: list[str] = []
    limit = rng.choice(_WINDOW_WORDS)
    for sentence in split_sentences(text):
        current.append(sentence)
        if length_in_words(" ".join(current)) >= limit:
            windows.append(" ".join(current))
            current, limit = [], rng.choice(_WINDOW_WORDS)
    if current:
        windows.append(" ".join(current))
    return [f"{title}: {w}"[:_MAX_CHARACTERS] if title else w[:_MAX_CHARACTERS] for w in windows]


def without_answer(text: str, span: tuple[int, int], title: str = "") -> str | None:
    """Text without the sentence that holds the span: the nearest miss there is.

    A title in front of it ("title: text") stays. None where nothing else would be left.
    """
    head = f"{title}: " if title and text.startswith(f"{title}: ") else ""
    kept, position, dropped = [], len(head), False
    for sentence in split_sentences(text[len(head) :]):
        start = text.find(sentence, position)
        position = start + len(sentence)
        if start < span[1] and position > span[0]:
            dropped = True
        else:
            kept.append(sentence)
    return head + " ".join(kept) if dropped and kept else None


def near_misses(question: str, windows: Iterable[str], count: int) -> list[str]:
    """The windows that share most words with the question."""
    return sorted(windows, key=lambda w: -overlap(question, w))[:count]


def squad_pairs(folder: Path, rng: random.Random, language: str | None = None) -> Iterator[Pair]:
    """SQuAD-like folder (corpus, queries): answerable and adversarially unanswerable questions."""
    corpus = {row["id"]: row for row in read_records(folder / "corpus.jsonl.gz")}
    articles: dict[str, list[str]] = {}
    for row in corpus.values():
        articles.setdefault(row["title"], []).extend(windows_of(row["title"], row["text"], rng))
    for number, query in enumerate(read_records(folder / "queries.jsonl.gz")):
        if language and query.get("lang", query.get("language")) != language:
            continue
        sources = query["relevant"] or query.get("near_miss", [])
        if not sources or sources[0] not in corpus:
            continue
        passage = corpus[sources[0]]
        answers = query.get("answers") or [query.get("answer") or ""]
        windows = windows_of(passage["title"], passage["text"], rng)
        question, source = query["text"].strip(), passage["title"]
        holding = [w for w in windows if query["relevant"] and find_span(w, answers)]
        missing = [w for w in windows if w not in holding]
        if holding:
            best = near_misses(question, holding, 1)[0]
            span = find_span(best, answers)
            yield Pair(question, best, 1, span, source, number)
            if span and (stripped := without_answer(best, span, source)):
                yield Pair(question, stripped, 0, None, source, number)
            missing += [w for w in articles[source] if not find_span(w, answers)]
        for window in near_misses(question, missing, 1 if holding else 2):
            yield Pair(question, window, 0, None, source, number)


def is_heading(record: dict[str, Any]) -> bool:
    """Whether a grounded record's question is only a heading of its document."""
    return record["source"].split(":")[0] in {"faq", "howto", "about"}


def grounded_pairs(path: Path, rng: random.Random, synthetic_share: float) -> Iterator[Pair]:
    """english_grounded, chinese_grounded: the span's window against others of the same source.

    `synthetic_share` of the records whose question is only a heading are taken.
    """
    recent: dict[str, list[str]] = {}
    for number, record in enumerate(read_records(path)):
        source, question = record["source"], record.get("question")
        synthetic = is_heading(record)
        if not question or source == MEASURED_ON or (synthetic and rng.random() > synthetic_share):
            continue
        titles, texts = zip(
            *(p.split("\n", 1) if "\n" in p else ("", p) for p in record["passages"]), strict=True
        )
        gold, span = record["passage"], record.get("span")
        answer = record["passages"][gold][span[0] : span[1]] if span else ""
        title = "" if synthetic and rng.random() < 0.6 else titles[gold]  # it repeats the question
        windows = windows_of(title, texts[gold], rng)
        answers = [answer, " ".join(answer.split())[:60]]
        holding = [w for w in windows if find_span(w, answers)]
        if holding:
            found = find_span(holding[0], answers)
            yield Pair(question[-300:], holding[0], 1, found, source, number)
            if found and not synthetic and (stripped := without_answer(holding[0], found, title)):
                yield Pair(question[-300:], stripped, 0, None, source, number)
        others = [
            w for i, t in enumerate(texts) if i != gold for w in windows_of(titles[i], t, rng)
        ]
        pool = near_misses(question, others + recent.setdefault(source, []), 6)
        for window in rng.sample(pool, min(2 if holding else 1, len(pool))):
            yield Pair(question[-300:], window, 0, None, source, number)
        recent[source] = (recent[source] + windows)[-60:]


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

    @property
    def language(self) -> str:
        """That of its passages."""
        return _language(" ".join(text for _, _, text in self.passages[:_TELLING]))


@lru_cache(maxsize=1024)
def _language(text: str) -> str:
    return Detector().detect(text).language


@dataclass(frozen=True, slots=True)
class Material:
    """Shops to learn from, and shops never learnt from to calibrate on."""

    shops: tuple[Shop, ...]
    unseen: tuple[Shop, ...]


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


def with_replied(shop: Shop, replies: Path) -> Shop:
    """The shop with the questions that its customers were replied to as well: answered by the
    sentence of the cited passage that shares most words with the reply, or by nothing."""
    path = replies / f"{shop.name}.jsonl"
    records = list(read_records(path)) if path.is_file() else []
    texts = {identifier: text for identifier, _, text in shop.passages}
    asked = []
    for record in records:
        cited = {*CITATION.findall(record["reply"])}
        if record["history"] or len(cited) > 1 or not cited <= texts.keys():
            continue  # what is asked is not in the question, or is asked of two passages
        if not cited:
            asked.append(ShopQuestion(record["question"], (), ()))
            continue
        (identifier,) = cited
        said = CITATION.sub("", split_sentences(record["reply"])[-1])
        fact = nearest_sentence(texts[identifier], said)
        asked.append(ShopQuestion(record["question"], (identifier,), ((fact,),)))
    return replace(shop, questions=(*shop.questions, *asked))


def require_both_kinds(shops: Iterable[Shop]) -> None:
    """Raise DataError unless some questions are answered by a passage and some by none."""
    if {bool(q.relevant) for s in shops for q in s.questions} != {True, False}:
        raise DataError("the unseen shops need questions that are answered and some that are not")


def shop_chunks(shop: Shop) -> list[Chunk]:
    """A shop's passages cut as they are served."""
    documents = [Document(i, title, text, "", shop.name) for i, title, text in shop.passages]
    return [c for d in documents for c in chunk_document(d, _CHUNK_WORDS, 1)]


def answers(chunk: Chunk, question: ShopQuestion) -> bool:
    """True when the chunk is of a relevant passage and holds every fact."""
    return chunk.document_id in question.relevant and all(
        any(fact in chunk.text for fact in alternatives) for alternatives in question.facts
    )


def shop_pairs(
    shop: Shop,
    encoder: Encoder,
    negatives: int = 2,
    rng: random.Random | None = None,
) -> Iterator[Pair]:
    """(question, chunk) as served: the right chunks, and those nearest to the question that are
    not. Chunks of relevant passages that lack a fact are left out: they may answer in part.

    With `rng`, for training: negatives are drawn from four times as many, each right chunk is
    given once more without the sentence that answers, and some titles are left out.
    """
    chunks = shop_chunks(shop)
    language = shop.language
    questions = [replace(q, text=with_countries(q.text, language)) for q in shop.questions]
    right = [[c for c in chunks if answers(c, q)] for q in questions]
    vectors = _vectors(encoder.embed, tuple(c.indexed_text for c in chunks))
    asked = _vectors(encoder.embed, tuple(q.text for q in questions))
    held = [frozenset(content_words(c.indexed_text)) for c in chunks]
    due = Counter(c.id for c in chain.from_iterable(right) for _ in range(negatives))
    for number, (question, vector) in enumerate(zip(questions, asked, strict=True)):
        words = set(content_words(question.text))
        lexical = np.array([len(words & h) / max(1, len(words)) for h in held])
        known = encoder.known_share(question.text)
        order = np.argsort(-(known * (vectors @ vector) + (1.5 - known) * lexical))
        wrong = [chunks[i] for i in order if chunks[i].document_id not in question.relevant]
        if rng:
            wrong = balanced(wrong[: 4 * negatives], due, rng)
        for chunk in right[number]:
            yield from _right_pairs(question, chunk, shop.name, number, rng)
        for chunk in wrong[:negatives]:
            due[chunk.id] -= 1
            yield Pair(question.text, reading_text(chunk), 0, None, shop.name, number)


@lru_cache(maxsize=512)
def _vectors(embed: Callable[[Sequence[str]], Any], texts: tuple[str, ...]) -> Any:
    """The texts' vectors, kept for the next epoch: a hundred shops take minutes."""
    return embed(texts)


def balanced(chunks: Sequence[Chunk], due: Counter[str], rng: random.Random) -> list[Chunk]:
    """In random order, but first those that are still due as negatives.

    Each chunk is due in proportion to how often it is right. Otherwise a reader learns that a
    chunk that is often near and seldom asked for answers nothing.
    """
    return sorted(rng.sample(chunks, len(chunks)), key=lambda c: due[c.id] <= 0)


def _right_pairs(
    question: ShopQuestion, chunk: Chunk, source: str, number: int, rng: random.Random | None
) -> Iterator[Pair]:
    """The chunk that answers, and for training its nearest miss."""
    title, text = " - ".join(chunk.title_path), reading_text(chunk)
    if rng and rng.random() < _UNTITLED_SHARE:
        text = " ".join(chunk.text.split())
    span = find_span(text, question.facts[0]) if question.facts else None
    yield Pair(question.text, text, 1, span, source, number)
    if rng and span and (stripped := without_answer(text, span, title)):
        yield Pair(question.text, stripped, 0, None, source, number)


def shop_of_documents(name: str, documents: Path, questions: Path) -> Shop:
    """A shop whose passages are a folder of documents, with questions put to them by id
    (`{"id", "answered", "missed"}`); expired and internal documents are left out."""
    found = Loader(Detector()).load([documents]).documents
    today = date.today()
    current = [d for d in found if d.audience != "agents" and (d.valid_until or today) >= today]
    held = {d.id for d in current}
    rows = [r for r in read_records(questions) if r["id"] in held]
    asked = [
        ShopQuestion(question, (r["id"],), ((fact,),))
        for r in rows
        for question, fact in r["answered"]
    ] + [ShopQuestion(question, (), ()) for r in rows for question in r["missed"]]
    return Shop(name, tuple((d.id, d.title, d.text) for d in current), tuple(asked))


def demo_shops(folder: Path) -> list[Shop]:
    """The demo shop's documents with its training questions, a shop for each language."""
    return [
        shop_of_documents(f"demo-{q.stem}", folder / "documents" / q.stem, q)
        for q in sorted((folder / "training_questions").glob("*.jsonl"))
    ]
