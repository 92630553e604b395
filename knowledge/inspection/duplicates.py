"""Two documents that say the same, of which one should go.

What tells them from sister pages, which share most of their words and are both needed, is what is
different: another quantity, another name, a subject that the title and the text of the one hold and
the other lacks, a sentence turned round. A logistic model weighs that (`python -m finetune
inspector` fits it on `finetune/findings`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.encoder import Vectors
from knowledge.inspection.linear import LinearModel
from knowledge.inspection.neighbours import document_vectors, near_pairs
from knowledge.inspection.quantities import quantities
from knowledge.inspection.reading import statements
from knowledge.segment import content_words, is_cjk
from knowledge.types import Chunk, Document, Finding

FEATURES = (
    "bias", "quantities_both", "quantities_either", "quantities_share", "subjects_both",
    "subjects_either", "words_both", "names", "opposites", "turned", "jaccard", "containment",
    "nearest_mean", "nearest_least", "nearest_two", "cosine", "titles", "lengths",
)  # fmt: skip
_NAME_EN = re.compile(r"(?<![.!?:\n|*•-] )(?<!^)\b[A-Z][\w-]+", re.MULTILINE)
_NAME_ZH = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_NEGATIONS = re.compile(
    r"\b(?:not|no|never|none|nothing|without|only|except|cannot|unless|us|you)\b|n't|[不没无非勿仅只除]",
    re.IGNORECASE,
)
_OPPOSITES_EN = (
    "left right", "before after", "always never", "summer winter", "morning evening", "upper lower",
    "small large", "new used", "men women", "inside outside", "indoor outdoor", "with without",
    "wet dry", "hot cold", "front rear", "front back", "top bottom", "adult child", "online store",
    "buyer seller", "till post", "may must", "can cannot", "us you",
)  # fmt: skip
_OPPOSITES_ZH = (
    "左右 上下 前后 大小 男女 冬夏 早晚 新旧 内外 冷热 干湿 春秋 长短 单双 厚薄 硬软 买卖"
)
_CLOSE = 0.6  # of the words of two statements are the same: one may be the other turned round
_NEAR = 0.75  # cosine from which two documents may say the same
_NEIGHBOURS = 4
_MOST_STATEMENTS = 40


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A document as it is compared: its statements (the first of a long one are enough to tell)
    with the words of each, how often each word stands in its text, the words of its title, and its
    vector, the mean of its passages' (`document_vectors`)."""

    title: str
    text: str
    statements: tuple[str, ...]
    said: tuple[frozenset[str], ...]
    words: Counter[str]
    title_words: frozenset[str]
    quantities: frozenset[str]
    vector: NDArray[np.float32]

    @classmethod
    def of(cls, document: Document, vector: NDArray[np.float32]) -> DocumentText:
        """A document with its vector."""
        told = tuple(statements(document.text)[:_MOST_STATEMENTS])
        return cls(
            document.title,
            document.text,
            told,
            tuple(frozenset(content_words(s)) for s in told),
            Counter(content_words(document.text)),
            frozenset(content_words(document.title)),
            frozenset(quantities(document.text)),
            vector,
        )


def features(a: DocumentText, b: DocumentText) -> tuple[float, ...]:
    """Values of FEATURES for two documents; they are the same in either order."""
    whole_a, whole_b = f"{a.title}. {a.text}", f"{b.title}. {b.text}"
    only_a, only_b = len(a.quantities - b.quantities), len(b.quantities - a.quantities)
    words_a, words_b = set(a.words), set(b.words)
    all_a, all_b = words_a | a.title_words, words_b | b.title_words
    subjects = sorted(
        (len((a.title_words - all_b) & words_a), len((b.title_words - all_a) & words_b))
    )
    own = [
        sum(n > 1 or word in one.title_words for word, n in one.words.items() if word not in other)
        for one, other in ((a, all_b), (b, all_a))
    ]
    shared = len(words_a & words_b)
    alike = np.array([[_alike(x, y) for y in b.said] for x in a.said])
    nearest = np.sort(np.concatenate([alike.max(1), alike.max(0)]))
    turned = max(
        _turned(a.statements, b.statements, alike), _turned(b.statements, a.statements, alike.T)
    )
    return (
        1.0,
        min(only_a, only_b, 3),
        min(only_a + only_b, 6),
        (only_a + only_b) / max(1, len(a.quantities | b.quantities)),
        min(subjects[0], 2),
        min(subjects[1], 3),
        min(*own, 3),
        min(_names_apart(whole_a, whole_b), 4),
        min(_opposites(whole_a, whole_b), 2),
        min(turned, 2),
        shared / max(1, len(words_a | words_b)),
        shared / max(1, min(len(words_a), len(words_b))),
        float(nearest.mean()),
        float(nearest[0]),
        float(nearest[:2].mean()),
        float(a.vector @ b.vector),
        _alike(a.title_words, b.title_words),
        min(abs(len(a.statements) - len(b.statements)), 3),
    )


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Dice's coefficient of two sets of words."""
    return 2 * len(one & other) / max(1, len(one) + len(other))


