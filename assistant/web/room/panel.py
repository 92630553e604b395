"""What the operators' page is made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from assistant.web.auth import Session
from assistant.web.staff_html import Words

Detail = Mapping[str, Any]
View = Callable[[Words], str]  # a panel as HTML


@dataclass(frozen=True, slots=True)
class Notice:
    """What the page says about an action: `notice_KEY` of the text files, about `name`."""

    key: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an action: what is said of it, and the panel as this operator alone sees it now,
    where that differs from what `render` shows to all. A `view` stays instead: until the room is
    opened anew, the browser gets it whenever the panel's state changes."""

    notice: Notice = Notice()
    html: str | None = None
    view: View | None = None


class Panel(Protocol):
    """A section of the page, in one of its rooms."""

    name: str  # of its part in the page, `fd-NAME`
    room: str

    def state(self) -> Hashable:
        """What it shows depends on; a poll that finds the same as before sends nothing."""
        ...

    def render(self, words: Words) -> str:
        """The section as HTML, as it is now."""
        ...

    def act(self, detail: Detail, session: Session) -> Done | None:
        """What an operator did; None when that is another panel's business."""
        ...
