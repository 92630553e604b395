"""Examples of the one task: passages, history and a question to a short reply with citations.

Three sources: replies that people would write (`finetune/replies`, over the shops' passages), the
shops' questions answered by the sentence that holds the fact, and public grounded records.
A record of the first is `{"question", "history", "passages", "reply"}`; the reply cites by passage
id, `[returns-uk]`, which becomes its number in the prompt. `passages` are those cited, or those
that a refusal was written in view of.

Each passage comes with what the reader would point at in it: for the right one, mostly, the
sentences that the reply rests on, for others the one nearest to the question.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from finetune.corpus import grounded_example, is_left_out
from finetune.errors import DataError
from finetune.examples import MARK, Example, marked, supported_by_words
from finetune.pointing import pointed
from finetune.prompt import Turn, titled
from finetune.reranker_data import CITATION, Shop, ShopQuestion, answers, read_records, shop_chunks
from finetune.settings import InstructRecipe
from knowledge.encoder import Encoder
from knowledge.segment import content_words, is_cjk, split_sentences
from knowledge.types import Chunk

_PASSAGES = 3  # as served: KnowledgeSettings.rerank_passages
_GOLD_FIRST = 0.9  # of the time: what is served is sorted best first
_NEAREST = 7
_SUPPORTED = 0.8  # of the content words of a citing sentence, as in examples.SUPPORT_SHARE
_NOT_IN_DOCUMENTS = {
    "en": (
        "I can't find that in our documents, so I don't want to guess.",
        "Our policies don't say anything about this.",
        "That isn't covered in what I have here. A colleague can check it for you.",
        "I'm sorry, our documents don't answer this.",
        "I don't have that information, and I'd rather not guess.",
        "This point isn't mentioned in our policies.",
    ),
    "zh": (
        "我们的资料里没有提到这一点，我不想随意猜测。",
        "抱歉，现有的政策没有说明这个问题。",
        "资料中没有这方面的说明，可以请同事为您确认。",
        "这一点我这里查不到，不敢乱答。",
        "很抱歉，我们的文件没有回答这个问题。",
        "目前的资料没有写明这一点。",
    ),
}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where lessons come from: shops, a folder of replies to them, and grounded files."""

    shops: tuple[Shop, ...]
    replies: Path
    grounded: tuple[Path, ...] = ()


def lesson(sources: Sources, encoder: Encoder, recipe: InstructRecipe) -> list[Example]:
    """What a recipe asks for, the same at each call. Raises DataError when a file is unreadable."""
    rng = random.Random(recipe.seed)
    written: list[Example] = []
    extracts: list[Example] = []
    try:
        for shop in sources.shops:
            books = ShopBooks(shop, encoder)
            if recipe.copies and (path := sources.replies / f"{shop.name}.jsonl").is_file():
                written += reply_examples(
                    books, read_records(path), rng, recipe.copies, recipe.supported
                )
            if recipe.extracts:
                extracts += extract_examples(books, rng, recipe.extract_copies)
        examples = [*written, *_at_most(recipe.extracts, extracts, rng)]
        for path in sources.grounded if recipe.grounded else ():
            found = list(grounded_examples(path, recipe.leave_out, rng))
            examples += _at_most(recipe.grounded, found, rng)
    except (LookupError, TypeError) as error:
        raise DataError(f"a reply or a grounded record lacks {error}") from error
    return examples


def _at_most(count: int, examples: list[Example], rng: random.Random) -> list[Example]:
    return rng.sample(examples, min(count, len(examples)))


class ShopBooks:
    """A shop's chunks as they are served, and which of them lie near a question."""

    def __init__(self, shop: Shop, encoder: Encoder) -> None:
        self.shop = shop
        self.chunks = shop_chunks(shop)
        self._encoder = encoder
        self._vectors = encoder.embed([c.indexed_text for c in self.chunks])
        self._words = [frozenset(content_words(c.indexed_text)) for c in self.chunks]

    def nearest(self, asked: Sequence[tuple[str, Collection[str]]]) -> list[list[Chunk]]:
        """Chunks near each question, nearest first, none of the documents named beside it.

        For all questions at once: embedded one by one they take three times as long.
        """
        vectors: Any = self._encoder.embed([question for question, _ in asked]) if asked else []
        return [
            self._near(question, vector, excluded)
            for (question, excluded), vector in zip(asked, vectors, strict=True)
        ]

    def _near(self, question: str, vector: Any, excluded: Collection[str]) -> list[Chunk]:
        words = set(content_words(question))
        shared = np.array([len(words & w) / max(1, len(words)) for w in self._words])
        order = np.argsort(-(self._vectors @ vector + 0.5 * shared))
        kept = (self.chunks[i] for i in order if self.chunks[i].document_id not in excluded)
        return list(islice(kept, _NEAREST))

    def piece_of(self, document_id: str, said: str) -> Chunk | None:
        """The document's chunk that shares most words with what was said."""
        words = set(content_words(said))
        own = [c for c in self.chunks if c.document_id == document_id]
        return max(own, key=lambda c: len(words & set(content_words(c.text))), default=None)


