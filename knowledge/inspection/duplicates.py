"""Two documents that say the same, of which one should go.

What tells them from sister pages, which share most of their words and are both needed, is what is
different: another quantity, another name, a subject that the title and the text of the one hold and
the other lacks, a sentence turned round. A logistic model weighs that (`python -m finetune
inspector` fits it on `finetune/findings`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowledge.encoder import Encoder, Vectors
from knowledge.inspection.neighbours import document_vectors, near_pairs
from knowledge.inspection.quantities import quantities
from knowledge.inspection.reading import statements
from knowledge.segment import content_words, is_cjk
from knowledge.types import Chunk, Document, Finding

FEATURES = (
    "bias", "quantities_both", "quantities_either", "quantities_share", "subjects_both",
    "subjects_either", "words_both", "names", "opposites", "turned", "jaccard", "containment",
    "nearest_mean", "nearest_least", "nearest_two", "cosine", "title_cosine", "lengths",
)  # fmt: skip
# The highest values of those that need the vectors of statements and titles; the least is 0.
_MOST = {"turned": 2, "nearest_mean": 1, "nearest_least": 1, "nearest_two": 1, "title_cosine": 1}
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
_CLOSE = 0.85
_NEAR = 0.75  # cosine from which two documents may say the same
_NEIGHBOURS = 4
_MOST_STATEMENTS = 40


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A document as it is compared: its statements (the first of a long one are enough to tell) and
    its vector, the mean of its passages' (`document_vectors`)."""

    title: str
    text: str
    statements: tuple[str, ...]
    vector: NDArray[np.float32]

    @classmethod
    def of(cls, document: Document, vector: NDArray[np.float32]) -> DocumentText:
        """A document with its vector."""
        said = tuple(statements(document.text)[:_MOST_STATEMENTS])
        return cls(document.title, document.text, said, vector)

    @property
    def to_embed(self) -> list[str]:
        """What `nearness` needs the vectors of."""
        return [*self.statements, self.title]


def features(a: DocumentText, b: DocumentText) -> dict[str, float]:
    """Values of those FEATURES that need no further vector; they are the same in either order."""
    whole_a, whole_b = f"{a.title}. {a.text}", f"{b.title}. {b.text}"
    told_a, told_b = set(quantities(a.text)), set(quantities(b.text))
    only_a, only_b = len(told_a - told_b), len(told_b - told_a)
    words_a, words_b = Counter(content_words(a.text)), Counter(content_words(b.text))
    all_a, all_b = set(content_words(whole_a)), set(content_words(whole_b))
    title_a, title_b = set(content_words(a.title)), set(content_words(b.title))
    subjects = sorted(
        (len((title_a - all_b) & set(words_a)), len((title_b - all_a) & set(words_b)))
    )
    own = [
        sum(count > 1 or word in title for word, count in words.items() if word not in other)
        for words, title, other in ((words_a, title_a, all_b), (words_b, title_b, all_a))
    ]
    shared, either = len(set(words_a) & set(words_b)), len(set(words_a) | set(words_b))
    return {
        "bias": 1.0,
        "quantities_both": min(only_a, only_b, 3),
        "quantities_either": min(only_a + only_b, 6),
        "quantities_share": (only_a + only_b) / max(1, len(told_a | told_b)),
        "subjects_both": min(subjects[0], 2),
        "subjects_either": min(subjects[1], 3),
        "words_both": min(*own, 3),
        "names": min(_names_apart(whole_a, whole_b), 4),
        "opposites": min(_opposites(whole_a, whole_b), 2),
        "jaccard": shared / max(1, either),
        "containment": shared / max(1, min(len(words_a), len(words_b))),
        "cosine": float(a.vector @ b.vector),
        "lengths": min(abs(len(a.statements) - len(b.statements)), 3),
    }


def nearness(
    a: DocumentText, b: DocumentText, of_a: NDArray[np.float32], of_b: NDArray[np.float32]
) -> dict[str, float]:
    """Values of the other FEATURES, with the vectors of either's `to_embed`."""
    cosines = of_a[:-1] @ of_b[:-1].T
    nearest = np.sort(np.concatenate([cosines.max(1), cosines.max(0)])).clip(0, 1)
    turned = max(
        _turned(a.statements, b.statements, cosines),
        _turned(b.statements, a.statements, cosines.T),
    )
    return {
        "turned": min(turned, 2),
        "nearest_mean": float(nearest.mean()),
        "nearest_least": float(nearest[0]),
        "nearest_two": float(nearest[:2].mean()),
        "title_cosine": float((of_a[-1] @ of_b[-1]).clip(0, 1)),
    }


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


def _turned(a: Sequence[str], b: Sequence[str], cosines: NDArray[np.float32]) -> int:
    """Statements whose near twin holds other negations, or another "us" or "you"."""
    turned = 0
    for n, statement in enumerate(a):
        m = int(cosines[n].argmax())
        if cosines[n, m] >= _CLOSE:
            ours, theirs = (
                Counter(w.casefold() for w in _NEGATIONS.findall(t)) for t in (statement, b[m])
            )
            turned += ours != theirs
    return turned


@dataclass(frozen=True, slots=True)
class DuplicateModel:
    """Logistic weights over FEATURES, and the logit from which a pair is reported."""

    weights: Mapping[str, float]
    threshold: float

    @classmethod
    def load(cls, path: Path) -> DuplicateModel:
        """From the JSON file that `finetune inspector` writes."""
        row = json.loads(path.read_text())
        return cls(row["weights"], row["threshold"])

    def logit(self, values: Mapping[str, float]) -> float:
        """Of two documents with these features; what is not told counts as much for them as it
        can."""
        known = sum(self.weights[name] * value for name, value in values.items())
        missing = (max(0.0, self.weights[n] * most) for n, most in _MOST.items() if n not in values)
        return known + sum(missing)


class Duplicates:
    """Finds pairs of documents among at most `most` that are near one another."""

    def __init__(self, encoder: Encoder, model: DuplicateModel, most: int) -> None:
        self.encoder = encoder
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
        for a, b in self._same(texts, near):
            one, other = held[ids[a]], held[ids[b]]
            detail = f"{one.id} and {other.id} say the same: {one.title!r}, {other.title!r}"
            both = tuple(c.id for d in (one, other) for c in passages[d.id])
            found.append(Finding("duplicate", "warning", (one.source, other.source), detail, both))
        return found

    def _same(
        self, texts: Mapping[int, DocumentText], pairs: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[int, int]]:
        """The pairs that say the same; statements are embedded only of those that still may."""
        told = {
            (a, b): features(texts[a], texts[b])
            for a, b in pairs
            if texts[a].statements and texts[b].statements
        }
        may = {p: v for p, v in told.items() if self.model.logit(v) >= self.model.threshold}
        needed = sorted({n for pair in may for n in pair})
        vectors = self.encoder.embed([t for n in needed for t in texts[n].to_embed])
        stops = np.cumsum([len(texts[n].to_embed) for n in needed])[:-1]
        of = dict(zip(needed, np.split(vectors, stops), strict=True)) if needed else {}
        for (a, b), values in may.items():
            near = nearness(texts[a], texts[b], of[a], of[b])
            if self.model.logit({**values, **near}) >= self.model.threshold:
                yield a, b
