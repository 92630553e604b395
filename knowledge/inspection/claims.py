"""What is read of two passages: a statement of the one beside the other.

Most pairs of passages that are near one another have little to say to each other. A linear look at
the words that they share lets one such claim in five through, and nearly all of those that are
denied (`python -m finetune inspector` fits it; see the card of `weights/inspector`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from knowledge.inspection.reading import statements, titled
from knowledge.segment import content_words, is_cjk
from knowledge.types import Chunk

FEATURES = (
    "bias", "cosine", "shared", "nearest_ours", "nearest_theirs", "words", "titles", "in_title",
    "chinese",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """A passage with its statements, and the words of each, of its title and of all of it."""

    chunk: Chunk
    statements: Mapping[str, frozenset[str]]
    title: frozenset[str]
    words: frozenset[str]

    @classmethod
    def by(cls, chunk: Chunk) -> Told:
        """What a passage tells."""
        said = {s: frozenset(content_words(s)) for s in statements(chunk.text)}
        title = frozenset(content_words(" ".join(chunk.title_path)))
        return cls(chunk, said, title, title.union(*said.values()))


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of a chunk that is read beside another; `nearest` is the statement of the other
    that shares most words with it, `features` are the values of FEATURES."""

    chunk: Chunk
    statement: str
    other: Chunk
    nearest: str
    features: tuple[float, ...]

    @property
    def asked(self) -> tuple[str, str]:
        """(question, text) for the reader."""
        return contradiction_asked(self.chunk, self.statement), titled(self.other, self.other.text)


def contradiction_asked(chunk: Chunk, statement: str) -> str:
    """Does the text deny this statement of the chunk?"""
    return f"contradicts: {titled(chunk, statement)}"


def claims_of(a: Told, b: Told, cosine: float) -> list[Claim]:
    """The statements of either that share a word with the other and do not stand there too, with
    a question before them or without; `cosine` is that of the two passages."""
    claims = (
        _claim(one, statement, words, other, cosine)
        for one, other in ((a, b), (b, a))
        for statement, words in one.statements.items()
        if words & other.words and statement not in other.chunk.text
    )
    return [claim for claim in claims if not claim.nearest or claim.nearest not in claim.statement]


def _claim(one: Told, statement: str, words: frozenset[str], other: Told, cosine: float) -> Claim:
    nearest, theirs = max(
        other.statements.items(), key=lambda told: len(words & told[1]), default=("", frozenset())
    )
    shared = len(words & theirs)
    features = (
        1.0,
        cosine,
        len(words & other.words) / len(words),
        shared / len(words),
        shared / max(1, len(theirs)),
        float(len(words)),
        float(len(one.title & other.title)),
        float(len(words & other.title)),
        float(is_cjk(statement)),
    )
    return Claim(one.chunk, statement, other.chunk, nearest, features)