def reply_examples(
    books: ShopBooks,
    records: Iterable[Mapping[str, Any]],
    rng: random.Random,
    copies: int = 1,
    supported: bool = False,
) -> Iterator[Example]:
    """The written replies, each `copies` times: among near misses drawn anew, with its citations
    numbered. With `supported` only those whose citing sentences keep to the passages' words."""
    usable = [
        (record, gold)
        for record in records
        if (gold := _cited(books, record, supported)) is not None
    ]
    asked = [" ".join([*record["history"][:1], record["question"]]) for record, _ in usable]
    excluded = [{c.document_id for c in gold} for _, gold in usable]
    near_all = books.nearest(list(zip(asked, excluded, strict=True)))
    for (record, gold), question, near in zip(usable, asked, near_all, strict=True):
        said = _said(record["reply"])
        turns = tuple(
            Turn("agent" if n % 2 else "customer", text) for n, text in enumerate(record["history"])
        )
        for _ in range(copies):
            passages = _among(gold, near, rng)
            reply = record["reply"]
            for number, chunk in enumerate(passages, start=1):
                reply = reply.replace(f"[{chunk.document_id}]", f"[{number}]")
            quotes = tuple(
                pointed(c.text, question, said.get(c.document_id, ()), rng) for c in passages
            )
            yield Example(_texts(passages), turns, record["question"], reply, quotes=quotes)


def _cited(books: ShopBooks, record: Mapping[str, Any], supported: bool) -> list[Chunk] | None:
    """The chunks that a reply rests on; None where one is missing, or does not support it and
    should."""
    cited = dict.fromkeys(CITATION.findall(record["reply"]))
    gold = [c for c in (books.piece_of(i, record["reply"]) for i in cited) if c]
    if len(gold) < len(cited):
        return None
    texts = [c.text for c in gold]
    said = (s for sentences in _said(record["reply"]).values() for s in sentences)
    if supported and not all(supported_by_words(s, texts, _SUPPORTED) for s in said):
        return None
    return gold


def extract_examples(books: ShopBooks, rng: random.Random, copies: int = 1) -> Iterator[Example]:
    """Each of the shop's questions answered by the sentence that holds the fact, or by no; each
    `copies` times, among near misses drawn anew."""
    questions = books.shop.questions
    near_all = books.nearest([(q.text, q.relevant) for q in questions])
    for question, near in zip(questions, near_all, strict=True):
        gold = [c for c in books.chunks if question.facts and answers(c, question)][:1]
        if question.facts and not gold:
            continue
        sentence = _sentence_with(question, gold[0]) if gold else ""
        for _ in range(copies):
            passages = _among(gold, near, rng)
            reply = (
                marked(sentence, passages.index(gold[0]) + 1)
                if gold
                else _refusal(question.text, rng)
            )
            quotes = tuple(
                pointed(c.text, question.text, [sentence] if c in gold else (), rng)
                for c in passages
            )
            yield Example(_texts(passages), (), question.text, reply, quotes=quotes)


def grounded_examples(
    path: Path, left_out: Sequence[str], rng: random.Random, unanswered_share: float = 0.15
) -> Iterator[Example]:
    """Public records; in some the passage that answers is missing and the reply says so."""
    earlier: list[str] = []
    for record in read_records(path):
        if is_left_out(record, left_out):
            continue
        example = grounded_example(record)
        right = example.passages[record["passage"]]
        if earlier and rng.random() < unanswered_share:
            others = [p for p in example.passages if p != right] or [rng.choice(earlier)]
            refusal = _refusal(example.question, rng)
            example = replace(example, passages=tuple(others), reply=refusal)
        said = [MARK.sub("", example.reply)]
        quotes = tuple(
            pointed(p, example.question, said if p == right else (), rng) for p in example.passages
        )
        yield replace(example, quotes=quotes)
        earlier = [*earlier[-50:], right]


def _said(reply: str) -> dict[str, list[str]]:
    """What a reply says of each document that it cites."""
    said: dict[str, list[str]] = {}
    for sentence in split_sentences(reply):
        for name in CITATION.findall(sentence):
            said.setdefault(name, []).append(CITATION.sub("", sentence))
    return said


def _refusal(question: str, rng: random.Random) -> str:
    return rng.choice(_NOT_IN_DOCUMENTS["zh" if is_cjk(question) else "en"])


def _among(gold: Sequence[Chunk], others: Sequence[Chunk], rng: random.Random) -> list[Chunk]:
    """The right chunks with near misses beside them, as many as a prompt holds or fewer."""
    room = max(len(gold), rng.choice((1, 2, _PASSAGES, _PASSAGES, _PASSAGES)))
    passages = [*gold, *rng.sample(others, min(len(others), room - len(gold)))]
    if rng.random() > _GOLD_FIRST:
        rng.shuffle(passages)
    return passages


def _sentence_with(question: ShopQuestion, chunk: Chunk) -> str:
    facts = question.facts[0]
    found = (s for s in split_sentences(chunk.text) if any(f in s for f in facts))
    return next(found, " ".join(chunk.text.split()))


def _texts(chunks: Sequence[Chunk]) -> tuple[str, ...]:
    return tuple(titled(" › ".join(c.title_path), c.text) for c in chunks)
