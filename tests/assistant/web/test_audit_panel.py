"""The operators' page of the audit log, and the download."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import insert

from assistant import tables
from assistant.audit import PAGE, AuditQuery, AuditTrail
from assistant.conversations import Conversations
from assistant.web.auth import Session
from assistant.web.room import audit as module
from assistant.web.room.audit import DOWNLOAD, AuditFindPanel, AuditPanel, Filter, audit_routes
from assistant.web.room.page import RoomPage, Screen
from assistant.web.staff_html import FOLDER, staff_languages, staff_texts
from tests.staffing import log_in

ZONE = "Asia/Tokyo"
ATTACK = "<img src=x onerror=alert(1)>\"'${1}{{7*7}}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


def write(store: Conversations, *details: str, at: float = 0.0, **entry: str) -> None:
    rows = [
        {"who": "Mina", "what": "upload", "detail": detail, "created": at + n, **entry}
        for n, detail in enumerate(details)
    ]
    with store.engine.begin() as connection:
        connection.execute(insert(tables.audit), rows)


class LoggedIn:
    """Sessions of which one is open, whoever asks."""

    def __init__(self, language: str) -> None:
        self.session = Session("s", "operator", "Mina", language, 0.0)

    def read(self, cookies: object) -> Session:
        return self.session

    def note(self, session: Session) -> None:
        """Nothing is kept of it."""


class Operator:
    """An operator in the room of the audit log."""

    def __init__(self, store: Conversations, language: str = "en") -> None:
        trail = AuditTrail(store)
        panels = [AuditFindPanel(trail, ZONE), AuditPanel(trail, ZONE)]
        self.page = RoomPage(panels, LoggedIn(language), "operator", "operator_title")  # type: ignore[arg-type]
        self.request: Any = SimpleNamespace(cookies={})
        self.shown: Screen = {}
        self._keep(self.page.open("audit", self.request))

    def act(self, **detail: object) -> Screen:
        """What an action changes on the screen."""
        event: Any = SimpleNamespace(_data=detail)
        return self._keep(self.page.act(event, "audit", self.shown["seen"], self.request))

    def find(self, **fields: str) -> str:
        """The list after the form was sent."""
        return self.act(act="audit_find", **fields)["audit"]

    def turn(self, side: str) -> str:
        """The list after a button below it was pressed, which sends what it carries."""
        (button,) = re.findall(rf'<button[^>]* id="sd-log-{side}"[^>]*>', self.shown["audit"])
        carried = {k: html.unescape(v) for k, v in re.findall(r'data-(\w+)="([^"]*)"', button)}
        assert f'id="{carried.pop("focus")}"' in self.shown["audit"], "where one reads on"
        return self.act(**carried)["audit"]

    def poll(self) -> Screen:
        return self._keep(self.page.poll("audit", self.shown["seen"], self.request))

    @property
    def entries(self) -> list[str]:
        """The details that are listed."""
        return details(self.shown["audit"])

    def _keep(self, screen: Screen) -> Screen:
        self.shown = self.shown | screen
        return screen


@pytest.fixture
def mina(store: Conversations) -> Operator:
    return Operator(store)


def details(listed: str) -> list[str]:
    return [
        html.unescape(d) for d in re.findall(r'<span dir="auto">(.*?)</span></p>', listed, re.S)
    ]


def found(listed: str) -> str:
    (count,) = re.findall(r'<p [^>]*role="status"[^>]*>[^<]*<b>([^<]*)</b>', listed)
    return count


# The list.


def test_a_log_without_entries_says_what_will_be_here(mina: Operator) -> None:
    assert staff_texts("en")["trail_empty"] in mina.shown["audit"]
    assert "<ol" not in mina.shown["audit"]
    assert DOWNLOAD not in mina.shown["audit"], "there is nothing to download"


def test_who_did_what_and_when_stands_there_in_words_the_newest_first(
    store: Conversations,
) -> None:
    write(store, "c-1", at=100.0, what="take_over", who="Ada")
    write(store, "20260919-1", at=200.0, what="publish")
    mina = Operator(store)
    assert mina.entries == ["20260919-1", "c-1"]
    assert '<strong dir="auto">Ada</strong> took over the conversation <span' in mina.shown["audit"]
    assert '<strong dir="auto">Mina</strong> published <span' in mina.shown["audit"]
    assert 'data-at="200"' in mina.shown["audit"], "the browser shows it in its own zone"
    assert found(mina.shown["audit"]) == "2"


def test_an_action_without_words_is_shown_as_it_is(store: Conversations) -> None:
    write(store, "x", what="odd_thing")
    mina = Operator(store)
    assert "odd_thing <span" in mina.shown["audit"]
    assert '<option value="odd_thing">odd_thing</option>' in mina.shown["audit_find"]


def test_new_entries_appear_by_themselves_and_leave_the_form_alone(
    mina: Operator, store: Conversations
) -> None:
    assert mina.poll() == {}, "no news"
    write(store, "a.md")
    screen = mina.poll()
    assert screen.keys() == {"audit", "seen"}
    assert mina.entries == ["a.md"]
    assert mina.poll() == {}


def test_a_filter_survives_the_polls_and_is_gone_when_it_is_cleared(
    mina: Operator, store: Conversations
) -> None:
    write(store, "a.md")
    write(store, "b.md", who="Otto")
    assert details(mina.find(who="Otto")) == ["b.md"]
    write(store, "c.md", "d.md")
    assert "audit" in mina.poll()
    assert mina.entries == ["b.md"]
    write(store, "e.md", who="Otto")
    mina.poll()
    assert mina.entries == ["e.md", "b.md"]
    assert 'type="reset" class="sd-button" data-act="room"' in mina.shown["audit_find"]
    mina.act(act="room", name="audit")
    assert len(mina.entries) == 5
    write(store, "f.md")
    mina.poll()
    assert len(mina.entries) == 6


def test_two_operators_do_not_see_each_others_filters(store: Conversations) -> None:
    write(store, "a.md")
    write(store, "b.md", who="Otto")
    mina = Operator(store)
    other = Operator(store)
    other.page = mina.page
    mina.find(who="Otto")
    write(store, "c.md")
    other.poll()
    mina.poll()
    assert (mina.entries, other.entries) == (["b.md"], ["c.md", "b.md", "a.md"])


@pytest.mark.parametrize(
    ("fields", "listed"),
    [
        ({"who": "Ada"}, ["c-1"]),
        ({"what": "delete"}, ["old.md"]),
        ({"words": " OLD "}, ["old.md"]),
        ({"since": "2026-09-19"}, ["c-1", "old.md"]),
        ({"until": "2026-09-18"}, ["new.md"]),
        ({"since": "2026-09-19", "until": "2026-09-19"}, ["old.md"]),
        ({"who": "Mina", "what": "upload", "since": "2026-09-19"}, []),
    ],
)
def test_filters_are_by_person_action_day_and_words(
    store: Conversations, fields: dict[str, str], listed: list[str]
) -> None:
    def at(day: int, hour: int) -> float:
        return datetime(2026, 9, day, hour, tzinfo=ZoneInfo(ZONE)).timestamp()

    write(store, "new.md", at=at(18, 23))
    write(store, "old.md", at=at(19, 0), what="delete")
    write(store, "c-1", at=at(20, 0), what="note", who="Ada")
    mina = Operator(store)
    html = mina.find(**fields)
    assert mina.entries == listed
    assert found(html) == str(len(listed))
    if not listed:
        assert staff_texts("en")["trail_no_match"] in html


@pytest.mark.parametrize(
    "fields",
    [
        {"since": "yesterday"},
        {"until": "2026-02-30"},
        {"since": "2026-02-02", "until": "2026-02-01"},
        {"until": "9999-12-31"},
    ],
)
def test_odd_days_are_told_and_leave_the_list_as_it_is(
    store: Conversations, fields: dict[str, str]
) -> None:
    write(store, "a.md")
    mina = Operator(store)
    screen = mina.act(act="audit_find", **fields)
    assert staff_texts("en")["notice_trail_days"] in screen["notice"]
    assert "audit" not in screen
    assert mina.entries == ["a.md"]


def test_pages_are_turned_within_a_filter_while_entries_are_added(store: Conversations) -> None:
    for n in range(PAGE + 5):
        write(store, f"{n}.md")
        write(store, f"{n}", who='O"t&to', what="note")
    mina = Operator(store)
    mina.find(who='O"t&to')
    assert mina.entries[0] == f"{PAGE + 4}"
    write(store, "late", who='O"t&to')
    listed = mina.turn("older")
    assert details(listed) == ["4", "3", "2", "1", "0"]
    assert 'id="sd-log-older" aria-disabled="true"' in listed
    write(store, "later", who='O"t&to')
    mina.poll()
    assert mina.entries == ["4", "3", "2", "1", "0"], "who reads on an older page stays there"
    assert found(mina.shown["audit"]) == str(PAGE + 7)
    assert details(mina.turn("newer"))[-1] == "5"
    listed = mina.turn("newer")
    assert details(listed)[:2] == ["later", "late"]
    assert 'id="sd-log-newer" aria-disabled="true"' in listed


def test_the_number_found_ends_somewhere(
    store: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.audit.MOST_COUNTED", 2)
    monkeypatch.setattr(module, "MOST_COUNTED", 2)
    write(store, "a", "b", "c")
    assert found(Operator(store).shown["audit"]) == "more than 2"


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"act": "audit_page"},
        {"act": "audit_find", "who": 3, "since": ["x"], "before": {}, "after": -1},
        {"act": "audit_find", "before": "1e3", "after": "٣"},
        {"act": "audit_find", "before": "9" * 30},
    ],
)
def test_odd_events_show_the_newest_page(store: Conversations, detail: dict[str, object]) -> None:
    write(store, "a.md")
    mina = Operator(store)
    mina.act(**detail)
    assert mina.entries == ["a.md"]


# Which replies rest on it.


def reply(store: Conversations, *evidence: str) -> str:
    talk = store.start().id
    body = {
        "outcome": "answer", "trace": {"version": "v1"},
        "citations": [{"evidence_id": e, "quote": "Top secret."} for e in evidence],
    }  # fmt: skip
    store.add(talk, "assistant", "Top secret.", reply=body)
    return talk


def test_replies_that_rest_on_it_are_counted_and_shown_without_their_words(
    store: Conversations,
) -> None:
    write(store, "v1", what="publish")
    write(store, "returns#1: an example", what="allow")
    write(store, "v0", what="undo")
    talks = [reply(store, "returns#1"), reply(store, "refunds#0")]
    listed = Operator(store).shown["audit"]
    undone, allowed, published = re.findall(r"<li><time.*?</div></li>", listed, re.S)
    assert "No reply has rested on it since." in undone
    assert re.search(r'rested on it since: <span class="sd-tag">1</span>', allowed)
    assert f"<code>{talks[0][:8]}…</code>" in allowed
    assert talks[1][:8] not in allowed
    assert re.search(r'rested on it since: <span class="sd-tag">2</span>', published)
    assert published.index(talks[1][:8]) < published.index(talks[0][:8]), "the latest first"
    assert 'data-at="' in published.split("<details")[1]
    assert "Top secret" not in listed


def test_more_replies_than_are_shown_are_hinted_at(
    store: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, "v1", what="publish")
    for _ in range(7):
        reply(store, "returns#1")
    listed = Operator(store).shown["audit"]
    assert '<span class="sd-tag">7</span>' in listed
    assert listed.count("<code>") == 5
    assert "and earlier ones" in listed
    monkeypatch.setattr("assistant.cited.MOST_COUNTED", 6)
    assert '<span class="sd-tag">more than 6</span>' in Operator(store).shown["audit"]


# Words.


def test_what_people_write_is_escaped_wherever_it_stands(store: Conversations) -> None:
    write(store, ATTACK, who=ATTACK, what=ATTACK)
    write(store, f"{ATTACK}#1: x", what="allow")
    reply(store, f"{ATTACK}#1")
    for code in staff_languages():
        mina = Operator(store, code)
        mina.find(who=ATTACK, what=ATTACK, words=ATTACK)
        page = "".join(v for v in mina.shown.values() if isinstance(v, str))
        assert page.count("&lt;img src=x") >= 5
        assert "<img" not in page
        assert 'onerror=alert(1)>"' not in page
        assert mina.entries == [ATTACK]


def test_the_page_speaks_chinese(store: Conversations) -> None:
    write(store, "20260919-1", what="publish")
    write(store, "c-1", what="take_over", who="李娜")
    mina = Operator(store, "zh")
    page = mina.shown["audit_find"] + mina.shown["audit"]
    for words in (
        "操作日志",
        "所有人",
        "起始日期",
        "接管了会话",
        "发布了",
        "下载 CSV",
        "此后没有回复",
    ):
        assert words in page
    for words in ("Anyone", "published", "Entries", "Show"):
        assert words not in page
    assert '<option value="take_over">接管了会话</option>' in page


def test_all_words_are_there_in_each_language() -> None:
    keys = [
        [line.split(":")[0] for line in path.read_text().splitlines() if not line.startswith("#")]
        for path in sorted((FOLDER / "staff_texts").glob("*/audit.yaml"))
    ]
    assert len(keys) == len(staff_languages())
    assert all(those == keys[0] for those in keys)
    assert all(k.startswith(("audit_", "trail", "room_audit", "notice_trail_")) for k in keys[0])


def test_every_field_has_a_label_and_every_part_a_name(store: Conversations) -> None:
    write(store, *map(str, range(PAGE + 1)))
    write(store, "v1", what="publish")
    mina = Operator(store)
    form = mina.shown["audit_find"]
    for field in re.finditer(r"<(?:input|select)\b", form):
        before = form[: field.start()]
        assert before.rfind("<label") > before.rfind("</label>")
    parts = re.findall(r"<(?:section|form|nav)\b[^>]*>", form + mina.shown["audit"])
    assert len(parts) == 4
    assert all("aria-label=" in part for part in parts)


# The download.


def downloaded(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.text)))


def before_the_route(store: Conversations, session: Session | None) -> TestClient:
    """The route without the gate."""
    app = FastAPI()
    app.include_router(audit_routes(AuditPanel(AuditTrail(store), ZONE)))

    @app.middleware("http")
    async def enter(request: Any, go_on: Any) -> Any:
        request.state.staff = session
        return await go_on(request)

    return TestClient(app)


@pytest.fixture
def direct(store: Conversations) -> TestClient:
    return before_the_route(store, LoggedIn("en").session)


def test_the_download_is_behind_the_gate(client: TestClient) -> None:
    assert client.get(DOWNLOAD).status_code == 401
    log_in(client, "agent")
    assert client.get(DOWNLOAD).status_code == 403


def test_should_the_gate_fail_the_route_lets_in_nobody_else(store: Conversations) -> None:
    agent = Session("s", "agent", "Ada", "en", 0.0)
    for session in (None, agent):
        assert before_the_route(store, session).get(DOWNLOAD).status_code == 401


def test_an_operator_downloads_the_log(client: TestClient) -> None:
    log_in(client, "operator")
    answer = client.get(DOWNLOAD)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="audit-log.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert downloaded(answer)[0] == ["id", "time", "who", "what", "detail"]


def test_the_link_downloads_what_is_filtered_all_of_it(
    store: Conversations, direct: TestClient
) -> None:
    write(store, *(f"{n}.md" for n in range(PAGE + 5)), who="Ótto & Co")
    write(store, "x")
    mina = Operator(store)
    mina.find(who="Ótto & Co")
    listed = mina.turn("older")
    (link,) = re.findall(r'<a [^>]*href="([^"]+)" download>', listed)
    link = html.unescape(link)
    assert parse_qs(urlsplit(link).query) == {"who": ["Ótto & Co"]}
    _, *rows = downloaded(direct.get(link))
    assert [r[4] for r in rows] == [f"{n}.md" for n in reversed(range(PAGE + 5))]
    assert rows[-1] == ["1", "1970-01-01T00:00:00+00:00", "Ótto & Co", "upload", "0.md"]


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_spreadsheet_finds_no_formula(
    store: Conversations, direct: TestClient, formula: str
) -> None:
    write(store, formula, who=formula, what=formula)
    _, (_, _, *cells) = csv.reader(io.StringIO(direct.get(DOWNLOAD).text, newline=""))
    assert cells == [f"'{formula}"] * 3


def test_odd_days_download_nothing(direct: TestClient) -> None:
    for odd in ({"since": "x"}, {"since": "2026-02-02", "until": "2026-02-01"}):
        assert direct.get(DOWNLOAD, params=odd).status_code == 422
    assert Filter.of({"who": " Ada ", "before": "3", "since": None}) == Filter(who="Ada")
    assert Filter(who="Ada", what="note").query(ZONE) == AuditQuery("Ada", ("note",))
