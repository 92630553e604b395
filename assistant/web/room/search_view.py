"""What the retrieval bench shows: passages by each mode, in one table under two sets of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from assistant.pipeline import Assistant
from assistant.skills import widen
from assistant.types import TITLE_JOINT, Reply, Utterance
from knowledge.modes import Stage, by_mode
from knowledge.rerank import Candidate
from knowledge.retrieve import MODES, Depth, KnowledgeBase, Mode

_LISTED = 8  # passages of each mode
# What becomes of a passage: sure enough to quote, only to ask back, to be withheld, or not read.
Fate = Literal["quoted", "asked", "withheld", "unread"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mode puts a passage (1 is first), with its score there."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A passage under one set of values; what a mode did not find has no place in it."""

    places: Mapping[Mode, Place]
    fate: Fate
    quote: str

    @property
    def rank(self) -> int:
        """Its rank in the end: every passage found is ranked, read or not."""
        return self.places["reranked"].rank


@dataclass(frozen=True, slots=True)
class Row:
    """A passage under the values in force and under those tried; None where it is not found."""

    id: str
    title: str
    now: Standing | None
    tried: Standing | None

    @property
    def moved(self) -> int:
        """By how many ranks the trial moves it up."""
        return self.now.rank - self.tried.rank if self.now and self.tried else 0

    @property
    def change(self) -> Literal["", "found", "lost", "newly_quoted", "not_quoted"]:
        """What else the trial changes."""
        was, now = (bool(s and s.fate == "quoted") for s in (self.now, self.tried))
        if was != now:
            return "newly_quoted" if now else "not_quoted"
        if self.now is None:
            return "found"
        return "lost" if self.tried is None else ""


@dataclass(frozen=True, slots=True)
class Side:
    """A question under one set of values: the reply that a customer would get, from which relevance
    is quoted, the milliseconds of each stage, and each passage's standing."""

    reply: Reply
    answer_threshold: float
    milliseconds: Mapping[Stage, float]
    standings: Mapping[str, Standing]
    titles: Mapping[str, str]


def side_of(
    assistant: Assistant, knowledge: KnowledgeBase, question: str, language: str, threshold: float
) -> Side:
    """Ask an assistant, and look at what each mode found for the question as it understood it;
    `language` is that of the customer's page, `threshold` what it answers from.

    Raises EmptyKnowledge and VersionError.
    """
    reply = assistant.respond(Utterance(question, language=language))
    settings = assistant.settings
    found = by_mode(
        knowledge, reply.standalone or question, reply.language, Depth.of(settings.knowledge)
    )
    clarify, words = settings.clarify_threshold, settings.max_quote_words
    places: dict[str, dict[Mode, Place]] = {}
    for mode in MODES:
        for rank, candidate in enumerate(found.rankings[mode], start=1):
            places.setdefault(candidate.chunk.id, {})[mode] = Place(rank, candidate.score)
    standings = {
        c.chunk.id: Standing(places[c.chunk.id], fate(c, threshold, clarify), _quote(c, words))
        for c in found.rankings["reranked"]
    }
    titles = {c.chunk.id: TITLE_JOINT.join(c.chunk.title_path) for c in found.rankings["reranked"]}
    return Side(reply, threshold, found.milliseconds, standings, titles)


def fate(candidate: Candidate, answer_threshold: float, clarify_threshold: float) -> Fate:
    """What a passage is good for by its relevance."""
    if not candidate.is_read:
        return "unread"
    if candidate.relevance >= answer_threshold:
        return "quoted"
    return "asked" if candidate.relevance >= clarify_threshold else "withheld"


def rows_of(now: Side, tried: Side) -> list[Row]:
    """The first passages of each mode on either side: in the order of the trial, then of the values
    in force."""
    shown = {
        name
        for side in (now, tried)
        for name, standing in side.standings.items()
        if any(place.rank <= _LISTED for place in standing.places.values())
    }
    titles = {**now.titles, **tried.titles}
    rows = [
        Row(name, titles[name], now.standings.get(name), tried.standings.get(name))
        for name in shown
    ]
    return sorted(rows, key=lambda row: (row.tried is None, _rank(row)))


def _rank(row: Row) -> int:
    standing = row.tried or row.now
    assert standing, "a row is of one side or of both"
    return standing.rank


def _quote(candidate: Candidate, max_words: int) -> str:
    """What would be quoted of a passage that was read."""
    return widen(candidate.quote, candidate.chunk.text, max_words) if candidate.quote else ""
