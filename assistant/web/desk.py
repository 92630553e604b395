"""The agents' page: Gradio carries the events, the database keeps everything.

The browser keeps only the id of the open conversation. What a session remembers (`Seen`) spares
work: a poll without news sends nothing; lost, it is made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import gradio as gr

from assistant.canned import CannedReplies
from assistant.conversations import Conversation, StoredMessage
from assistant.edits import Edit, Edits
from assistant.errors import InputError
from assistant.handoff_card import card_of
from assistant.message_search import search_messages
from assistant.notes import Notes
from assistant.outlooks import Look, no_outlook
from assistant.service import ChatService
from assistant.web.auth import Session, Sessions
from assistant.web.desk_canned import CannedSheet
from assistant.web.desk_keys import KEYS
from assistant.web.desk_view import Row, Shown, row_of, show, show_note, suggest, summarise
from assistant.web.room.panel import Notice
from assistant.web.staff_html import FOLDER, Words, render, staff_texts

_POLL_SECONDS = 3.0
_BOT_ROWS = 30
_MAX_ID = 64
_MAX_SEARCH = 100
_FILTERS = ("all", "waiting", "mine")
Verdicts = Mapping[int, tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page shows: which rows, what was searched for, and fingerprints of its parts."""

    filter: str = "all"
    search: str = ""
    queue: int = 0
    thread: int = 0
    composer: int = 0


class Screen(NamedTuple):
    """New values for the page's parts, in the order of its components."""

    bar: Any = gr.skip()
    find: Any = gr.skip()
    queue: Any = gr.skip()
    thread: Any = gr.skip()
    composer: Any = gr.skip()
    canned: Any = gr.skip()
    help: Any = gr.skip()
    opened: Any = gr.skip()
    seen: Any = gr.skip()


