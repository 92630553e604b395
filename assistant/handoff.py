"""Who speaks in a conversation, and the one table of how that changes.

    bot --ask--> waiting --take--> agent --return--> bot
    waiting --withdraw--> bot,  bot --take--> agent,  agent --requeue--> waiting
    bot, waiting, agent --end--> closed --reopen--> bot

Every change, and every message that depends on who speaks, is one transaction that looks at the
state itself, so that of several agents one wins and the bot never talks over a person.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, ScalarSelect, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from assistant import tables
from assistant.conversations import (
    Conversations,
    State,
    StoredMessage,
    insert_message,
    later,
)
from assistant.hours import Hours

Event = Literal["ask", "withdraw", "take", "return", "requeue", "end", "reopen"]


@dataclass(frozen=True, slots=True)
class Transition:
    """From which states an event leads to which; `owner`: of agents only the one who speaks may."""

    sources: tuple[State, ...]
    target: State
    owner: bool = False


TRANSITIONS: Mapping[Event, Transition] = {
    "ask": Transition(("bot",), "waiting"),
    "withdraw": Transition(("waiting",), "bot"),
    "take": Transition(("bot", "waiting"), "agent"),
    "return": Transition(("agent",), "bot", owner=True),
    "requeue": Transition(("agent",), "waiting", owner=True),
    "end": Transition(("bot", "waiting", "agent"), "closed", owner=True),
    "reopen": Transition(("closed",), "bot"),
}
# Only what an address must have: people mistype, and mail bounces.
EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
MAX_EMAIL = 254  # characters: RFC 5321, section 4.5.3
_BEGIN_WAITING = ("ask", "requeue")
_RECENT = 20  # waits that the expected one is the median of
_FEWEST = 3  # below which nothing is promised
_RECENT_SECONDS = 14 * 86_400


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a customer who waits is told: the place in the queue from 1, the minutes that others
    waited lately (None where too few did), and when the team is there again (None: it is)."""

    position: int
    minutes: int | None
    opens: float | None


def unheard(event: Event) -> None:
    """For changes of who speaks that nobody listens to."""


