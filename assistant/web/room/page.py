"""A page of rooms: its panels, of which those of the open room are shown."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import gradio as gr

from assistant.web.auth import Role, Session, Sessions
from assistant.web.room.panel import Detail, Done, Notice, Panel
from assistant.web.staff_html import FOLDER, Words, render, staff_texts

_POLL_SECONDS = 2.0
# New values for the page's parts, by name; what is not in it stays as it is.
Screen = dict[str, Any]
Seen = Mapping[str, Hashable]


class RoomPage:
    """The events of a page for one role, over its panels; `title` is the key of its heading."""

    def __init__(self, panels: Sequence[Panel], sessions: Sessions, role: Role, title: str) -> None:
        self.panels = tuple(panels)
        self.sessions = sessions
        self.role = role
        self.title = title
        self.rooms = tuple(dict.fromkeys(p.room for p in panels))

    def open(self, room: object, request: gr.Request) -> Screen:
        """The whole page, when it is opened or loaded again."""
        session = self._session(request)
        words = staff_texts(session.language)
        bar = render("bar.html", words=words, session=session, title=words[self.title])
        return {"bar": bar} | self._room(self._known(room), words)

    def poll(self, room: object, seen: Seen | None, request: gr.Request) -> Screen:
        """What is new since; nothing, mostly."""
        words = staff_texts(self._session(request).language)
        return self._news(self._known(room), seen or {}, words)

    def act(
        self, event: gr.EventData, room: object, seen: Seen | None, request: gr.Request
    ) -> Screen:
        """What the person did; what names no known action only shows what is new."""
        session, room = self._session(request), self._known(room)
        words = staff_texts(session.language)
        detail: Detail = event._data if isinstance(event._data, dict) else {}
        if detail.get("act") == "room":
            return self._room(self._known(detail.get("name")), words)
        screen: Screen = {"notice": _notice(Notice(), words)}
        for panel in self._shown(room):
            done = panel.act(detail, session)
            if done is not None:
                screen |= self._done(panel, done, words)
                break
        return self._news(room, seen or {}, words) | screen

    def _session(self, request: gr.Request) -> Session:
        """Who asks. The gate has let the request in, but a queue of events may outlive that."""
        session = self.sessions.read(dict(request.cookies))
        if session is None or session.role != self.role:
            raise gr.Error("log in again", print_exception=False)
        return session

    def _known(self, room: object) -> str:
        """A room; the browser keeps its name, so it is checked."""
        return room if isinstance(room, str) and room in self.rooms else self.rooms[0]

    def _shown(self, room: str) -> list[Panel]:
        return [p for p in self.panels if p.room == room]

    def _room(self, room: str, words: Words) -> Screen:
        """A room with all its panels; those of the others are empty."""
        shown = {p.name: p.render(words) if p.room == room else "" for p in self.panels}
        several = len(self.rooms) > 1
        nav = render("rooms.html", words=words, rooms=self.rooms, room=room) if several else ""
        seen = {p.name: p.state() for p in self._shown(room)}
        return shown | {"rooms": nav, "notice": _notice(Notice(), words)} | {
            "room": room, "seen": seen
        }  # fmt: skip

    def _news(self, room: str, seen: Seen, words: Words) -> Screen:
        """The panels that show something else than before."""
        now = {p.name: p.state() for p in self._shown(room)}
        new = [p for p in self._shown(room) if p.name not in seen or seen[p.name] != now[p.name]]
        return {p.name: p.render(words) for p in new} | ({"seen": now} if new else {})

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