def _names_apart(a: str, b: str) -> int:
    """Names that one text holds and the other does not."""
    name = _NAME_ZH if is_cjk(a) else _NAME_EN
    pairs = ((a, b.casefold()), (b, a.casefold()))
    return sum(
        word not in other
        for text, other in pairs
        for word in {n.casefold() for n in name.findall(text)}
    )


def _opposites(a: str, b: str) -> int:
    """Pairs of opposites of which a has more of the one, and b of the other."""
    if is_cjk(a):
        return sum(
            (a.count(x) - b.count(x)) * (a.count(y) - b.count(y)) < 0
            for x, y in map(tuple, _OPPOSITES_ZH.split())
        )
    count_a, count_b = (Counter(re.findall(r"[a-z']+", t.casefold())) for t in (a, b))
    return sum(
        (count_a[x] - count_b[x]) * (count_a[y] - count_b[y]) < 0
        for x, y in map(str.split, _OPPOSITES_EN)
    )


def _turned(a: Sequence[str], b: Sequence[str], alike: NDArray[np.float64]) -> int:
    """Statements whose near twin holds other negations, or another "us" or "you"."""
    turned = 0
    for n, statement in enumerate(a):
        m = int(alike[n].argmax())
        if alike[n, m] >= _CLOSE:
            ours, theirs = (
                Counter(w.casefold() for w in _NEGATIONS.findall(t)) for t in (statement, b[m])
            )
            turned += ours != theirs
    return turned


class Duplicates:
    """Finds pairs of documents among at most `most` that are near one another."""

    def __init__(self, model: LinearModel, most: int) -> None:
        self.model = model
        self.most = most

    def find(
        self,
        documents: Sequence[Document],
        chunks: Sequence[Chunk],
        vectors: Vectors,
        new: Sequence[int],
    ) -> list[Finding]:
        """A finding a pair of which one holds a new chunk (rows); vectors has one row a chunk."""
        if not new or not self.most:
            return []
        passages: dict[str, list[Chunk]] = {}
        for chunk in chunks:
            passages.setdefault(chunk.document_id, []).append(chunk)
        ids, means = document_vectors(chunks, vectors)
        changed = {chunks[n].document_id for n in new}
        rows = [n for n, i in enumerate(ids) if i in changed]
        first = [passages[i][0] for i in ids]
        near = near_pairs(first, means, rows, _NEAR, _NEIGHBOURS)[: self.most]
        held = {d.id: d for d in documents}
        texts = {n: DocumentText.of(held[ids[n]], means[n]) for pair in near for n in pair}
        found = []
        for a, b in near:
            if not (texts[a].statements and texts[b].statements):
                continue
            values = features(texts[a], texts[b])
            if self.model.reaches(dict(zip(FEATURES, values, strict=True))):
                one, other = held[ids[a]], held[ids[b]]
                detail = f"{one.id} and {other.id} say the same: {one.title!r}, {other.title!r}"
                both = tuple(c.id for d in (one, other) for c in passages[d.id])
                sources, titles = (one.source, other.source), (one.title, other.title)
                found.append(Finding("duplicate", "warning", sources, detail, both, titles))
        return found
