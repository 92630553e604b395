"""What a citation opens: the passage line by line, with the quoted words marked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from assistant.web.texts import Texts
from knowledge.segment import content_words, split_sentences

_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
# A sentence that was reworded is traced to the passage's sentence that shares this much with it.
_SHARED_WORDS = 0.5


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text; `marked` when the answer rests on it."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a passage; a bullet's sign is left out of the pieces."""

    pieces: tuple[Piece, ...]
    is_item: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A citation as the page shows it: a chip, and the passage that it opens."""

    number: int
    title: str
    section: str
    chip_date: str
    in_force: str
    lines: tuple[Line, ...]
    url: str
    file: str

    @property
    def name(self) -> str:
        """The shortest title that tells it apart: the section's, else the document's."""
        return self.section or self.title


def sources_of(reply: Mapping[str, Any], words: Texts) -> list[Source]:
    """The sources of a stored reply; only an answer has any, and cards say what they are."""
    if reply.get("outcome") != "answer" or reply.get("products"):
        return []  # products stand as cards
    return [
        _source(number, citation, _resting_on(citation, reply.get("sentences", ())), words)
        for number, citation in enumerate(reply.get("citations", ()), 1)
    ]


def _resting_on(citation: Mapping[str, Any], sentences: Iterable[Mapping[str, Any]]) -> list[str]:
    own = [s["text"] for s in sentences if s.get("evidence_id") == citation["evidence_id"]]
    return own or [citation["quote"]]


def _source(number: int, citation: Mapping[str, Any], quotes: list[str], words: Texts) -> Source:
    title, _, section = str(citation["title"]).partition(" › ")
    start, end = (_day(citation.get(key)) for key in ("valid_from", "valid_until"))
    limits = [words.since.format(day=words.date(start))] if start else []
    chip_date = " ".join(limits)
    limits += [words.until.format(day=words.date(end))] if end else []
    return Source(
        number=number,
        title=title,
        section=section,
        chip_date=chip_date,
        in_force=words.in_force.format(range=" ".join(limits)) if limits else "",
        lines=tuple(marked_lines(str(citation.get("text") or citation["quote"]), quotes)),
        url=web_address(str(citation.get("url") or "")),
        file=str(citation["source"]),
    )


def _day(value: Any) -> date | None:
    return date.fromisoformat(value) if value else None


def web_address(url: str) -> str:
    """The address if it is a plain web one, else nothing: a source may say javascript:..."""
    parts = urlsplit(url)
    return url if parts.scheme in ("http", "https") and parts.netloc else ""


def marked_lines(text: str, quotes: Iterable[str]) -> list[Line]:
    """The text's lines with every quote marked, wherever its line breaks fall."""
    spans = sorted(span for quote in quotes for span in _find(quote, text))
    lines, start = [], 0
    for line in text.splitlines(keepends=True):
        bullet = _BULLET.match(line)
        first = start + (bullet.end() if bullet else 0)
        last = start + len(line.rstrip())
        if first < last:
            lines.append(Line(tuple(_pieces(text, first, last, spans)), bool(bullet)))
        start += len(line)
    return lines


def _pieces(text: str, start: int, stop: int, spans: list[tuple[int, int]]) -> Iterable[Piece]:
    position = start
    for first, last in spans:
        first, last = max(first, position), min(last, stop)
        if first >= last:
            continue
        if position < first:
            yield Piece(text[position:first])
        yield Piece(text[first:last], marked=True)
        position = last
    if position < stop:
        yield Piece(text[position:stop])


def _find(quote: str, text: str) -> list[tuple[int, int]]:
    """Where the quote stands in text; where it was reworded, the sentence closest to it."""
    parts = quote.split()
    if not parts:
        return []
    match = re.search(r"\s+".join(map(re.escape, parts)), text)
    return [match.span()] if match else _closest(quote, text)


def _closest(quote: str, text: str) -> list[tuple[int, int]]:
    wanted = set(content_words(quote))

    def shared(sentence: str) -> int:
        return len(wanted & set(content_words(sentence)))

    best = max(split_sentences(text), key=shared, default="")
    start = text.find(best)
    if not wanted or start < 0 or shared(best) < _SHARED_WORDS * len(wanted):
        return []
    return [(start, start + len(best))]
