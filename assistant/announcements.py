"""What a chat service announces, for whoever observes it: finished turns, who speaks, verdicts.

While a turn runs its id is known wherever it works, log lines included; so is that of the request
that it came with.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from assistant.types import Reply

turn_id: ContextVar[str] = ContextVar("turn_id", default="")
request_id: ContextVar[str] = ContextVar("request_id", default="")


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """A turn whose reply is stored. `id` has 32 hexadecimal digits, as a trace's does; `seconds` is
    how long the customer waited for the whole reply, `queued_seconds` for its beginning; `ended` is
    in seconds since 1970."""

    id: str
    conversation_id: str
    reply: Reply
    seconds: float
    queued_seconds: float
    ended: float


@dataclass(frozen=True, slots=True)
class SpeakerChanged:
    """Somebody else speaks in a conversation; `event` is one of `handoff.TRANSITIONS`."""

    event: str


@dataclass(frozen=True, slots=True)
class ReplyRated:
    """A customer's verdict on a reply."""

    helpful: bool


Announcement = TurnFinished | SpeakerChanged | ReplyRated
Observer = Callable[[Announcement], None]


@contextmanager
def turn_scope() -> Iterator[str]:
    """A turn begins; yields its id."""
    token = turn_id.set(secrets.token_hex(16))
    try:
        yield turn_id.get()
    finally:
        turn_id.reset(token)
