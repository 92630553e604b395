"""A page of rooms: its panels, of which those of the open room are shown."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from assistant.roles import Role
from assistant.web.auth import Session, Sessions
from assistant.web.room.panel import Detail, Done, Notice, Panel, View
from assistant.web.staff_html import FOLDER, Words, render, staff_texts

_POLL_SECONDS = 2.0
# New values for the page's parts, by name; what is not in it stays as it is.
Screen = dict[str, Any]
_NEVER = object()  # a state that no panel has


@dataclass(frozen=True, slots=True)
class Shown:
    """How a browser shows a panel, and in which state it was."""

    view: View
    state: Hashable = _NEVER


Seen = Mapping[str, Shown]


class RoomPage:
    """The events of a page for one role, over its panels; `title` is the key of its heading, and
    `only` says which rooms are for another role."""

    def __init__(
        self,
        panels: Sequence[Panel],
        sessions: Sessions,
        role: Role,
        title: str,
        only: Mapping[str, Role] | None = None,
    ) -> None:
        self.panels = tuple(panels)
        self.sessions = sessions
        self.role = role
        self.title = title
        self.only = only or {}
        self.rooms = tuple(dict.fromkeys(p.room for p in panels))

    def open(self, room: object, request: gr.Request) -> Screen:
        """The whole page, when it is opened or loaded again."""
        session = self._session(request)
        self.sessions.note(session)
        words = staff_texts(session.language)
        bar = render("bar.html", words=words, session=session, title=words[self.title])
        return {"bar": bar} | self._room(self._known(room, session), session, words)

    def poll(self, room: object, seen: Seen | None, request: gr.Request) -> Screen:
        """What is new since; nothing, mostly."""
        session = self._session(request)
        words = staff_texts(session.language)
        return self._news(self._known(room, session), seen or {}, words)

    def act(
        self, event: gr.EventData, room: object, seen: Seen | None, request: gr.Request
    ) -> Screen:
        """What the person did; what names no known action only shows what is new."""
        session = self._session(request)
        self.sessions.note(session)
        room, words = self._known(room, session), staff_texts(session.language)
        detail: Detail = event._data if isinstance(event._data, dict) else {}
        if detail.get("act") == "room":
            return self._room(self._known(detail.get("name"), session), session, words)
        screen: Screen = {"notice": _notice(Notice(), words)}
        seen = dict(seen or {})
        for panel in self._shown(room):
            done = panel.act(detail, session)
            if done is not None:
                screen |= self._done(panel, done, words)
                if done.view:
                    seen[panel.name] = Shown(done.view)
                break
        return self._news(room, seen, words) | screen

    def _session(self, request: gr.Request) -> Session:
        """Who asks. The gate has let the request in, but a queue of events may outlive that."""
        session = self.sessions.read(dict(request.cookies))
        if session is None or session.must_change or not session.may(self.role):
            raise gr.Error("log in again", print_exception=False)
        return session

    def _open_to(self, session: Session) -> list[str]:
        """The rooms that somebody may see."""
        return [room for room in self.rooms if session.may(self.only.get(room, self.role))]

    def _known(self, room: object, session: Session) -> str:
        """A room; the browser keeps its name, so it is checked."""
        rooms = self._open_to(session)
        return room if isinstance(room, str) and room in rooms else rooms[0]

    def _shown(self, room: str) -> list[Panel]:
        return [p for p in self.panels if p.room == room]

    def _room(self, room: str, session: Session, words: Words) -> Screen:
        """A room with all its panels; those of the others are empty."""
        shown = {p.name: p.render(words) if p.room == room else "" for p in self.panels}
        rooms = self._open_to(session)
        nav = render("rooms.html", words=words, rooms=rooms, room=room) if len(rooms) > 1 else ""
        seen = {p.name: Shown(p.render, p.state()) for p in self._shown(room)}
        return shown | {"rooms": nav, "notice": _notice(Notice(), words)} | {
            "room": room, "seen": seen
        }  # fmt: skip

    def _news(self, room: str, seen: Seen, words: Words) -> Screen:
        """The panels that show something else than before. What a late answer has put there of
        another room goes again."""
        before = {p.name: seen.get(p.name, Shown(p.render)) for p in self._shown(room)}
        now = {p.name: Shown(before[p.name].view, p.state()) for p in self._shown(room)}
        new = {name: shown for name, shown in now.items() if shown.state != before[name].state}
        html = {name: shown.view(words) for name, shown in new.items()}
        late = dict.fromkeys(seen.keys() - now.keys(), "")
        return html | late | ({"seen": now} if new or late else {})

    def _done(self, panel: Panel, done: Done, words: Words) -> Screen:
        own = {} if done.html is None else {panel.name: done.html}
        return own | {"notice": _notice(done.notice, words)}


def _notice(notice: Notice, words: Words) -> str:
    return render("notice.html", words=words, notice=notice)


def build_room_page(page: RoomPage) -> gr.Blocks:
    """The page as Gradio blocks."""
    script = (FOLDER / "staff.js").read_text(encoding="utf-8")
    names = ["bar", "rooms", "notice", *(p.name for p in page.panels)]
    with gr.Blocks(title="Frontdesk", analytics_enabled=False) as blocks:
        parts: dict[str, Any] = {
            name: gr.HTML(elem_id=f"fd-{name}", js_on_load=script, apply_default_css=False)
            for name in names
        }
        key = f"frontdesk-room-{page.title}"
        parts["room"] = room = gr.BrowserState("", storage_key=key, secret=key)
        parts["seen"] = seen = gr.State(None)
        timer = gr.Timer(_POLL_SECONDS)
        outputs = list(parts.values())

        def placed(screen: Screen) -> dict[Any, Any]:
            # Gradio takes an empty dict for one value that is too few.
            return {parts[name]: value for name, value in screen.items()} or {seen: gr.skip()}

        def opened(room: object, request: gr.Request) -> dict[Any, Any]:
            return placed(page.open(room, request))

        def polled(room: object, seen: Seen | None, request: gr.Request) -> dict[Any, Any]:
            return placed(page.poll(room, seen, request))

        def acted(
            event: gr.EventData, room: object, seen: Seen | None, request: gr.Request
        ) -> dict[Any, Any]:
            return placed(page.act(event, room, seen, request))

        quiet: dict[str, Any] = {
            "show_progress": "hidden", "api_visibility": "private", "queue": False,
        }  # fmt: skip
        blocks.load(opened, room, outputs, **quiet)
        for name in names[1:]:
            parts[name].act(acted, [room, seen], outputs, trigger_mode="multiple", **quiet)
        timer.tick(polled, [room, seen], outputs, **quiet)
    return blocks
