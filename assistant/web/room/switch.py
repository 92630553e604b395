"""Panel of the switch that stops the language model."""

from __future__ import annotations

from collections.abc import Hashable

from assistant.audit import AuditQuery, AuditTrail
from assistant.conversations import Conversations
from assistant.errors import StoreError
from assistant.settings import Settings
from assistant.switch import ModelSwitch
from assistant.web.auth import Session
from assistant.web.room.panel import Detail, Done, Notice
from assistant.web.staff_html import Words, render

_ACTIONS = AuditQuery(whats=("pause_model", "resume_model"))
_ENTRIES_SHOWN = 5


class SwitchPanel:
    """Whether the model writes, and a button for the other."""

    name, room = "switch", "learning"

    def __init__(self, settings: Settings, audit: Conversations) -> None:
        self.has_model = bool(settings.model.base)
        self.switch = ModelSwitch(settings.home)
        self.audit = audit

    def state(self) -> Hashable:
        """See Panel."""
        return self.switch.pause()

    def render(self, words: Words) -> str:
        """See Panel."""
        return render(
            "switch.html",
            words=words,
            has_model=self.has_model,
            pause=self.switch.pause(),
            entries=AuditTrail(self.audit).newest(_ACTIONS)[:_ENTRIES_SHOWN],
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        match detail:
            case {"act": "switch_pause"}:
                return self._turn(session, off=True)
            case {"act": "switch_resume"}:
                return self._turn(session, off=False)
        return None

    def _turn(self, session: Session, *, off: bool) -> Done:
        try:
            changed = self.switch.turn_off(session.name) if off else self.switch.turn_on()
        except StoreError as error:
            return Done(Notice("switch_failed", str(error)))
        if changed:
            self.audit.log(session.name, "pause_model" if off else "resume_model")
        return Done(Notice("switch_off" if off else "switch_on"))
