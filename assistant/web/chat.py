"""The customer chat page: Gradio carries the events, the store keeps the conversation.

The page's parts are HTML made by `transcript`; the browser keeps nothing but the conversation's
id and the language. What a session remembers (`Seen`) only spares work: lost, it is made again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from assistant.conversations import Conversation
from assistant.errors import InputError
from assistant.handoff import Waiting, is_email
from assistant.service import ChatService
from assistant.settings import Settings
from assistant.web import transcript
from assistant.web.flood import FloodError, address_of
from assistant.web.texts import languages, preferred, texts
from assistant.web.turns import Turn, Turns

log = logging.getLogger(__name__)
_FOLDER = Path(__file__).parent
# How often the page asks for news: while the bot speaks, and while a person is expected.
_IDLE_SECONDS, _WAITING_SECONDS = 5.0, 2.0
_CONCURRENT_TURNS = 64
_MAX_ID = 64
_MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class Memory:
    """What the browser keeps. It comes back from outside, so it is checked."""

    conversation: str = ""
    language: str = ""

    @classmethod
    def of(cls, value: object) -> Memory:
        """The memory in a value from the browser; anything odd counts as forgotten."""
        row = value if isinstance(value, dict) else {}
        conversation, language = row.get("conversation"), row.get("language")
        return cls(
            conversation if isinstance(conversation, str) and len(conversation) <= _MAX_ID else "",
            language if language in languages() else "",
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page shows already, so that a poll without news sends nothing."""

    last: int = 0
    state: str = "bot"
    agent: str | None = None
    waiting: Waiting | None = None
    follows_turn: bool = False


class Screen(NamedTuple):
    """New values for the page's parts, in the order of its components."""

    header: Any = gr.skip()
    transcript: Any = gr.skip()
    live: Any = gr.skip()
    composer: Any = gr.skip()
    memory: Any = gr.skip()
    seen: Any = gr.skip()
    timer: Any = gr.skip()