class Desk:
    """The events of the page, over the chat service."""

    def __init__(self, service: ChatService, sessions: Sessions, look: Look = no_outlook) -> None:
        self.service = service
        self.look = look
        self.store = service.conversations
        self.sessions = sessions
        self.notes = Notes(self.store)
        self.edits = Edits(self.store)
        shop = service.assistant.settings.shop_name
        self.canned = CannedSheet(CannedReplies(self.store), shop)
        # A summary depends on the messages alone, and every message moves `updated`.
        self._summary = lru_cache(maxsize=1024)(
            lambda conversation_id, _updated: summarise(self.store.messages(conversation_id))
        )

    def open(self, opened: object, request: gr.Request) -> Screen:
        """The whole page, when it is opened or loaded again."""
        session = self._session(request)
        self.sessions.note(session)
        words = staff_texts(session.language)
        return self._screen(session, _id(opened), Seen())._replace(
            bar=render("bar.html", words=words, session=session, title=words["desk_title"]),
            find=render("find.html", words=words, longest=_MAX_SEARCH),
            canned=self.canned.render(words, Notice()),
            help=render("help.html", words=words, keys=KEYS),
        )

    def poll(self, opened: object, seen: Seen | None, request: gr.Request) -> Screen:
        """What is new since; nothing, mostly."""
        return self._screen(self._session(request), _id(opened), seen or Seen())

    def act(
        self, event: gr.EventData, opened: object, seen: Seen | None, request: gr.Request
    ) -> Screen:
        """What the agent did; what names no known action changes nothing."""
        session, seen = self._session(request), seen or Seen()
        self.sessions.note(session)
        opened = was = _id(opened)
        detail: dict[str, Any] = event._data if isinstance(event._data, dict) else {}
        if (notice := self.canned.act(detail, session)) is not None:
            sheet = self.canned.render(staff_texts(session.language), notice)
            return self._screen(session, opened, seen)._replace(canned=sheet)
        notice, draft = Notice(), ""
        match detail:
            case {"act": "open", "id": str(wanted)}:
                opened = wanted[:_MAX_ID]
            case {"act": "close"}:
                opened = ""
            case {"act": "filter", "name": str(name)} if name in _FILTERS:
                seen = replace(seen, filter=name, search="")
            case {"act": "search", "words": str(words)}:
                seen = replace(seen, search=words.strip()[:_MAX_SEARCH])
            case {"act": "take", "id": str(wanted)}:
                opened = wanted[:_MAX_ID]
                notice = self._take(opened, session)
            case {"act": "back" | "requeue" | "end" as name, "id": str(wanted)} if wanted == opened:
                notice = self._leave(name, opened, session)
            case {"act": "note", "id": str(wanted), "value": str(text)} if wanted == opened:
                notice = self._note(opened, session, text)
            case {"act": "reply", "id": str(wanted), "value": str(text)} if wanted == opened:
                if not self._reply(opened, session, text, inserted="inserted" in detail):
                    notice, draft = Notice("not_sent"), text
        return self._screen(session, opened, seen, notice, draft, was)

    def _session(self, request: gr.Request) -> Session:
        """Who asks. The gate has let the request in, but a queue of events may outlive that."""
        session = self.sessions.read(dict(request.cookies))
        if session is None or session.must_change or not session.may("agent"):
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

    def _leave(self, name: str, conversation_id: str, session: Session) -> Notice:
        """Leave the conversation to the assistant (back) or the team (requeue), or end it."""
        leave, said = {
            "back": (self.service.hand_back, "handed_back"),
            "requeue": (self.service.requeue, "desk_requeued"),
            "end": (self.service.end, "desk_ended"),
        }[name]
        return Notice(said if leave(conversation_id, session.name) else "not_yours")

    def _note(self, conversation_id: str, session: Session, text: str) -> Notice:
        try:
            self.notes.add(conversation_id, session.name, text)
        except InputError:
            return Notice("desk_not_noted")
        return Notice("desk_noted")

    def _reply(self, conversation_id: str, session: Session, text: str, inserted: bool) -> bool:
        """Send a reply, and keep what became of the suggestion; False when it is not sent."""
        suggestion = suggest(self.store.messages(conversation_id))
        try:
            said = self.service.reply_as(conversation_id, session.name, text)
        except InputError:
            return False
        if suggestion:
            edit = Edit(suggestion.text, said.text, suggestion.evidence_id, inserted)
            self.edits.keep(conversation_id, said.id, edit)
        return True

    def _screen(
        self,
        session: Session,
        opened: str,
        seen: Seen,
        notice: Notice | None = None,
        draft: str = "",
        was: str | None = None,
    ) -> Screen:
        """The page as the store has it; parts that show it already are left alone. `was` is the
        conversation that was open before: a poll must not open it again when it comes late."""
        words, me = staff_texts(session.language), session.name
        conversation = self.store.get(opened) if opened else None
        messages = self.store.messages(opened) if conversation else []
        verdicts = self._verdicts(opened) if conversation else {}
        contact = self.service.handoffs.contact(opened) if conversation else ""
        rows = self._rows()
        shown = self._shown(opened, messages, verdicts) if conversation else []
        suggestion = suggest(messages)
        language = self._row(conversation).language if conversation else ""
        choices = self.canned.choices(language, me) if conversation else ()
        speaker = (conversation.state, conversation.agent) if conversation else ()
        now = replace(
            seen,
            queue=hash((seen.filter, seen.search, tuple(rows), opened)),
            thread=hash((opened, tuple(shown), speaker, contact)),
            composer=hash((opened, speaker, suggestion, choices)),
        )
        acted = notice is not None
        common: dict[str, Any] = {"words": words, "conversation": conversation, "me": me}
        parts: dict[str, Any] = {"seen": now}
        if (known := opened if conversation else "") != (opened if was is None else was):
            parts["opened"] = known
        if acted or now.queue != seen.queue:
            parts["queue"] = self._queue(words, rows, seen, opened, me)
        if acted or now.thread != seen.thread:
            parts["thread"] = render(
                "thread.html",
                messages=shown,
                row=self._row(conversation) if conversation else None,
                card=conversation and card_of(conversation, messages, verdicts, contact),
                notice=notice or Notice(),
                **common,
            )
        if draft or now.composer != seen.composer:
            parts["composer"] = render(
                "reply.html", suggestion=suggestion, canned=choices, draft=draft, **common
            )
        return Screen(**parts) if acted or now != seen else Screen()

    def _rows(self) -> list[Row]:
        """Those waiting longest first, then those with a person, then the bot's newest."""
        rows = [self._row(c) for c in self.store.queue(("waiting", "agent"))]
        rows.sort(key=lambda row: (row.state != "waiting", row.since))
        spoken_to_by_bot = self.store.queue(("bot",), newest=True)
        return rows + [r for r in map(self._row, spoken_to_by_bot) if r.preview][:_BOT_ROWS]

    def _queue(self, words: Words, rows: Sequence[Row], seen: Seen, opened: str, me: str) -> str:
        kept = {"all": rows, "waiting": [r for r in rows if r.state == "waiting"],
                "mine": [r for r in rows if r.state == "agent" and r.agent == me]}  # fmt: skip
        return render(
            "queue.html",
            words=words,
            rows=kept[seen.filter],
            counts={name: len(kept[name]) for name in _FILTERS},
            filter=seen.filter,
            search=seen.search,
            hits=search_messages(self.store, seen.search) if seen.search else [],
            opened=opened,
            me=me,
        )

    def _row(self, conversation: Conversation) -> Row:
        summary = self._summary(conversation.id, conversation.updated)
        return row_of(conversation, summary, self.look(conversation))

    def _verdicts(self, conversation_id: str) -> Verdicts:
        return {
            int(row["message"]): (bool(row["helpful"]), str(row["reason"]))
            for row in self.store.ratings(conversation_id)
        }

    def _shown(
        self, conversation_id: str, messages: Sequence[StoredMessage], verdicts: Verdicts
    ) -> list[Shown]:
        """Messages and notes in the order of their times."""
        weights, edits = self.service.assistant.router.word_weights, self.edits.of(conversation_id)
        said = [show(m, verdicts, weights, edits.get(m.id)) for m in messages]
        notes = map(show_note, self.notes.of(conversation_id))
        return sorted([*said, *notes], key=lambda shown: shown.created)


