"""The agents' page: Gradio carries the events, the database keeps everything.

The browser keeps only the id of the open conversation. What a session remembers (`Seen`) spares
work: a poll without news sends nothing; lost, it is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import gradio as gr

from assistant.conversations import Conversation, StoredMessage
from assistant.errors import InputError
from assistant.service import ChatService
from assistant.web.auth import Session, Sessions
from assistant.web.desk_view import Row, Shown, row_of, show, suggest, summarise
from assistant.web.staff_html import FOLDER, Words, render, staff_texts

_POLL_SECONDS = 3.0
_BOT_ROWS = 30
_MAX_ID = 64


@dataclass(frozen=True, slots=True)
class Seen:
    """Fingerprints of what the page shows already."""

    queue: int = 0
    thread: int = 0
    composer: int = 0


class Screen(NamedTuple):
    """New values for the page's parts, in the order of its components."""

    bar: Any = gr.skip()
    queue: Any = gr.skip()
    thread: Any = gr.skip()
    composer: Any = gr.skip()
    opened: Any = gr.skip()
    seen: Any = gr.skip()


@dataclass(frozen=True, slots=True)
class Notice:
    """What the page says about the agent's last action, in the words of the text file."""

    key: str = ""
    name: str = ""


class Desk:
    """The events of the page, over the chat service."""

    def __init__(self, service: ChatService, sessions: Sessions) -> None:
        self.service = service
        self.store = service.conversations
        self.sessions = sessions
        # A summary depends on the messages alone, and every message moves `updated`.
        self._summary = lru_cache(maxsize=1024)(
            lambda conversation_id, _updated: summarise(self.store.messages(conversation_id))
        )

    def open(self, opened: object, request: gr.Request) -> Screen:
        """The whole page, when it is opened or loaded again."""
        session = self._session(request)
        screen = self._screen(session, _id(opened), Seen())
        return screen._replace(bar=self._bar(session))

    def poll(self, opened: object, seen: Seen | None, request: gr.Request) -> Screen:
        """What is new since; nothing, mostly."""
        return self._screen(self._session(request), _id(opened), seen or Seen())

    def act(
        self, event: gr.EventData, opened: object, seen: Seen | None, request: gr.Request
    ) -> Screen:
        """What the agent did; what names no known action changes nothing."""
        session, opened = self._session(request), _id(opened)
        detail: dict[str, Any] = event._data if isinstance(event._data, dict) else {}
        notice, draft = Notice(), ""
        match detail:
            case {"act": "open", "id": str(wanted)}:
                opened = wanted[:_MAX_ID]
            case {"act": "close"}:
                opened = ""
            case {"act": "take", "id": str(wanted)}:
                opened = wanted[:_MAX_ID]
                notice = self._take(opened, session)
            case {"act": "back", "id": str(wanted)} if wanted == opened:
                back = self.service.hand_back(opened, session.name)
                notice = Notice("handed_back" if back else "not_yours")
            case {"act": "reply", "id": str(wanted), "value": str(text)} if wanted == opened:
                try:
                    self.service.reply_as(opened, session.name, text)
                except InputError:
                    notice, draft = Notice("not_sent"), text
        return self._screen(session, opened, seen or Seen(), notice, draft)

    def _session(self, request: gr.Request) -> Session:
        """Who asks. The gate has let the request in, but a queue of events may outlive that."""
        session = self.sessions.read(dict(request.cookies))
        if session is None or session.role != "agent":
            raise gr.Error("log in again", print_exception=False)
        return session

    def _take(self, conversation_id: str, session: Session) -> Notice:
        """Take the conversation over, or say who was faster."""
        if self.service.take_over(conversation_id, session.name):
            return Notice("taken")
        conversation = self.store.get(conversation_id)
        if conversation and conversation.state == "agent" and conversation.agent:
            mine = conversation.agent == session.name
            return Notice("already_yours" if mine else "faster", conversation.agent)
        return Notice("gone")

    def _bar(self, session: Session) -> str:
        words = staff_texts(session.language)
        return render("bar.html", words=words, session=session, title=words["desk_title"])

    def _screen(
        self,
        session: Session,
        opened: str,
        seen: Seen,
        notice: Notice | None = None,
        draft: str = "",
    ) -> Screen:
        """The page as the store has it; parts that show it already are left alone."""
        words = staff_texts(session.language)
        conversation = self.store.get(opened) if opened else None
        messages = self.store.messages(opened) if conversation else []
        rows = self._rows()
        shown = self._shown(opened, messages)
        suggestion = suggest(messages)
        speaker = (conversation.state, conversation.agent) if conversation else ()
        now = Seen(
            queue=hash((tuple(rows), opened)),
            thread=hash((opened, tuple(shown), speaker)),
            composer=hash((opened, speaker, suggestion)),
        )
        acted = notice is not None
        common: dict[str, Any] = {"words": words, "conversation": conversation, "me": session.name}
        parts: dict[str, Any] = {"opened": opened if conversation else "", "seen": now}
        if acted or now.queue != seen.queue:
            parts["queue"] = _queue(words, rows, opened, session.name)
        if acted or now.thread != seen.thread:
            notice = notice or Notice()
            row = self._row(conversation) if conversation else None
            parts["thread"] = render(
                "thread.html", messages=shown, row=row, notice=notice, **common
            )
        if draft or now.composer != seen.composer:
            parts["composer"] = render("reply.html", suggestion=suggestion, draft=draft, **common)
        return Screen(**parts) if acted or now != seen else Screen()

    def _rows(self) -> list[Row]:
        """Those waiting longest first, then those with a person, then the bot's newest."""
        rows = [self._row(c) for c in self.store.queue(("waiting", "agent"))]
        rows.sort(key=lambda row: (row.state != "waiting", row.since))
        spoken_to_by_bot = self.store.queue(("bot",))[-_BOT_ROWS:]
        return rows + [row for c in reversed(spoken_to_by_bot) if (row := self._row(c)).preview]

    def _row(self, conversation: Conversation) -> Row:
        return row_of(conversation, self._summary(conversation.id, conversation.updated))

    def _shown(self, conversation_id: str, messages: Sequence[StoredMessage]) -> list[Shown]:
        if not messages:
            return []
        verdicts = {
            int(row["message"]): (bool(row["helpful"]), str(row["reason"]))
            for row in self.store.ratings()
            if row["conversation_id"] == conversation_id
        }
        weights = self.service.assistant.router.word_weights
        return [show(message, verdicts, weights) for message in messages]


