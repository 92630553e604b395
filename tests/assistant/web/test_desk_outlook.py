"""The outlook on the agents' page: seen by agents, and without any effect."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from assistant import tables
from assistant.conversations import Conversation, Conversations
from assistant.episodes import read_episodes
from assistant.outlook_figures import figures_by_band
from assistant.propensity import BANDS, Outlook, Reason
from assistant.service import ChatService, public_view
from assistant.web.auth import Sessions
from assistant.web.desk import Desk, Screen, Seen
from assistant.web.room.analytics import AnalyticsPanel
from assistant.web.staff_html import staff_languages, staff_texts
from knowledge.propensity.model import Band
from tests.chronicle import DAY, NOW, Talk
from tests.staffing import chat_service, cookies, log_in, staff_app, staff_settings

REASON = Reason("recency", -0.8, (("recency", 200.0), ("orders_30", 0.0), ("warmth_30", 0.0)))
Look = Callable[[Conversation], Outlook | None]


def always(band: Band, probability: float = 0.5) -> Look:
    return lambda talk: Outlook(probability, band, (REASON,)) if talk.customer_id else None


class Agent:
    """An agent in front of the page."""

    def __init__(self, desk: Desk, language: str = "en") -> None:
        self.desk = desk
        self.request: Any = SimpleNamespace(cookies=cookies(desk.sessions, "Ada", language))
        self.seen: Seen | None = None

    def queue(self, opened: str = "") -> str:
        return str(self.desk.open(opened, self.request).queue)

    def act(self, opened: str, **detail: object) -> Screen:
        event: Any = SimpleNamespace(_data=detail)
        return self.desk.act(event, opened, self.seen, self.request)


def waiting(service: ChatService, customer: str | None, since: float) -> str:
    """A conversation that waits since a time."""
    talk = service.start("en", customer)
    service.send(talk.id, "My plate is broken")
    with service.conversations.engine.begin() as connection:
        for table, column in ((tables.conversations, tables.conversations.c.id),
                              (tables.messages, tables.messages.c.conversation_id)):  # fmt: skip
            moved = {"created": since}
            if table is tables.conversations:
                moved["updated"] = since
            connection.execute(update(table).where(column == talk.id).values(**moved))
    return talk.id


def without_outlook(html: str) -> str:
    """The page as it is but for the tag and its reasons, and the ids that turns have in logs."""
    html = re.sub(r"\b[0-9a-f]{32}\b", "", html)
    html = re.sub(r'<span class="sd-outlook.*?</span>', "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html)


def desk_day(home: Path, look: Look | None) -> tuple[Any, ...]:
    """A day at the desk, with everything that customers and agents get to see or to wait for."""
    service = chat_service(staff_settings(home))
    try:
        sessions = Sessions(service.conversations, hours=1.0, idle_minutes=60.0)
        agent = Agent(Desk(service, sessions, look) if look else Desk(service, sessions))
        began = float(int(time.time()))
        names = ["c1", None, "c2", "c3", None]
        talks = [waiting(service, name, began - 60 * n) for n, name in enumerate(names)]
        place = {talk: n for n, talk in enumerate(talks)}
        answered = service.start("en", "c4")
        service.send(answered.id, "Can I return it?")

        def shown(html: str) -> str:
            for talk, n in [*place.items(), (answered.id, 99)]:
                html = html.replace(talk, f"talk-{n}")
            return without_outlook(html)

        rows = agent.desk._rows()
        order = [(place.get(r.id, 99), r.state, r.since if r.id in place else 0.0) for r in rows]
        pages = [shown(agent.queue()), shown(agent.queue(talks[2]))]
        taken = agent.act(talks[3], act="take", id=talks[3])
        said = agent.act(talks[3], act="reply", id=talks[3], value="I am sorry.")
        texts = [
            [(m.role, m.text, _lasting(m.reply)) for m in service.conversations.messages(talk)]
            for talk in [*talks, answered.id]
        ]
        states = [service.conversations.get(talk).state for talk in talks]  # type: ignore[union-attr]
        seconds = r'data-(since|at)="\d+"|<time.*?</time>'
        told = [re.sub(seconds, "", shown(str(s.thread))) for s in (taken, said)]
        return order, [re.sub(seconds, "", p) for p in pages], texts, states, told
    finally:
        service.conversations.close()


def _lasting(reply: dict[str, Any] | None) -> Any:
    return {k: v for k, v in public_view(reply).items() if k != "latency_ms"} if reply else None


def test_order_waiting_time_outcomes_and_replies_are_equal_whatever_the_band(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    plain = desk_day(tmp_path / "none", None)
    assert [n for n, state, _ in plain[0] if state == "waiting"] == [4, 3, 2, 1, 0]
    for band in BANDS:
        assert desk_day(tmp_path / band, always(band)) == plain, band


def test_no_stage_of_a_turn_and_no_page_of_customers_knows_of_outlooks() -> None:
    """Only these may: whatever decides what a customer gets is not among them."""
    root = Path(__file__).parents[3] / "assistant"
    allowed = {
        "propensity.py", "propensity_settings.py", "outlooks.py", "outlook_figures.py",
        "outlook_building.py", "web/outlook_words.py", "web/desk.py", "web/desk_view.py",
        "web/staff.py", "web/staff_html.py", "web/room/analytics.py", "analytics_export.py",
        "commands.py", "settings.py", "backup.py", "doctor/contents.py",
    }  # fmt: skip
    knowing = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"outlook|propensity", path.read_text("utf-8"), re.IGNORECASE)
    }
    assert knowing - allowed == {"customer_history.py"}, "which only reads the past"
    commands = (root / "commands.py").read_text("utf-8")
    assert commands.count("outlook_figures") == 2, "imported, and used by the analytics"


@pytest.mark.parametrize("language", staff_languages())
def test_agents_see_the_band_and_in_the_open_row_its_reasons(
    service: ChatService, sessions: Sessions, language: str
) -> None:
    talk = waiting(service, "c1", time.time() - 60)
    agent, words = (
        Agent(Desk(service, sessions, always("leaving", 0.07)), language),
        staff_texts(language),
    )
    tag = words["outlook_leaving"].format(percent="7")
    assert tag in agent.queue()
    assert words["outlook_note"] not in agent.queue()
    html = agent.queue(talk)
    assert tag in html
    assert words["outlook_recency"].format(recency="200", orders_30="0") in html
    assert words["outlook_note"] in html


def test_customers_see_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = staff_settings(tmp_path)
    service = chat_service(settings)
    monkeypatch.setattr("assistant.web.staff.build_outlooks", lambda *_: SimpleNamespace(
        peek=always("leaving", 0.07), worked_out=0))  # fmt: skip
    client = TestClient(staff_app(settings, service, monkeypatch))
    talk = service.start("en", "c1")
    said = service.send(talk.id, "Can I return it?")
    assert said is not None
    assert "leaving" not in str(said.reply)
    assert log_in(client, "agent") == 303
    service.conversations.close()


def test_the_analytics_show_the_bands_side_by_side(tmp_path: Path, service: ChatService) -> None:
    store = service.conversations
    for name, helpful in (("c1", True), ("c1", True), ("c2", False)):
        talk = Talk(store, NOW - 2 * DAY).customer().reply(helpful=helpful)
        identify(store, talk.id, name)

    def look(talk: Conversation) -> Outlook | None:
        return Outlook(0.8, "likely" if talk.customer_id == "c1" else "leaving", ())

    panel = AnalyticsPanel(store, staff_settings(tmp_path), lambda: NOW, look=look)
    html = re.sub(r"<[^>]+>", " ", panel.render(staff_texts("en")).split("By the outlook", 1)[1])
    assert re.search(r"likely to buy again\s+1\s+2\s+100\.0 %", html)
    assert re.search(r"unlikely to buy soon\s+1\s+1\s+0\.0 %", html)
    plain = AnalyticsPanel(store, staff_settings(tmp_path), lambda: NOW)
    assert "By the outlook" not in plain.render(staff_texts("en"))
    figures = figures_by_band(read_episodes(store, NOW - 7 * DAY, NOW), store, look)
    assert [f.customers for f in figures] == [1, 0, 1]


def identify(store: Conversations, talk: str, name: str) -> None:
    columns = tables.conversations
    change = update(columns).where(columns.c.id == talk).values(customer_id=name)
    with store.engine.begin() as connection:
        connection.execute(change)
