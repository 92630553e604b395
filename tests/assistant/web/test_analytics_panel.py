"""The panel of how the conversations went, its plots, and the download."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient

import assistant.web.room.analytics as module
from assistant.conversations import Conversations
from assistant.drift import Alert, Change
from assistant.shares import Share
from assistant.web.auth import Session
from assistant.web.room.analytics import AnalyticsPanel
from assistant.web.room.charts import line, stacked
from assistant.web.staff_html import FOLDER, staff_languages, staff_texts
from tests.chronicle import DAY, NOW, VERSION, Talk
from tests.staffing import log_in, staff_settings

WORDS = staff_texts("en")
MINA = Session("s", "operator", "Mina", "en", 0.0)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


@pytest.fixture
def panel(store: Conversations, tmp_path: Path, clock: Clock) -> AnalyticsPanel:
    return AnalyticsPanel(store, staff_settings(tmp_path), clock)


def tiles(html: str) -> dict[str, str]:
    """What the tiles say, by their labels."""
    html = html.split('id="sd-analytics-how"')[0]
    found = re.findall(r"<dt>([^<]+)</dt><dd>([^<]*)", html)
    return {label: value.strip() for label, value in found}


def test_without_conversations_it_says_what_will_be_here(panel: AnalyticsPanel) -> None:
    html = panel.render(WORDS)
    assert WORDS["analytics_empty"] in html
    assert "<svg" not in html
    assert 'data-days="90"' in html


def test_the_tiles_keep_hard_and_soft_apart(panel: AnalyticsPanel, store: Conversations) -> None:
    Talk(store, NOW - 2 * DAY).customer().reply(helpful=True)
    for _ in range(2):
        Talk(store, NOW - 2 * DAY).customer().reply()
    Talk(store, NOW - 60).customer().reply()
    shown = tiles(panel.render(WORDS))
    assert (shown["conversations"], shown["confirmed"]) == ("4", "1")
    assert (shown["answered, then silent"], shown["not known yet"]) == ("2", "1")
    assert shown["to the first sentence"] == "120 ms"


def test_the_days_chosen_are_those_shown_and_odd_ones_change_nothing(
    panel: AnalyticsPanel, store: Conversations
) -> None:
    Talk(store, NOW - 20 * DAY).customer().reply()
    assert tiles(panel.render(WORDS))["conversations"] == "1"
    before = panel.state()
    assert panel.act({"act": "analytics_days", "days": "7"}, MINA) is not None
    assert panel.state() != before
    assert WORDS["analytics_empty"] in panel.render(WORDS)
    for odd in ("8", "-1", None, [], {"x": 1}):
        panel.act({"act": "analytics_days", "days": odd}, MINA)
        assert panel.days == 7
    assert panel.act({"act": "publish"}, MINA) is None


def test_what_was_read_is_kept_for_half_a_minute_and_until_something_changes(
    panel: AnalyticsPanel, store: Conversations, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[float] = []
    read = module.read_episodes

    def counting(store: Conversations, since: float, now: float) -> object:
        reads.append(now)
        return read(store, since, now)

    monkeypatch.setattr(module, "read_episodes", counting)
    panel.render(WORDS)
    seen = panel.state()
    Talk(store, NOW - 2 * DAY).customer().reply()
    assert panel.state() == seen
    assert tiles(panel.render(WORDS)) == {}
    clock.now += 31
    assert panel.state() != seen
    assert tiles(panel.render(WORDS))["conversations"] == "1"
    assert len(reads) == 2
    seen = panel.state()
    clock.now += 31
    panel.render(staff_texts("zh"))
    assert (panel.state(), len(reads)) == (seen, 2), "nothing has changed"


@pytest.mark.parametrize("change", ["rate", "delete", "hour"])
def test_ratings_erasures_and_time_are_changes(
    panel: AnalyticsPanel, store: Conversations, clock: Clock, change: str
) -> None:
    talk = Talk(store, NOW - 60).customer().reply(helpful=True)
    Talk(store, NOW - 60).customer().reply()
    panel.render(WORDS)
    seen = panel.state()
    clock.now += 31
    if change == "rate":
        store.rate(talk.id, store.messages(talk.id)[1].id, False)
    elif change == "delete":
        store.delete(talk.id)
    else:
        clock.now += 3600
    assert panel.state() != seen


def test_plots_are_drawings_with_words_and_a_table(
    panel: AnalyticsPanel, store: Conversations
) -> None:
    Talk(store, NOW - 2 * DAY).customer().reply(helpful=False)
    html = panel.render(WORDS)
    drawings = re.findall(r"<svg.*?</svg>", html, re.S)
    assert len(drawings) == 3
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        title, desc = root.find("title"), root.find("desc")
        assert title is not None
        assert desc is not None
        assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {desc.attrib['id']}"
        assert "table below" in (desc.text or "")
        assert "#" not in drawing.replace("aria", ""), "colours are the style sheet's"
    assert '<th scope="row">2026-09-19</th>' in html
    assert html.count('<th scope="row">2026-') == 30


def test_bars_and_lines_are_to_scale() -> None:
    (bar, empty) = stacked([[1, 0, 3], [0, 0, 0]], 4)
    assert [(p.series, p.y, p.height) for p in bar] == [(0, 75, 25), (2, 0, 75)]
    assert empty == []
    assert line([0.0, 0.5, None, 1.0], 1.0) == "M0.5 100.0L0.5 100.0L1.5 50.0M3.5 0.0L3.5 0.0"


def test_versions_stand_side_by_side_with_intervals(
    panel: AnalyticsPanel, store: Conversations
) -> None:
    for n in range(4):
        Talk(store, NOW - 3 * DAY).customer().reply(version=("v-new", VERSION)[n % 2])
    html = panel.render(WORDS)
    low, high = Share(0, 2).interval or (0, 0)
    assert f"{100 * low:.1f}–{100 * high:.1f} %" in html
    assert html.index("v-new") < html.index(VERSION)


def test_an_alert_stands_first_and_leads_to_what_changed(
    panel: AnalyticsPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = (
        Change(NOW - DAY, "Mina", "publish", "20260919"),
        Change(NOW - DAY, "<b>Otto", "promote_adapter", "<i>polite"),
    )
    alert = Alert("down", NOW - DAY, NOW - 60, Share(50, 500), Share(60, 200), changes)
    monkeypatch.setattr(module, "find_drift", lambda *asked: [alert])
    html = panel.render(WORDS)
    assert "More thumbs down." in html
    assert "30.0 % of 200 conversations, before 10.0 % of 500: 20.0 points more" in html
    assert 'data-act="room" data-name="documents"' in html
    assert 'data-act="room" data-name="learning"' in html
    assert html.index("More thumbs down") < html.index("sd-periods")
    assert "&lt;b&gt;Otto" in html
    assert "<i>polite" not in html


def test_what_customers_wrote_is_escaped(panel: AnalyticsPanel, store: Conversations) -> None:
    attack = "<img src=x onerror=alert(1)>"
    Talk(store, NOW - DAY).customer().reply(
        helpful=False, complaint=attack, intent=attack, language="<u>", version=attack
    )
    Talk(store, NOW - DAY).customer().reply(1, "handoff", attack)
    for code in staff_languages():
        html = panel.render(staff_texts(code))
        assert "&lt;img src=x" in html
        assert "<img" not in html
        assert "<u>" not in html


def test_all_words_are_there_in_each_language() -> None:
    keys = [
        [line.split(":")[0] for line in path.read_text().splitlines() if not line.startswith("#")]
        for path in sorted((FOLDER / "staff_texts").glob("*/analytics.yaml"))
    ]
    assert len(keys) == len(staff_languages())
    assert all(those == keys[0] for those in keys)
    assert all(k.startswith(("analytics", "room_analytics")) for k in keys[0])


# The download.

CSV = "/operator/analytics.csv"


def test_the_download_is_behind_the_gate(client: TestClient) -> None:
    assert client.get(CSV).status_code == 401
    log_in(client, "agent")
    assert client.get(CSV).status_code == 403


def test_an_operator_downloads_the_figures(client: TestClient) -> None:
    log_in(client, "operator")
    answer = client.get(CSV, params={"days": 7})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="analytics-7-days.csv"'
    assert answer.headers["cache-control"] == "no-store"
    (names,) = csv.reader(io.StringIO(answer.text))
    assert names[:3] == ["day", "version", "conversations"]
    for odd in ("0", "91", "x"):
        assert client.get(CSV, params={"days": odd}).status_code == 422