def _queue(words: Words, rows: Sequence[Row], opened: str, me: str) -> str:
    waiting = sum(row.state == "waiting" for row in rows)
    return render("queue.html", words=words, rows=rows, opened=opened, me=me, waiting=waiting)


def _id(value: object) -> str:
    """The id the browser keeps; it comes back from outside, so it is checked."""
    return value if isinstance(value, str) and len(value) <= _MAX_ID else ""


def build_desk(service: ChatService, sessions: Sessions) -> gr.Blocks:
    """The page as Gradio blocks."""
    desk = Desk(service, sessions)
    script = (FOLDER / "staff.js").read_text(encoding="utf-8")
    with gr.Blocks(title="Frontdesk", analytics_enabled=False) as blocks:
        bar, queue, thread, composer = (
            gr.HTML(elem_id=f"fd-{name}", js_on_load=script, apply_default_css=False)
            for name in ("bar", "queue", "thread", "reply")
        )
        opened = gr.BrowserState("", storage_key="frontdesk-desk", secret="frontdesk-desk")
        seen = gr.State(None)
        timer = gr.Timer(_POLL_SECONDS)
        parts = [bar, queue, thread, composer, opened, seen]
        quiet: dict[str, Any] = {
            "show_progress": "hidden", "api_visibility": "private", "queue": False,
        }  # fmt: skip
        blocks.load(desk.open, opened, parts, **quiet)
        for part in (queue, thread, composer):
            part.act(desk.act, [opened, seen], parts, trigger_mode="multiple", **quiet)
        timer.tick(desk.poll, [opened, seen], parts, **quiet)
    return blocks
