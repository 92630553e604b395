"""Pages out of force, or soon: by their fields, or by what their text says.

The days of a text are told from today before the inspector reads it ("ends on [over]"): what it has
learnt is which day ends a page, not the calendar.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

from knowledge.inspection.dates import (
    Named,
    days_named,
    lasting_end,
    may_name_days,
    plain_dates,
    year_in,
)
from knowledge.inspection.reading import PairReader, titled
from knowledge.inspection.screen import Screen
from knowledge.segment import split_sentences
from knowledge.types import Chunk, Document, Finding, Seen

SOON_DAYS = 30
_LONG = timedelta(days=300)
_PRESSING = ("[over]", "[soon]")


def soon_after(today: date) -> date:
    """The last day that is soon."""
    return today + timedelta(days=SOON_DAYS)


def tagged(text: str, today: date, year: int = 0) -> str:
    """Text with each day in it told from today: [over], [soon] (its end lies between today and
    the last day that is soon), [later], or [this year] where no more is said."""

    def state(named: Named) -> str:
        if named.first <= today <= named.last and named.last - named.first > _LONG:
            return "[this year]"
        return "[over]" if named.last < today else "[soon]" if named.last <= soon else "[later]"

    soon = soon_after(today)
    text = plain_dates(text)
    named = list(days_named(text, year))
    stops = [0, *(m.end() for m in re.finditer(r"[.!?](?=\s)|[。！？；\n]", text)), len(text)]
    pieces: list[str] = []
    position = 0
    for begin, stop in pairwise(stops):
        inside = [n for n in named if begin <= n.start < stop]
        position = max(position, begin)
        for n in inside:
            pieces += [text[position : n.start], state(n)]
            position = n.end
        sentence = text[begin:stop]
        pieces.append(text[position:stop])
        position = max(position, stop)
        if len(inside) == 1:
            n = inside[0]
            shifted = Named(n.first, n.last, n.start - begin, n.end - begin)
            if ends := lasting_end(sentence, shifted):
                pieces.append(f" (until {state(Named(ends, ends, 0, 0))})")
    return "".join(pieces)


def expiry_asked(chunk: Chunk, today: date) -> tuple[str, str]:
    """(question, text): does the text say that the page is, or soon goes, out of force? Its days
    are told from today."""
    title = " - ".join(chunk.title_path)
    year = year_in(title)
    asked = f"expired: {tagged(title, today)}"
    return asked, tagged(titled(chunk, chunk.text), today, year)


def telling(asked: str, text: str) -> str:
    """What is quickly looked at of an `expiry_asked`: the title, and the sentences with a day that
    is over or soon is; nothing where there is none."""
    said = [s for s in split_sentences(text) if any(state in s for state in _PRESSING)]
    return " ".join([asked, *said]) if said else ""


class Expiry:
    """Finds documents out of force, or within SOON_DAYS."""

    def __init__(self, reader: PairReader, screen: Screen, limit: float) -> None:
        self.reader = reader
        self.screen = screen
        self.limit = limit

    def find(
        self, documents: Sequence[Document], chunks: Sequence[Chunk], seen: Seen, today: date
    ) -> list[Finding]:
        """A finding a document: by its field, or else by the text of its passages."""
        soon = soon_after(today)
        told = {d.id for d in documents if d.valid_until}
        by_field = [
            _of_field(d, d.valid_until, today)
            for d in documents
            if d.valid_until and d.valid_until <= soon
        ]
        return by_field + self._of_text(
            [c for c in chunks if c.document_id not in told], seen, today
        )

    def _of_text(self, chunks: Sequence[Chunk], seen: Seen, today: date) -> list[Finding]:
        """By what the text says; a passage that says the same of today as it did is not read."""
        earlier = {p: f for f in seen.findings if f.kind == "expired" for p in f.passages}
        found: dict[str, Finding] = {}
        asked: list[tuple[Chunk, tuple[str, str]]] = []
        looks: list[str] = []
        for chunk in chunks:
            known = seen.day if chunk.id in seen.unchanged else None
            if known == today:
                stands = True
            elif may_name_days(chunk.indexed_text):
                pair = expiry_asked(chunk, today)
                stands = known is not None and pair == expiry_asked(chunk, known)
                if not stands and (look := telling(*pair)):
                    asked.append((chunk, pair))
                    looks.append(look)
            else:
                continue
            if stands and chunk.id in earlier:
                found.setdefault(chunk.document_id, earlier[chunk.id])
        passes = self.screen.passes(looks)
        read = [a for a, passed in zip(asked, passes, strict=True) if passed]
        readings = self.reader.read_pairs([pair for _, pair in read])
        for (chunk, (_, text)), reading in zip(read, readings, strict=True):
            if reading.relevance >= self.limit:
                quote = _as_written(chunk, text[slice(*reading.span)], today)
                detail = f"{chunk.document_id} says that it is out of force, or soon: {quote!r}"
                finding = Finding(
                    "expired", "warning", (chunk.source,), detail, (chunk.id,), (quote,)
                )
                found.setdefault(chunk.document_id, finding)
        return list(found.values())


def _of_field(document: Document, day: date, today: date) -> Finding:
    detail = f"{document.id} {'was' if day < today else 'is'} valid until {day}"
    passage, quote = f"{document.id}#0", f"valid_until {day}"
    return Finding("expired", "warning", (document.source,), detail, (passage,), (quote,))


def _as_written(chunk: Chunk, quote: str, today: date) -> str:
    """The sentence of the chunk that a quote of its retold text is of."""
    year = year_in(" - ".join(chunk.title_path))
    lines = [s for line in chunk.text.splitlines() for s in split_sentences(line)]

    def shared(sentence: str) -> int:
        told = tagged(sentence, today, year)
        return len({told[n : n + 4] for n in range(len(told))} & fours)

    fours = {quote[n : n + 4] for n in range(len(quote))}
    return max([chunk.title_path[-1], *lines], key=shared)
