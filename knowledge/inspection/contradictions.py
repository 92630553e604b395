"""Two passages that answer the same question with different facts.

Passages near one another that one customer could be told are put beside each other; each statement
of the one that promises something is read beside the other: is it denied there, and where? Where a
document has changed, what it said before is not read again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from knowledge.cross_encoder import Reading
from knowledge.encoder import Vectors
from knowledge.inspection.claims import FEATURES, Claim, Told, claims_of
from knowledge.inspection.linear import LinearModel
from knowledge.inspection.neighbours import near_pairs
from knowledge.inspection.quantities import quantities
from knowledge.inspection.reading import PairReader, statements, titled
from knowledge.rerank import sentence_at
from knowledge.segment import content_words
from knowledge.types import Chunk, Finding, Progress, Seen

NEAR = 0.3  # cosine from which two passages may be about the same thing
NEIGHBOURS = 4
_HIGHEST = 3
_SHARED_WORDS, _ALIKE = 4, 0.75
_STEP = 64  # pairs of passages read at a time


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

    def __init__(
        self, reader: PairReader, screen: LinearModel, limit: float, sure: float, most: int
    ) -> None:
        self.reader = reader
        self.screen = screen
        self.limit = limit
        self.sure = sure
        self.most = most

    def find(
        self,
        chunks: Sequence[Chunk],
        vectors: Vectors,
        new: Sequence[int],
        seen: Seen,
        progress: Progress,
    ) -> list[Finding]:
        """A finding a pair of passages of which one is new (rows); vectors has one row a chunk."""
        near = near_pairs(chunks, vectors, new, NEAR, NEIGHBOURS)
        pairs = near[: self.most]
        found = [_left_out(len(near) - self.most)] if 0 < self.most < len(near) else []
        told = {n: Told.by(chunks[n]) for pair in pairs for n in pair}
        known = {key for c in seen.cleared("contradiction") for key in _keys(c)}

        def is_new(chunk: Chunk, statement: str) -> bool:
            return chunk.id not in seen.unchanged and _key(chunk, statement) not in known

        claims = [
            [
                claim
                for claim in claims_of(told[a], told[b], float(vectors[a] @ vectors[b]))
                if is_new(claim.chunk, claim.statement) or is_new(claim.other, claim.nearest)
                if promises(self.screen, claim)
            ]
            for a, b in pairs
        ]
        read = [of_pair for of_pair in claims if of_pair]
        for start in range(0, len(read), _STEP):
            found += self._read(read[start : start + _STEP])
            progress("compare", min(start + _STEP, len(read)), len(read))
        return found

    def _read(self, claims: Sequence[Sequence[Claim]]) -> Iterator[Finding]:
        """Of the claims of each pair of passages the one that is denied most surely, if they are at
        odds."""
        readings = iter(self.reader.read_pairs([c.asked for of_pair in claims for c in of_pair]))
        for of_pair in claims:
            told = list(islice(readings, len(of_pair)))
            score = at_odds(told)
            if score < self.limit:
                continue
            claim, reading = max(
                zip(of_pair, told, strict=True), key=lambda pair: pair[1].relevance
            )
            text = claim.asked[1]
            quote = sentence_at(claim.other.text, text, reading.span) or text[slice(*reading.span)]
            sure = score >= self.sure or plainly_at_odds(claim.statement, quote)
            yield Finding(
                "contradiction",
                "warning" if sure else "notice",
                (claim.chunk.source, claim.other.source),
                f"{claim.chunk.id}: {claim.statement!r} against {claim.other.id}: {quote!r}",
                (claim.chunk.id, claim.other.id),
                (claim.statement, quote),
            )


def promises(screen: LinearModel, claim: Claim) -> bool:
    """Whether the reader should look at a claim."""
    return screen.reaches(dict(zip(FEATURES, claim.features, strict=True)))


def _key(chunk: Chunk, statement: str) -> tuple[Any, ...]:
    """What decides with what a statement is compared, and as what it is read."""
    days = (chunk.valid_from, chunk.valid_until)
    return chunk.document_id, chunk.language, chunk.for_staff, *days, titled(chunk, statement)


def _keys(chunk: Chunk) -> Iterator[tuple[Any, ...]]:
    return (_key(chunk, statement) for statement in statements(chunk.text))


def _left_out(count: int) -> Finding:
    detail = (
        f"{count} more pairs of passages are near one another and were not compared; "
        "to compare them, raise knowledge.most_comparisons and refresh with --rebuild"
    )
    return Finding("comparison", "notice", (), detail)
