"""The page's parts as HTML. Templates escape all text: customers, agents and sources write it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from assistant.conversations import Conversation, StoredMessage
from assistant.handoff import Waiting
from assistant.products.cards import Card, Chip
from assistant.web.passages import Source, sources_of, web_address
from assistant.web.texts import Texts
from assistant.web.turns import Turn

_TEMPLATES = Path(__file__).parent / "templates"
# What the shop's documents are written with; links become their words, pictures their names.
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)")
_STRONG = re.compile(r"\*\*([^*\n]+)\*\*")
_BULLET = re.compile(r"^\s*[-*] ", re.MULTILINE)
Verdicts = Mapping[int, tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class CitedText:
    """A stretch of a reply, and the source that it rests on (0: none needs naming here)."""

    text: str
    source: int = 0


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A stored message as the page shows it."""

    id: int
    role: str
    outcome: str
    parts: tuple[CitedText, ...]
    sources: tuple[Source, ...]
    choices: tuple[str, ...]
    cards: tuple[Card, ...]
    chips: tuple[Chip, ...]
    explanation: str
    helpful: bool | None
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Who speaks, what a customer who waits is told, and the address that was left."""

    conversation: Conversation | None = None
    waiting: Waiting | None = None
    contact: str = ""


def render_header(words: Texts, shop: str, conversation: Conversation | None) -> str:
    """The bar at the top: who speaks, and the way to a person."""
    return _render("header.html", words=words, shop=shop, **_speaker(words, conversation))


def render_transcript(
    messages: Sequence[StoredMessage],
    words: Texts,
    shop: str,
    standing: Standing,
    verdicts: Verdicts,
    running: Turn | None = None,
) -> str:
    """The finished messages, without that of the turn still running."""
    finished = [m for m in messages if running is None or m.message_id != running.message_id]
    conversation = standing.conversation
    by_bot = conversation is not None and conversation.state == "bot"
    return _render(
        "transcript.html",
        words=words,
        shop=shop,
        messages=[show(m, words, verdicts) for m in finished],
        unanswered=_unanswered(finished) if by_bot and running is None else None,
        welcome=not messages and running is None,
        waiting=standing.waiting,
        contact=standing.contact,
        **_speaker(words, conversation),
    )


def render_live(turn: Turn | None, words: Texts) -> str:
    """The turn that runs: what was asked, the stage it is in, the sentences already verified."""
    return _render("live.html", words=words, turn=turn) if turn else ""


def render_alert(text: str) -> str:
    """Why a message was not taken."""
    return _render("alert.html", text=text)


def render_composer(words: Texts, shop: str, max_characters: int) -> str:
    """The field to write in, and what a message looks like before the server has it."""
    pending = Turn("", "", "")
    return _render(
        "composer.html", words=words, shop=shop, max_characters=max_characters, turn=pending
    )


def show(message: StoredMessage, words: Texts, verdicts: Verdicts) -> ShownMessage:
    """A stored message as the page shows it."""
    reply = message.reply or {}
    sources = sources_of(reply, words)
    cards = tuple(_shown(Card(**card)) for card in reply.get("products", ()))
    text = lead_of(message.text, reply) if cards else message.text
    helpful, reason = verdicts.get(message.id, (None, ""))
    return ShownMessage(
        id=message.id,
        role=message.role,
        outcome=str(reply.get("outcome", "")),
        parts=tuple(cited_parts(text, reply, sources)),
        sources=tuple(sources),
        choices=tuple(reply.get("choices", ())),
        cards=cards,
        chips=tuple(Chip(**chip) for chip in reply.get("chips", ())),
        explanation=str(reply.get("explanation", "")),
        helpful=helpful,
        reason=reason,
    )


def lead_of(text: str, reply: Mapping[str, Any]) -> str:
    """What a reply says above its products: they stand below it as cards."""
    first = reply["sentences"][0]["text"] if reply["sentences"] else ""
    return text[: text.find(f"- {first}")].rstrip() if first in text else text


def _shown(card: Card) -> Card:
    """A card whose addresses a page may use: of the web, or a picture of this server."""
    own = card.image.startswith("/") and not card.image.startswith("//")
    return replace(
        card, image=card.image if own else web_address(card.image), url=web_address(card.url)
    )


def cited_parts(
    text: str, reply: Mapping[str, Any], sources: Sequence[Source]
) -> Iterable[CitedText]:
    """The text cut where its source changes; with one source the chip below says enough."""
    if len(sources) < 2:
        return [CitedText(text)]
    numbers = {c["evidence_id"]: n for n, c in enumerate(reply["citations"], 1)}
    parts: list[CitedText] = []
    start = position = 0
    current = 0
    for sentence in reply["sentences"]:
        found = text.find(sentence["text"], position)
        number = numbers.get(sentence["evidence_id"], 0)
        if found < 0:
            continue
        if current and number != current:
            parts.append(CitedText(text[start:position], current))
            start = position
        current, position = number, found + len(sentence["text"])
    parts.append(CitedText(text[start:position], current))
    return [*parts, CitedText(text[position:])]


def _unanswered(messages: Sequence[StoredMessage]) -> StoredMessage | None:
    """The last message if the assistant owes a reply to it: the server was stopped, say.

    A message written to an agent is none of that kind, even after the agent has left.
    """
    spoke_last = next((m.role for m in reversed(messages) if m.role != "customer"), "assistant")
    if messages and messages[-1].role == "customer" and spoke_last == "assistant":
        return messages[-1]
    return None


def _speaker(words: Texts, conversation: Conversation | None) -> dict[str, str]:
    state = conversation.state if conversation else "bot"
    agent = (conversation.agent if conversation else None) or words.agent
    return {"state": state, "agent": agent}


def formatted(text: str) -> Markup:
    """Text of the shop's documents: escaped, with bold and bullets, nothing else of markdown."""
    safe = _LINK.sub(r"\1", str(escape(text)))
    safe = _STRONG.sub(r"<strong>\1</strong>", safe).replace("**", "")
    return Markup(_BULLET.sub("• ", safe))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["formatted"] = formatted
    return environment


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)
