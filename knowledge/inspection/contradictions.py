"""Two passages that answer the same question with different facts.

Passages near one another that one customer could be told are put beside each other; each statement
of the one is read beside the other: is it denied there, and where?
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from knowledge.cross_encoder import Reading
from knowledge.encoder import Vectors
from knowledge.inspection.neighbours import near_pairs
from knowledge.inspection.quantities import quantities
from knowledge.inspection.reading import PairReader, statements, titled
from knowledge.rerank import sentence_at
from knowledge.segment import content_words
from knowledge.types import Chunk, Finding

NEAR = 0.3  # cosine from which two passages may be about the same thing
NEIGHBOURS = 4
_HIGHEST = 3
_SHARED_WORDS, _ALIKE = 4, 0.75
_STEP = 64  # pairs of passages read at a time

Progress = Callable[[str, int, int], None]
Claim = tuple[Chunk, str, Chunk]  # a passage's statement, and the passage that it is read beside


def contradiction_asked(chunk: Chunk, statement: str) -> str:
    """Does the text deny this statement of the chunk?"""
    return f"contradicts: {titled(chunk, statement)}"


def told_by_both(chunk: Chunk, other: Chunk) -> list[str]:
    """The chunk's statements that share a word with the other, and do not stand there as well."""
    words = set(content_words(other.indexed_text))
    said = dict.fromkeys(s for s in statements(chunk.text) if s not in other.text)
    return [s for s in said if words & set(content_words(s))]


def claims_of(a: Chunk, b: Chunk) -> list[Claim]:
    """What is read of two passages: the statements of either beside the other."""
    return [(x, s, y) for x, y in ((a, b), (b, a)) for s in told_by_both(x, y)]


def claim_asked(claim: Claim) -> tuple[str, str]:
    """(question, text) of a claim."""
    chunk, statement, other = claim
    return contradiction_asked(chunk, statement), titled(other, other.text)


def at_odds(readings: Sequence[Reading]) -> float:
    """How sure the reader is, of all it read of two passages: the mean of the three highest
    logits, for what is at odds is so in both directions and often in more than one sentence."""
    highest = sorted((r.relevance for r in readings), reverse=True)[:_HIGHEST]
    return sum(highest) / len(highest) if highest else -math.inf


def plainly_at_odds(one: str, other: str) -> bool:
    """Whether two statements say the same in nearly the same words, with other quantities of the
    same unit: "within 30 days of delivery", "within 14 days of delivery"."""
    told, told_other = (set(quantities(t)) for t in (one, other))
    units, other_units = (
        {q.partition(" ")[2] for q in only} for only in (told - told_other, told_other - told)
    )
    words, other_words = (
        {w for w in content_words(t) if not any(c.isdigit() for c in w)} for t in (one, other)
    )
    shared = len(words & other_words)
    alike = shared >= _SHARED_WORDS and shared >= _ALIKE * min(len(words), len(other_words))
    return alike and bool(units & other_units - {""})


class Contradictions:
    """Finds them among at most `most` pairs of passages, the nearest first."""

    def __init__(self, reader: PairReader, limit: float, sure: float, most: int) -> None:
        self.reader = reader
        self.limit = limit
        self.sure = sure
        self.most = most

    def find(
        self, chunks: Sequence[Chunk], vectors: Vectors, new: Sequence[int], progress: Progress
    ) -> list[Finding]:
        """A finding a pair of passages of which one is new (rows); vectors has one row a chunk."""
        near = near_pairs(chunks, vectors, new, NEAR, NEIGHBOURS)
        pairs = near[: self.most]
        found = [_left_out(len(near) - self.most)] if 0 < self.most < len(near) else []
        for start in range(0, len(pairs), _STEP):
            step = pairs[start : start + _STEP]
            found += self._read([(chunks[a], chunks[b]) for a, b in step])
            progress("compare", min(start + _STEP, len(pairs)), len(pairs))
        return found

    def _read(self, pairs: Sequence[tuple[Chunk, Chunk]]) -> Iterator[Finding]:
        """Of each pair of passages the claim that is denied most surely, if they are at odds."""
        claims = [claims_of(a, b) for a, b in pairs]
        asked = [[claim_asked(c) for c in of_pair] for of_pair in claims]
        readings = iter(self.reader.read_pairs([pair for of_pair in asked for pair in of_pair]))
        for of_pair, pairs_asked in zip(claims, asked, strict=True):
            read = list(islice(readings, len(of_pair)))
            score = at_odds(read)
            if score < self.limit:
                continue
            best = max(range(len(read)), key=lambda n: read[n].relevance)
            chunk, statement, other = of_pair[best]
            text, span = pairs_asked[best][1], read[best].span
            quote = sentence_at(other, text, span) or text[slice(*span)]
            yield Finding(
                "contradiction",
                "warning" if score >= self.sure or plainly_at_odds(statement, quote) else "notice",
                (chunk.source, other.source),
                f"{chunk.id}: {statement!r} against {other.id}: {quote!r}",
                (chunk.id, other.id),
                (statement, quote),
            )


def _left_out(count: int) -> Finding:
    detail = (
        f"{count} more pairs of passages are near one another and were not compared; "
        "to compare them, raise knowledge.most_comparisons and refresh with --rebuild"
    )
    return Finding("comparison", "notice", (), detail)
