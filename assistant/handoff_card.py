"""What an agent who takes a conversation over should know at a glance, from the stored messages.

Nothing here is written by a model: it quotes the customer, and lists what stands in the messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from assistant.conversations import Conversation, StoredMessage
from knowledge.inspection.dates import days_named, plain_dates
from knowledge.pii import Masker
from knowledge.places import countries_in
from knowledge.segment import content_words

_LONGEST_QUOTE = 240  # characters
_QUOTED_SINCE = 2
_LEAST_WORDS = 2  # content words of a message that asks something
_SHOWN_TRIES = 5
# Cards, accounts and secrets are not repeated, and so not listed.
_FOUND = re.compile(r"\[(ORDER|EMAIL|PHONE|ADDRESS)_\d+\]")
_KINDS = ("customer", "order", "email", "phone", "address", "country", "date", "amount")
_NUMBER = r"\d{1,3}(?:[,. ]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?"
_AMOUNT = re.compile(
    rf"(?:US\$|NZ\$|[£$€¥￥]|\b(?:GBP|EUR|USD|CNY|RMB)) ?(?:{_NUMBER})(?!\d)"
    rf"|(?<![\d.,])(?:{_NUMBER}) ?"
    r"(?:[£€]|(?:GBP|EUR|USD|CNY|RMB|euros?|pounds?|dollars?|yuan|quid)\b|元|块钱|块(?!\w)|英镑|欧元|美元|人民币)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Doubt:
    """What was doubted in a turn: a sentence that was dropped, with the verifier's reason, or the
    intent, with the probability in percent that it had."""

    sentence: str = ""
    reason: str = ""
    intent: str = ""
    percent: int = 0


@dataclass(frozen=True, slots=True)
class Collected:
    """Something that is known by now; `kind` is one of customer, order, email, phone, address,
    country, date, amount."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Tried:
    """An answer that was given, the titles that it rests on, and the customer's verdict."""

    text: str
    sources: tuple[str, ...]
    helpful: bool | None
    verdict: str


@dataclass(frozen=True, slots=True)
class HandoffCard:
    """The card. `first` and `since` are the customer's words, `left_out` the number of messages
    that they leave out; `doubts` are those of the last reply."""

    first: str
    since: tuple[str, ...]
    left_out: int
    collected: tuple[Collected, ...]
    tried: tuple[Tried, ...]
    reason: str
    doubts: tuple[Doubt, ...]


def card_of(
    conversation: Conversation,
    messages: Sequence[StoredMessage],
    verdicts: Mapping[int, tuple[bool, str]],
    contact: str = "",
) -> HandoffCard:
    """The card of a conversation; `verdicts` are (helpful, reason) by message, `contact` is the
    address that the customer left."""
    said = [m for m in messages if m.role == "customer"]
    quoted = _quoted([m.text for m in said])
    replies = [m for m in messages if m.role == "assistant" and m.reply]
    handoffs = [m for m in replies if (m.reply or {}).get("outcome") == "handoff"]
    last = handoffs[-1:] or replies[-1:]
    known = [Collected("customer", conversation.customer_id)] if conversation.customer_id else []
    known += [Collected("email", contact)] if contact else []
    masker = Masker()  # one for all: it knows an order number that is written in another way
    found = [*known, *(c for m in said for c in _collected(m, conversation.language, masker))]
    return HandoffCard(
        first=quoted[0] if quoted else "",
        since=tuple(quoted[1:]),
        left_out=len(said) - len(quoted),
        collected=tuple(dict.fromkeys(sorted(found, key=lambda c: _KINDS.index(c.kind)))),
        tried=tuple(_tried(m, verdicts) for m in replies if _answers(m))[-_SHOWN_TRIES:],
        reason=conversation.reason or str((last[0].reply or {}).get("reason", "") if last else ""),
        doubts=doubts_of((last[0].reply or {}) if last else {}),
    )


def doubts_of(reply: Mapping[str, Any]) -> tuple[Doubt, ...]:
    """What was doubted in a stored reply: its dropped sentences, else an intent that was unsure."""
    trace = reply.get("trace") or {}
    dropped = tuple(Doubt(str(d["text"]), str(d["reason"])) for d in trace.get("dropped", ()))
    if dropped or trace.get("sure", True):
        return dropped
    percent = round(100 * float(reply.get("intent_confidence", 0.0)))
    return (Doubt(intent=str(reply.get("intent", "")), percent=percent),)


def _quoted(said: Sequence[str]) -> list[str]:
    """The first message that asks something and the last ones after it, without repetition;
    greetings and thanks only where there is nothing else."""
    asking = [t for t in said if len(content_words(t)) >= _LEAST_WORDS] or list(said)
    asking = list(dict.fromkeys(_short(t) for t in asking))
    return [*asking[:1], *asking[1:][-_QUOTED_SINCE:]]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else line[: _LONGEST_QUOTE - 1].rstrip() + "…"


def _answers(message: StoredMessage) -> bool:
    return (message.reply or {}).get("outcome") == "answer"


def _tried(message: StoredMessage, verdicts: Mapping[int, tuple[bool, str]]) -> Tried:
    helpful, verdict = verdicts.get(message.id, (None, ""))
    titles = tuple(str(c["title"]) for c in (message.reply or {}).get("citations", ()))
    return Tried(_short(message.text), titles, helpful, verdict)


def _collected(message: StoredMessage, language: str, masker: Masker) -> Iterator[Collected]:
    """What a customer's message tells; a date without a year is in that of the message."""
    rest = masker.mask(message.text)
    for match in _FOUND.finditer(rest):
        value = masker.restore(match.group())
        if value != match.group():  # the customer's own brackets stay what they are
            yield Collected(match[1].casefold(), value)
    rest = re.sub(r"\[[A-Z]+_\d+\]", " ", rest)
    for country in countries_in(rest, language):
        yield Collected("country", country)
    for match in _AMOUNT.finditer(rest):
        yield Collected("amount", match.group().strip())
    plain = plain_dates(_AMOUNT.sub(" ", rest))
    for day in days_named(plain, datetime.fromtimestamp(message.created, UTC).year):
        yield Collected("date", plain[day.start : day.end].strip())
