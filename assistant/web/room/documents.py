"""Panels of the documents: upload, see what would change, publish, undo."""

from __future__ import annotations

from collections.abc import Hashable

from assistant.audit import AuditEntry, AuditQuery, AuditTrail
from assistant.conversations import Conversations
from assistant.web.auth import Session
from assistant.web.publishing import Publisher, changes
from assistant.web.room.panel import Detail, Done, Notice
from assistant.web.staff_html import Words, render
from assistant.web.uploads import Uploads
from knowledge.errors import KnowledgeError
from knowledge.formats import FORMATS

LISTED = 50
_AUDIT_SHOWN = 20
_OWN_ACTIONS = AuditQuery(whats=("upload", "delete", "publish", "undo", "allow"))


class UploadsPanel:
    """Where documents are dropped; it never changes, for an upload may be under way in it."""

    name, room = "uploads", "documents"

    def __init__(self, uploads: Uploads) -> None:
        self.uploads = uploads

    def state(self) -> Hashable:
        """See Panel."""
        return ()

    def render(self, words: Words) -> str:
        """See Panel."""
        return render(
            "uploads.html", words=words, formats=sorted(FORMATS), max_bytes=self.uploads.max_bytes
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        return None


class DocumentsPanel:
    """The documents uploaded."""

    name, room = "documents", "documents"

    def __init__(self, uploads: Uploads, audit: Conversations) -> None:
        self.uploads, self.audit = uploads, audit

    def state(self) -> Hashable:
        """See Panel."""
        return self.uploads.all()

    def render(self, words: Words) -> str:
        """See Panel."""
        return render("documents.html", words=words, uploads=self.uploads.all())

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        match detail:
            case {"act": "delete", "name": str(name)}:
                if not self.uploads.delete(name):
                    return Done(Notice("missing"))
                self.audit.log(session.name, "delete", name)
                return Done(Notice("deleted", name))
        return None


class PublishingPanel:
    """What would change, and the button that publishes what was looked at."""

    name, room = "publishing", "documents"

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher

    def state(self) -> Hashable:
        """See Panel."""
        run = self.publisher.last
        return self.publisher.basis(), (run.kind, run.started, run.running) if run else ()

    def render(self, words: Words) -> str:
        """See Panel."""
        run = self.publisher.last
        return render(
            "publishing.html",
            words=words,
            run=run,
            changes=changes(run.report) if run and run.report else {},
            differences={c.id: c for c in run.differences} if run else {},
            stale=bool(run and run.kind == "preview" and run.basis != self.publisher.basis()),
            reviewed=self.publisher.reviewed(),
            listed=LISTED,
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        match detail:
            case {"act": "uploaded"}:
                self.publisher.start("preview", session.name)  # or when what runs has ended
                return Done()
            case {"act": "preview"}:
                return self._started(self.publisher.start("preview", session.name))
            case {"act": "publish"}:
                if not self.publisher.reviewed():
                    return Done(Notice("review_first"))
                return self._started(self.publisher.start("publish", session.name))
            case {"act": "allow", "name": str(name), "value": str(reason)}:
                try:
                    self.publisher.allow(name, reason, session.name)
                except KnowledgeError as error:
                    return Done(Notice("not_allowed", str(error)))
                return Done(Notice("allowed", name))
        return None

    @staticmethod
    def _started(started: bool) -> Done:
        return Done() if started else Done(Notice("busy"))


class HistoryPanel:
    """The versions, going back, and who did what."""

    name, room = "history", "documents"

    def __init__(self, publisher: Publisher, audit: Conversations) -> None:
        self.publisher, self.trail = publisher, AuditTrail(audit)

    def state(self) -> Hashable:
        """See Panel."""
        run, entries = self.publisher.last, self._entries()
        busy = bool(run and run.running)
        return self.publisher.basis().version, busy, entries[0].id if entries else 0

    def render(self, words: Words) -> str:
        """See Panel."""
        run = self.publisher.last
        return render(
            "history.html",
            words=words,
            versions=self.publisher.history(),
            before=self.publisher.before(),
            entries=self._entries(),
            busy=bool(run and run.running),
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        if detail.get("act") != "undo":
            return None
        try:
            return Done(Notice("undone", self.publisher.undo(session.name)))
        except (KnowledgeError, OSError) as error:
            return Done(Notice("not_undone", str(error)))

    def _entries(self) -> list[AuditEntry]:
        return self.trail.newest(_OWN_ACTIONS, _AUDIT_SHOWN)
