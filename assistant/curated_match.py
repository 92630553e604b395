"""Which curated answer answers a question, if one does: before anything else is looked for.

A question is answered word for word where it is that of the entry, apart from case, punctuation and
politeness; or where it says the same (`same_question`) and is near it. A wrong override is worse
than a missed one, so other ways to ask are for the operator to write down as wordings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from assistant.curated import REASON, CuratedAnswer, CuratedAnswers
from assistant.same_question import plain, say_the_same
from assistant.skills import Fetched
from assistant.types import Evidence, Question, Recalled
from knowledge.encoder import Encoder, Vectors
from knowledge.places import with_countries
from knowledge.rerank import MIN_KNOWN_SHARE

# Least cosine of questions that say the same. Of 3.0 million pairs of questions (4,854 of the shops
# in finetune/unseen_shops, 2,874 to train on of the demo shop; English, Chinese, German, Spanish)
# 12 say the same from a cosine of 0.6 on, and all 12 ask the same. By cosine alone it takes 0.96
# until no pair of these is wrong, and there orders are cancelled "before" or "after" dispatch. What
# is left to tell apart is a slip from another word: of seven pairs such as "policy/police",
# "hotels/hostels" and "product/produce" the nearest, "statue/statute", reaches 0.854. Of questions
# with a letter wrong a sixth of the English, a third of the German and half of the Spanish are
# still taken for what was meant.
NEAR = 0.87


@dataclass(frozen=True, slots=True)
class Match:
    """An entry beside a question: `wording` is the nearest way to ask it, `cosine` how near it is,
    and `fate` whether it answers: exact, near, other (it says something else), far, or the state
    in which the entry is not used (off, expired, later)."""

    answer: CuratedAnswer
    wording: str
    cosine: float
    fate: str

    @property
    def answers(self) -> bool:
        """True when customers get it."""
        return self.fate in ("exact", "near")


@dataclass(frozen=True, slots=True)
class _Row:
    """A way to ask an entry's question: as it was written, with the countries of its towns, and as
    it is compared."""

    answer: CuratedAnswer
    wording: str
    text: str
    plain: str


class CuratedMatcher:
    """Finds entries. Their vectors are kept until an entry changes, in whatever process."""

    def __init__(
        self,
        answers: CuratedAnswers,
        encoder: Encoder,
        today: Callable[[], date] = date.today,
    ) -> None:
        self.answers = answers
        self.encoder = encoder
        self.today = today
        self._lock = threading.Lock()
        self._revision: tuple[int, float] | None = None
        self._rows: Sequence[_Row] = ()
        self._vectors: Vectors = np.zeros((0, encoder.dimensions), np.float32)

    def fetch(self, question: Question) -> Fetched | None:
        """The answer as the only evidence, or None."""
        found = self.find(question.standalone, question.language)
        return _fetched(found) if found else None

    def find(self, text: str, language: str) -> Match | None:
        """The entry that answers a question that stands alone, towns followed by their countries;
        of several the nearest."""
        rows, vectors, day = *self._current(), self.today()
        asked = plain(text, language)
        usable = [
            n
            for n, row in enumerate(rows)
            if row.answer.language == language and row.answer.in_force(day)
        ]
        for n in usable:
            if rows[n].plain == asked:
                return Match(rows[n].answer, rows[n].wording, 1.0, "exact")
        same = [n for n in usable if say_the_same(text, rows[n].text, language)]
        if not same or not self._reads(asked, language):
            return None
        near = vectors[same] @ self.encoder.embed([asked])[0]
        best = int(np.argmax(near))
        if near[best] < NEAR:
            return None
        row = rows[same[best]]
        return Match(row.answer, row.wording, float(near[best]), "near")

    def beside(self, text: str, language: str, count: int = 5) -> list[Match]:
        """The entries of a language nearest to a question, whether or not they answer it, those
        that do first."""
        rows, vectors, day = *self._current(), self.today()
        text = with_countries(text, language)
        asked = plain(text, language)
        near = vectors @ self.encoder.embed([asked])[0]
        best: dict[str, Match] = {}
        for row, cosine in zip(rows, near.tolist(), strict=True):
            if row.answer.language == language:
                fate = self._fate(row, text, asked, cosine, day)
                match = Match(row.answer, row.wording, 1.0 if fate == "exact" else cosine, fate)
                known = best.get(row.answer.id)
                if known is None or _rank(match) > _rank(known):
                    best[row.answer.id] = match
        return sorted(best.values(), key=_rank, reverse=True)[:count]

    def _fate(self, row: _Row, text: str, asked: str, cosine: float, day: date) -> str:
        language = row.answer.language
        if not row.answer.in_force(day):
            return row.answer.state(day)
        if row.plain == asked:
            return "exact"
        if not (say_the_same(text, row.text, language) and self._reads(asked, language)):
            return "other"
        return "near" if cosine >= NEAR else "far"

    def _reads(self, text: str, language: str) -> bool:
        return self.encoder.known_share(text, language) >= MIN_KNOWN_SHARE

    def _current(self) -> tuple[Sequence[_Row], Vectors]:
        """The entries' wordings and their vectors, renewed where an entry has changed."""
        with self._lock:
            revision = self.answers.revision()
            if revision != self._revision:
                rows = [_row(a, wording) for a in self.answers.all() for wording in a.texts]
                known = {r.plain: v for r, v in zip(self._rows, self._vectors, strict=True)}
                new = list(dict.fromkeys(r.plain for r in rows if r.plain not in known))
                known |= dict(zip(new, self.encoder.embed(new), strict=True))
                vectors = [known[r.plain] for r in rows]
                self._rows = rows
                self._vectors = np.stack(vectors) if vectors else self._vectors[:0]
                self._revision = revision
            return self._rows, self._vectors


def _row(answer: CuratedAnswer, wording: str) -> _Row:
    text = with_countries(wording, answer.language)
    return _Row(answer, wording, text, plain(text, answer.language))


def _rank(match: Match) -> tuple[bool, float]:
    return match.answers, match.cosine


def _fetched(match: Match) -> Fetched:
    answer = match.answer
    evidence = Evidence(
        id=answer.evidence_id,
        kind="curated",
        source="curated",
        title=answer.question,
        text=answer.answer,
        language=answer.language,
        relevance=1.0,
        quote=answer.answer,
        valid_from=answer.valid_from,
        valid_until=answer.valid_until,
    )
    cosine = round(match.cosine, 4)
    recalled = Recalled(evidence.id, match.wording, cosine, bm25=0.0, weight=1.0, relevance=1.0)
    return Fetched((evidence,), recalled=(recalled,), reason=REASON)