class Handoffs:
    """The changes of who speaks, and what is said by whom meanwhile; `listen` is told of each
    change. Raises StoreError."""

    def __init__(
        self,
        store: Conversations,
        hours: Hours | None = None,
        listen: Callable[[Event], None] = unheard,
    ) -> None:
        self.store = store
        self.hours = hours or Hours()
        self._listen = listen

    def happen(
        self, conversation_id: str, event: Event, who: str = "", reason: str | None = None
    ) -> bool:
        """Let an event change who speaks; False where it cannot happen now.

        Without a reason the one that the conversation was handed off for stays, until the bot
        speaks again.
        """
        with self.store.engine.begin() as connection:
            happened = _happen(connection, conversation_id, event, who, reason)
        if happened:
            self._listen(event)
        return happened

    def speak(
        self, conversation_id: str, message_id: str, text: str, reply: dict[str, Any]
    ) -> StoredMessage | None:
        """Store the bot's reply, and the hand-off when it is one; None where a person has come in
        between: the bot keeps silent then."""
        try:
            with self.store.engine.begin() as connection:
                if _speaker(connection, conversation_id) != ("bot", None):
                    return None
                said = insert_message(
                    connection, conversation_id, "assistant", text, message_id, reply
                )
                if asks := reply.get("outcome") == "handoff":
                    _happen(connection, conversation_id, "ask", "", str(reply.get("reason", "")))
        except IntegrityError:  # answered by another process meanwhile
            return self.store.find(conversation_id, message_id, "assistant")
        if asks:
            self._listen("ask")
        return said

    def speak_as(self, conversation_id: str, agent: str, text: str) -> StoredMessage | None:
        """Store an agent's message; None unless this agent has the conversation."""
        with self.store.engine.begin() as connection:
            if _speaker(connection, conversation_id) != ("agent", agent):
                return None
            return insert_message(connection, conversation_id, "agent", text)

    def leave_contact(self, conversation_id: str, email: str) -> None:
        """Keep where the customer wants to be written to; another address replaces the first."""
        values = {"email": email, "created": time.time()}
        contacts = tables.contacts
        change = update(contacts).where(contacts.c.conversation_id == conversation_id)
        new = insert(contacts).values(conversation_id=conversation_id, **values)
        with self.store.engine.begin() as connection:
            if connection.execute(change.values(**values)).rowcount == 0:
                connection.execute(new)

    def contact(self, conversation_id: str) -> str:
        """The address that a customer left, or nothing."""
        contacts = tables.contacts.c
        query = select(contacts.email).where(contacts.conversation_id == conversation_id)
        with self.store.readers.connect() as connection:
            return connection.execute(query).scalar() or ""

    def waiting(self, conversation_id: str) -> Waiting | None:
        """What a customer who waits is told; None where nobody waits."""
        queue = self.queue()
        if conversation_id not in queue:
            return None
        position = queue.index(conversation_id) + 1
        now = time.time()
        waits = self.waits(now - _RECENT_SECONDS, _RECENT)
        minutes = max(1, round(statistics.median(waits) / 60)) if len(waits) >= _FEWEST else None
        return Waiting(position, minutes, self.hours.opens(now))

    def queue(self) -> list[str]:
        """The conversations that wait, the longest first; writing more costs nobody the place."""
        columns = tables.conversations.c
        query = select(columns.id).where(columns.state == "waiting").order_by(_began())
        with self.store.readers.connect() as connection:
            return list(connection.execute(query).scalars())

    def depth(self) -> tuple[int, float]:
        """(how many customers wait for a person, for how many seconds the first of them has)."""
        waiting = tables.conversations.c.state == "waiting"
        began = select(_began().label("began")).where(waiting).subquery()
        with self.store.readers.connect() as connection:
            count, first = connection.execute(
                select(func.count(), func.min(began.c.began)).select_from(began)
            ).one()
        return int(count), max(0.0, time.time() - first) if first else 0.0

    def waits(self, since: float, most: int) -> list[float]:
        """How many seconds customers waited for a person who came since then, the latest first."""
        take, before, ask = (tables.handoffs.alias(name) for name in ("take", "before", "ask"))
        last = (
            select(func.max(before.c.id))
            .where(before.c.conversation_id == take.c.conversation_id, before.c.id < take.c.id)
            .scalar_subquery()
        )
        query = (
            select(take.c.created - ask.c.created)
            .select_from(take)
            .join(ask, ask.c.id == last)
            .where(take.c.event == "take", take.c.created >= since)
            .where(ask.c.event.in_(_BEGIN_WAITING))
            .order_by(take.c.created.desc())
            .limit(most)
        )
        with self.store.readers.connect() as connection:
            return list(connection.execute(query).scalars())


def _began() -> ScalarSelect[float]:
    """When the waiting of a conversation of an outer query began."""
    log = tables.handoffs.c
    return (
        select(func.max(log.created))
        .where(log.conversation_id == tables.conversations.c.id, log.event.in_(_BEGIN_WAITING))
        .scalar_subquery()
    )


def is_email(text: str) -> bool:
    """Whether a text may be an e-mail address."""
    return len(text) <= MAX_EMAIL and bool(re.match(EMAIL, text))


def _happen(
    connection: Connection, conversation_id: str, event: Event, who: str, reason: str | None
) -> bool:
    columns, rule = tables.conversations.c, TRANSITIONS[event]
    values: dict[str, Any] = {"state": rule.target, "updated": later()}
    values["agent"] = who if rule.target == "agent" else None
    if rule.target == "bot":
        values["reason"] = ""
    elif reason is not None:
        values["reason"] = reason
    change = (
        update(tables.conversations)
        .where(columns.id == conversation_id, columns.state.in_(rule.sources))
        .values(**values)
    )
    if rule.owner:
        change = change.where(or_(columns.agent == who, columns.agent.is_(None)))
    now = connection.scalar(change.returning(columns.updated))
    if now is None:
        return False
    entry = {"conversation_id": conversation_id, "event": event, "who": who, "created": now}
    connection.execute(insert(tables.handoffs).values(**entry))
    return True


def _speaker(connection: Connection, conversation_id: str) -> tuple[str, str | None] | None:
    """(state, agent) of a conversation, held until the transaction ends."""
    columns = tables.conversations.c
    query = select(columns.state, columns.agent).where(columns.id == conversation_id)
    row = connection.execute(query.with_for_update()).first()
    return (row[0], row[1]) if row else None
