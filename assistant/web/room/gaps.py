"""The panel of what was asked in vain."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from assistant.gaps import Gap
from assistant.web.auth import Session
from assistant.web.room.curated import form_values
from assistant.web.room.panel import Detail, Done
from assistant.web.staff_html import Words, render

_LISTED = 50


class GapsPanel:
    """The gaps, once somebody has asked for them: finding them takes seconds."""

    name, room = "gaps", "answers"

    def __init__(self, find_gaps: Callable[[], Sequence[Gap]]) -> None:
        self._find = find_gaps
        self._found: Sequence[Gap] | None = None
        self._times = 0

    def state(self) -> Hashable:
        """See Panel."""
        return self._times

    def render(self, words: Words) -> str:
        """See Panel."""
        return render(
            "gaps.html", words=words, gaps=self._found, listed=_LISTED, **form_values(words)
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        if detail.get("act") != "gaps":
            return None
        self._found, self._times = self._find(), self._times + 1
        return Done()
