"""What became of each conversation, from one pass over the rows of the store.

The chat page keeps one thread for a customer who comes back weeks later, so what is counted as a
conversation is an *episode*: it begins with the customer and ends before the customer's first word
after 24 hours of silence, or after an agent has closed it. It belongs to the day on which it began.

What became of it (`fate`) is one of:

- hard: the customer said of the last answer that it helped, and no person came in at or after it.
  Only this is a resolution that somebody confirmed.
- soft: answered, never handed off, no thumb down, and the customer silent for 24 hours. Many are
  content and some have given up: silence is counted apart, never as a confirmation.
- unknown: as soft, or asked back, or refused, but the 24 hours are not over: the customer may yet
  say something.
- person: a person was asked for or came in, and no answer of the assistant was confirmed after it.
- unresolved: a thumb down, or the last word was a refusal or a question back, and then silence.
- small_talk: only greetings and thanks; of no rate.

An answer is a reply with the outcome `answer` that is no small talk. A question is *unanswered*
when it was refused, or handed off because no document answered it or no sentence was supported,
and *asked back* with the outcome `clarify`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, select

from assistant import tables
from assistant.conversations import Conversations

Fate = Literal["hard", "soft", "unknown", "person", "unresolved", "small_talk"]
SILENCE_SECONDS = 86_400.0
JOINED = "agent:joined"  # the reason where an agent came in unasked
_ASKED = "customer:asked"
_NO_DOCUMENT = ("retrieval:", "grounding:")
# Read this much before the start, to tell what began before it.
_BEFORE_SECONDS = 2 * SILENCE_SECONDS
_FETCHED = 1000  # rows at a time


@dataclass(frozen=True, slots=True)
class Replied:
    """A reply of the assistant, as far as it is counted. `version` is that of the knowledge base,
    empty where it was not asked; `first_ms` and `whole_ms` are the milliseconds until the first
    sentence and the whole reply, None where they are not known; `helpful` is the customer's verdict
    and `complaint` the words to it."""

    outcome: str
    reason: str
    language: str
    intent: str
    version: str
    sentences: int
    dropped: int
    first_ms: float | None
    whole_ms: float | None
    helpful: bool | None
    complaint: str

    @property
    def is_question(self) -> bool:
        """Whether it replies to more than a greeting, and the customer waited for it."""
        return not self.reason.startswith(("small_talk:", "customer:stopped"))

    @property
    def is_unanswered(self) -> bool:
        """Whether it was refused, or handed off because nothing answers it."""
        no_document = self.outcome == "handoff" and self.reason.startswith(_NO_DOCUMENT)
        return self.outcome == "refuse" or no_document


@dataclass(frozen=True, slots=True)
class Episode:
    """A conversation, times in seconds since 1970. `settled`: the customer was silent for 24 hours;
    `version` is that of the last reply that has one; `handoff` is the reason for which a person
    was asked for or came in, or nothing; `waited` are the seconds until a person wrote, None where
    nobody was waited for or nobody wrote; `waiting`: the customer waits now."""

    conversation_id: str
    began: float
    ended: float
    replies: tuple[Replied, ...]
    fate: Fate
    settled: bool
    version: str
    handoff: str
    waited: float | None
    waiting: bool


@dataclass(frozen=True, slots=True)
class _Event:
    """Something in a conversation: a message of a role, or a change of who speaks."""

    at: float
    kind: str
    reply: Replied | None = None

    @property
    def hands_off(self) -> bool:
        asked = self.kind in ("ask", "take", "agent")
        return asked or (self.reply is not None and self.reply.outcome == "handoff")


def read_episodes(store: Conversations, since: float, now: float) -> list[Episode]:
    """The episodes that began since then, oldest first, as they stand now.

    Only rows of that time are read, whatever the store holds: an index leads to them.
    """
    floor = since - _BEFORE_SECONDS
    events: dict[str, list[_Event]] = {}
    with store.readers.connect() as connection:
        for conversation_id, event in _messages(connection, floor):
            events.setdefault(conversation_id, []).append(event)
        log = tables.handoffs.c
        changes = select(log.conversation_id, log.created, log.event).where(log.created >= floor)
        for conversation_id, created, kind in connection.execute(changes.order_by(log.id)):
            events.setdefault(conversation_id, []).append(_Event(created, kind))
        columns = tables.conversations.c
        waits = select(columns.id).where(columns.state == "waiting")
        waiting = set(connection.execute(waits).scalars())
    found: list[Episode] = []
    for conversation_id, happened in events.items():
        happened.sort(key=lambda e: e.at)
        parts = _parts(happened)
        found += [
            _episode(conversation_id, part, now, part is parts[-1] and conversation_id in waiting)
            for part in parts
            if part[0].at >= since
        ]
    return sorted(found, key=lambda e: e.began)


def _messages(connection: Connection, floor: float) -> Iterator[tuple[str, _Event]]:
    rated = tables.ratings.c
    query = select(rated.message, rated.helpful, rated.reason).where(rated.created >= floor)
    verdicts = {m: (bool(helpful), reason) for m, helpful, reason in connection.execute(query)}
    columns = tables.messages.c
    rows = connection.execute(
        select(columns.id, columns.conversation_id, columns.role, columns.created, columns.reply)
        .where(columns.created >= floor)
        .order_by(columns.created, columns.id),  # by the index: by id alone SQLite reads them all
        execution_options={"yield_per": _FETCHED},
    )
    for number, conversation_id, role, created, stored in rows:
        reply = (
            _replied(orjson.loads(stored), *verdicts.get(number, (None, ""))) if stored else None
        )
        yield conversation_id, _Event(created, role, reply)


def _replied(reply: dict[str, Any], helpful: bool | None, complaint: str) -> Replied:
    trace, latency = reply.get("trace") or {}, reply.get("latency_ms") or {}
    return Replied(
        outcome=reply.get("outcome") or "",
        reason=reply.get("reason") or "",
        language=reply.get("language") or "",
        intent=reply.get("intent") or "",
        version=trace.get("version") or "",
        sentences=len(reply.get("sentences") or ()),
        dropped=len(trace.get("dropped") or ()),
        first_ms=trace.get("first_sentence_ms"),
        whole_ms=latency.get("total"),
        helpful=helpful,
        complaint=complaint,
    )


def _parts(events: Sequence[_Event]) -> list[list[_Event]]:
    """The events of each episode; what an earlier one has left before the first is not counted."""
    parts: list[list[_Event]] = []
    closed = False
    for event in events:
        silent = bool(parts) and event.at - parts[-1][-1].at > SILENCE_SECONDS
        if event.kind in ("customer", "ask") and (not parts or silent or closed):
            parts.append([event])
            closed = False
        elif parts:
            parts[-1].append(event)
            closed = closed or event.kind == "end"
    return parts


def _episode(name: str, events: Sequence[_Event], now: float, waiting: bool) -> Episode:
    replies = tuple(e.reply for e in events if e.reply)
    settled = now - events[-1].at >= SILENCE_SECONDS
    return Episode(
        conversation_id=name,
        began=events[0].at,
        ended=events[-1].at,
        replies=replies,
        fate=_fate(events, settled),
        settled=settled,
        version=next((r.version for r in reversed(replies) if r.version), ""),
        handoff=_reason(events),
        waited=_waited(events),
        waiting=waiting,
    )


def _fate(events: Sequence[_Event], settled: bool) -> Fate:
    questions = [n for n, e in enumerate(events) if e.reply and e.reply.is_question]
    last = events[questions[-1]].reply if questions else None
    person = max((n for n, e in enumerate(events) if e.hands_off), default=-1)
    if person >= (questions[-1] if questions else 0):
        return "person"
    if last and last.outcome == "answer" and last.helpful:
        return "hard"
    if any(e.reply.helpful is False for e in events if e.reply):
        return "unresolved"
    if person >= 0:
        return "person"
    if last is None and any(e.reply for e in events):
        return "small_talk"
    if not settled:
        return "unknown"
    return "soft" if last and last.outcome == "answer" else "unresolved"


def _reason(events: Sequence[_Event]) -> str:
    """Why a person was asked for or came in, first of all."""
    first = next((e for e in events if e.hands_off), None)
    if first is None:
        return ""
    if first.reply:
        return first.reply.reason
    return _ASKED if first.kind == "ask" else JOINED


def _waited(events: Sequence[_Event]) -> float | None:
    """Seconds from the hand-off to the first word of a person."""
    since: float | None = None
    for event in events:
        if event.kind == "withdraw":
            since = None
        elif event.kind == "agent":
            return None if since is None else event.at - since
        elif since is None and event.kind != "take" and event.hands_off:
            since = event.at
    return None