class ChatPage:
    """The events of the page, over the chat service."""

    def __init__(
        self, settings: Settings, service: ChatService, turns: Turns | None = None
    ) -> None:
        self.settings = settings
        self.service = service
        self.store = service.conversations
        self.turns = turns or Turns(service)

    def open(self, stored: object, request: gr.Request) -> Screen:
        """The whole page, when it is opened or loaded again."""
        memory = Memory.of(stored)
        language = memory.language or preferred(request.headers.get("accept-language", ""))
        return self._whole(replace(memory, language=language))

    async def act(
        self, event: gr.EventData, stored: object, request: gr.Request
    ) -> AsyncIterator[Screen]:
        """What the customer did: wrote, or pressed a button."""
        detail: dict[str, Any] = event._data if isinstance(event._data, dict) else {}
        memory = Memory.of(stored)
        if not memory.language:
            accepted = request.headers.get("accept-language", "")
            memory = replace(memory, language=preferred(accepted))
        if detail.get("act") == "stop":
            await self.turns.stop(
                memory.conversation
            )  # the event of the turn itself shows what came
        elif detail.get("act") == "ask":
            # One character too many is enough for the assistant to say that it is too long.
            text = str(detail.get("value", ""))[: self.settings.max_utterance_characters + 1]
            message_id = str(detail.get("id") or secrets.token_hex(12))[:_MAX_ID]
            async for screen in self._ask(memory, text, message_id, address_of(request)):
                yield screen
        else:
            yield await asyncio.to_thread(self._press, memory, detail)

    def poll(self, stored: object, seen: Seen | None) -> Screen:
        """What is new since: an agent's message, another speaker, or a turn's progress."""
        memory, seen = Memory.of(stored), seen or Seen()
        turn = self.turns.running(memory.conversation)
        if turn:
            live = transcript.render_live(turn, texts(memory.language))
            return Screen(live=live) if seen.follows_turn else Screen()
        conversation = self._conversation(memory)
        state, agent = (conversation.state, conversation.agent) if conversation else ("bot", None)
        news = self.store.messages(memory.conversation, after=seen.last)
        now = state, agent, self._waiting(conversation)
        if now == (seen.state, seen.agent, seen.waiting) and not (news or seen.follows_turn):
            return Screen()
        return self._now(memory)

    async def _ask(
        self, memory: Memory, text: str, message_id: str, address: str
    ) -> AsyncIterator[Screen]:
        """Send a message and show the reply as it comes; a closed conversation starts anew."""
        if not text.strip():
            return
        memory = await asyncio.to_thread(self._with_conversation, memory)
        turn = Turn(memory.conversation, message_id, text, address=address)
        try:
            async for progress in self.turns.run(turn):
                live = transcript.render_live(progress, texts(memory.language))
                yield Screen(live=live, memory=asdict(memory))
        except FloodError:
            now = await asyncio.to_thread(self._now, memory)
            yield now._replace(live=transcript.render_alert(texts(memory.language).slow_down))
            return
        except InputError:
            yield await asyncio.to_thread(self._whole, replace(memory, conversation=""))
            return
        except Exception:
            # The message is stored: the page offers to send it again.
            log.exception("a message was not answered")
        yield await asyncio.to_thread(self._now, memory)

    def _press(self, memory: Memory, detail: dict[str, Any]) -> Screen:
        """A button; what names no known action changes nothing."""
        match detail:
            case {"act": "new"}:
                return self._whole(replace(memory, conversation=""))
            case {"act": "language"}:
                codes = languages()
                following = codes[(codes.index(memory.language) + 1) % len(codes)]
                return self._whole(replace(memory, language=following))
            case {"act": "person"}:
                memory = self._with_conversation(memory)
                self.service.hand_off(memory.conversation)
            case {"act": "bot"}:
                self.service.withdraw(memory.conversation)
            case {"act": "reopen"}:
                self.service.reopen(memory.conversation)
            case {"act": "delete"}:
                self.service.delete(memory.conversation)
                return self._whole(replace(memory, conversation=""))
            case {"act": "contact", "value": str(email)} if is_email(email):
                if self._conversation(memory):
                    self.service.handoffs.leave_contact(memory.conversation, email)
            case {"act": "rate", "message": message, "value": "up" | "down" as verdict}:
                self._rate(memory, message, verdict == "up")
            case {"act": "reason", "message": message, "value": str(reason)}:
                self._rate(memory, message, False, reason[:_MAX_REASON])
        return self._now(memory)

    def _rate(self, memory: Memory, message: object, helpful: bool, reason: str = "") -> None:
        """Keep a verdict on a reply of this very conversation."""
        replies = {str(m.id): m for m in self.store.messages(memory.conversation) if m.reply}
        if rated := replies.get(str(message)):
            self.service.rate(memory.conversation, rated.id, helpful, reason)

    def _conversation(self, memory: Memory) -> Conversation | None:
        return self.store.get(memory.conversation) if memory.conversation else None

    def _waiting(self, conversation: Conversation | None) -> Waiting | None:
        if conversation is None or conversation.state != "waiting":
            return None
        return self.service.handoffs.waiting(conversation.id)

    def _with_conversation(self, memory: Memory) -> Memory:
        """The memory with a conversation that can go on, a new one if need be."""
        conversation = self._conversation(memory)
        if conversation and conversation.state != "closed":
            return memory
        return replace(memory, conversation=self.service.start(memory.language).id)

    def _now(self, memory: Memory) -> Screen:
        """The page as the store has it, the composer aside: the customer may be writing."""
        words, shop = texts(memory.language), self.settings.shop_name
        conversation = self._conversation(memory)
        memory = memory if conversation else replace(memory, conversation="")
        turn = self.turns.running(memory.conversation)
        messages = self.store.messages(memory.conversation) if conversation else []
        state, agent = (conversation.state, conversation.agent) if conversation else ("bot", None)
        contact = self.service.handoffs.contact(memory.conversation) if conversation else ""
        standing = transcript.Standing(conversation, self._waiting(conversation), contact)
        seconds = _IDLE_SECONDS if state == "bot" else _WAITING_SECONDS
        return Screen(
            header=transcript.render_header(words, shop, conversation),
            transcript=transcript.render_transcript(
                messages, words, shop, standing, self._verdicts(memory), turn
            ),
            live=transcript.render_live(turn, words),
            memory=asdict(memory),
            seen=Seen(
                messages[-1].id if messages else 0, state, agent, standing.waiting, turn is not None
            ),
            timer=gr.Timer(seconds, active=conversation is not None),
        )

    def _whole(self, memory: Memory) -> Screen:
        """The page as the store has it, the composer too."""
        words, shop = texts(memory.language), self.settings.shop_name
        limit = self.settings.max_utterance_characters
        return self._now(memory)._replace(composer=transcript.render_composer(words, shop, limit))

    def _verdicts(self, memory: Memory) -> transcript.Verdicts:
        return {
            row["message"]: (bool(row["helpful"]), row["reason"])
            for row in self.store.ratings(memory.conversation)
        }


def build_chat(settings: Settings, service: ChatService, turns: Turns | None = None) -> gr.Blocks:
    """The page as Gradio blocks; `HEAD` and `theme()` go with it when it is mounted."""
    page = ChatPage(settings, service, turns)
    script = (_FOLDER / "chat.js").read_text(encoding="utf-8")
    with gr.Blocks(title=settings.shop_name, analytics_enabled=False) as blocks:
        header, shown, live, composer = (
            gr.HTML(elem_id=f"fd-{name}", js_on_load=script, apply_default_css=False)
            for name in ("header", "transcript", "live", "composer")
        )
        memory = gr.BrowserState({}, storage_key="frontdesk", secret="frontdesk")
        seen = gr.State(None)
        timer = gr.Timer(_IDLE_SECONDS, active=False)
        parts = [header, shown, live, composer, memory, seen, timer]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        blocks.load(page.open, memory, parts, queue=False, **quiet)
        for part in (header, shown, live, composer):
            part.act(
                page.act,
                memory,
                parts,
                trigger_mode="multiple",
                concurrency_limit=_CONCURRENT_TURNS,
                concurrency_id="act",
                **quiet,
            )
        timer.tick(page.poll, [memory, seen], parts, queue=False, **quiet)
    return blocks


def head() -> str:
    """The page's own style, for Gradio's document head."""
    return f"<style>{(_FOLDER / 'chat.css').read_text(encoding='utf-8')}</style>"


def theme() -> gr.themes.Base:
    """Gradio's plainest theme with system fonts: the default one asks for fonts elsewhere."""
    return gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
