"""The operators' page: upload documents, see what would change, publish, undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from assistant.conversations import Conversations
from assistant.gaps import Gap
from assistant.web.auth import Session, Sessions
from assistant.web.publishing import Publisher, changes
from assistant.web.staff_html import FOLDER, Words, render, staff_texts
from assistant.web.uploads import Uploads
from knowledge.errors import KnowledgeError
from knowledge.formats import FORMATS

_POLL_SECONDS = 2.0
_LISTED = 50
_AUDIT_SEARCHED, _AUDIT_SHOWN = 400, 20
_OWN_ACTIONS = frozenset({"upload", "delete", "publish", "undo", "allow"})


@dataclass(frozen=True, slots=True)
class Notice:
    """What the page says about the operator's last action, in the words of the text file."""

    key: str = ""
    name: str = ""


class Screen(NamedTuple):
    """New values for the page's parts, in the order of its components."""

    bar: Any = gr.skip()
    uploads: Any = gr.skip()
    documents: Any = gr.skip()
    publishing: Any = gr.skip()
    history: Any = gr.skip()
    gaps: Any = gr.skip()
    seen: Any = gr.skip()


class OperatorPage:
    """The events of the page, over the uploads and the publisher."""

    def __init__(
        self,
        uploads: Uploads,
        publisher: Publisher,
        audit: Conversations,
        sessions: Sessions,
        find_gaps: Callable[[], list[Gap]] = list,
    ) -> None:
        self.uploads = uploads
        self.publisher = publisher
        self.audit = audit
        self.sessions = sessions
        self.find_gaps = find_gaps

    def open(self, request: gr.Request) -> Screen:
        """The whole page, when it is opened or loaded again."""
        session = self._session(request)
        words = staff_texts(session.language)
        bar = render("bar.html", words=words, session=session, title=words["operator_title"])
        uploads = render(
            "uploads.html", words=words, formats=sorted(FORMATS), max_bytes=self.uploads.max_bytes
        )
        gaps = render("gaps.html", words=words, gaps=None, listed=_LISTED)
        return self._screen(session, None)._replace(bar=bar, uploads=uploads, gaps=gaps)

    def poll(self, seen: object, request: gr.Request) -> Screen:
        """What is new since; nothing, mostly."""
        return self._screen(self._session(request), seen)

    def act(self, event: gr.EventData, seen: object, request: gr.Request) -> Screen:
        """What the operator did; what names no known action only shows the page anew."""
        session = self._session(request)
        detail: dict[str, Any] = event._data if isinstance(event._data, dict) else {}
        notice = Notice()
        match detail:
            case {"act": "gaps"}:
                words, found = staff_texts(session.language), self.find_gaps()
                return Screen(gaps=render("gaps.html", words=words, gaps=found, listed=_LISTED))
            case {"act": "delete", "name": str(name)}:
                notice = self._delete(name, session)
            case {"act": "preview"}:
                notice = self._started(self.publisher.start("preview", session.name))
            case {"act": "publish"}:
                notice = self._publish(session)
            case {"act": "allow", "name": str(name), "value": str(reason)}:
                notice = self._allow(name, reason, session)
            case {"act": "undo"}:
                notice = self._undo(session)
        return self._screen(session, seen, notice)

    def _session(self, request: gr.Request) -> Session:
        """Who asks. The gate has let the request in, but a queue of events may outlive that."""
        session = self.sessions.read(dict(request.cookies))
        if session is None or session.role != "operator":
            raise gr.Error("log in again", print_exception=False)
        return session

    def _delete(self, name: str, session: Session) -> Notice:
        if not self.uploads.delete(name):
            return Notice("missing")
        self.audit.log(session.name, "delete", name)
        return Notice("deleted", name)

    def _publish(self, session: Session) -> Notice:
        """Publish what was looked at, and nothing else."""
        if not self.publisher.reviewed():
            return Notice("review_first")
        return self._started(self.publisher.start("publish", session.name))

    def _allow(self, passage: str, reason: str, session: Session) -> Notice:
        try:
            self.publisher.allow(passage, reason, session.name)
        except KnowledgeError as error:
            return Notice("not_allowed", str(error))
        return Notice("allowed", passage)

    def _undo(self, session: Session) -> Notice:
        try:
            return Notice("undone", self.publisher.undo(session.name))
        except (KnowledgeError, OSError) as error:
            return Notice("not_undone", str(error))

    @staticmethod
    def _started(started: bool) -> Notice:
        return Notice() if started else Notice("busy")

    def _screen(self, session: Session, seen: object, notice: Notice | None = None) -> Screen:
        """The page as it is now; a poll that finds what is shown already sends nothing."""
        words = staff_texts(session.language)
        audit = self.audit.audit(_AUDIT_SEARCHED)
        entries = [entry for entry in audit if entry["what"] in _OWN_ACTIONS][:_AUDIT_SHOWN]
        run = self.publisher.last
        work = (run.kind, run.started, run.running) if run else ()
        now = hash((self.publisher.basis(), work, entries[0]["id"] if entries else 0))
        if notice is None and seen == now:
            return Screen()
        return Screen(
            documents=render("documents.html", words=words, uploads=self.uploads.all()),
            publishing=self._publishing(words, notice or Notice()),
            history=self._history(words, entries),
            seen=now,
        )

    def _publishing(self, words: Words, notice: Notice) -> str:
        run = self.publisher.last
        return render(
            "publishing.html",
            words=words,
            notice=notice,
            run=run,
            changes=changes(run.report) if run and run.report else {},
            differences={c.id: c for c in run.differences} if run else {},
            stale=bool(run and run.kind == "preview" and run.basis != self.publisher.basis()),
            reviewed=self.publisher.reviewed(),
            listed=_LISTED,
        )

    def _history(self, words: Words, entries: list[dict[str, Any]]) -> str:
        run = self.publisher.last
        return render(
            "history.html",
            words=words,
            versions=self.publisher.history(),
            before=self.publisher.before(),
            entries=entries,
            busy=bool(run and run.running),
        )


def build_operator_page(page: OperatorPage) -> gr.Blocks:
    """The page as Gradio blocks."""
    script = (FOLDER / "staff.js").read_text(encoding="utf-8")
    with gr.Blocks(title="Frontdesk", analytics_enabled=False) as blocks:
        bar, uploads, documents, publishing, history, gaps = (
            gr.HTML(elem_id=f"fd-{name}", js_on_load=script, apply_default_css=False)
            for name in ("bar", "uploads", "documents", "publishing", "history", "gaps")
        )
        seen = gr.State(None)
        timer = gr.Timer(_POLL_SECONDS)
        parts = [bar, uploads, documents, publishing, history, gaps, seen]
        quiet: dict[str, Any] = {
            "show_progress": "hidden", "api_visibility": "private", "queue": False,
        }  # fmt: skip
        blocks.load(page.open, None, parts, **quiet)
        for part in (uploads, documents, publishing, history, gaps):
            part.act(page.act, seen, parts, trigger_mode="multiple", **quiet)
        timer.tick(page.poll, seen, parts, **quiet)
    return blocks