def _id(value: object) -> str:
    """The id the browser keeps; it comes back from outside, so it is checked."""
    return value if isinstance(value, str) and len(value) <= _MAX_ID else ""


def build_desk(service: ChatService, sessions: Sessions, look: Look = no_outlook) -> gr.Blocks:
    """The page as Gradio blocks."""
    desk = Desk(service, sessions, look)
    script = "\n".join((FOLDER / name).read_text("utf-8") for name in ("staff.js", "desk.js"))
    names = ("bar", "find", "queue", "thread", "reply", "canned", "help")
    with gr.Blocks(title="Frontdesk", analytics_enabled=False) as blocks:
        shown = [
            gr.HTML(elem_id=f"fd-{name}", js_on_load=script, apply_default_css=False)
            for name in names
        ]
        opened = gr.BrowserState("", storage_key="frontdesk-desk", secret="frontdesk-desk")
        seen = gr.State(None)
        timer = gr.Timer(_POLL_SECONDS)
        parts = [*shown, opened, seen]
        quiet: dict[str, Any] = {
            "show_progress": "hidden", "api_visibility": "private", "queue": False,
        }  # fmt: skip
        blocks.load(desk.open, opened, parts, **quiet)
        for part in shown[1:]:
            part.act(desk.act, [opened, seen], parts, trigger_mode="multiple", **quiet)
        timer.tick(desk.poll, [opened, seen], parts, **quiet)
    return blocks
