"""Alerts of worse quality: seldom false, soon when it is real, and each told once."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from assistant import tables
from assistant.conversations import Conversations
from assistant.drift import (
    ANSWERED_FIRST,
    MEASURES,
    WATCHED_DAYS,
    Alert,
    DriftWatch,
    Observed,
    alerts_of,
    find_drift,
)
from assistant.episodes import Episode, Replied
from tests.chronicle import DAY, NOW, VERSION, Talk
from tests.staffing import staff_settings

MIDNIGHTS = [DAY * n for n in range(WATCHED_DAYS, 2 * WATCHED_DAYS)]
A_DAY = 25  # conversations
NEEDED = len(MEASURES) * WATCHED_DAYS / 0.05
LATER = "20260915-080000-000000"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


def stream(rng: random.Random, good: float, then: float, since: int) -> list[Observed]:
    """Eight weeks of conversations, whose share of good ones changes with a day."""
    days = 2 * WATCHED_DAYS
    return [
        Observed(DAY * n / A_DAY, rng.random() > (good if n < A_DAY * since else then))
        for n in range(A_DAY * days)
    ]


def test_where_nothing_changes_alarms_stay_within_the_bound() -> None:
    rng, runs = random.Random(7), 200
    needed = WATCHED_DAYS / 0.05  # one rate alone has the whole 5%
    alarms = sum(
        bool(list(alerts_of("down", stream(rng, 0.8, 0.8, 0), MIDNIGHTS, needed)))
        for _ in range(runs)
    )
    assert alarms <= 0.05 * runs


def test_a_fall_from_90_to_70_percent_is_found_within_300_conversations() -> None:
    rng, runs, fell = random.Random(7), 60, 40
    late = 0
    for _ in range(runs):
        found = list(alerts_of("down", stream(rng, 0.9, 0.7, fell), MIDNIGHTS, NEEDED))
        after = A_DAY * (found[0].found / DAY - fell) if found else float("inf")
        late += after > 300
    assert late <= 0.05 * runs


def test_an_alert_says_since_when_and_by_how_much() -> None:
    observed = stream(random.Random(1), 0.9, 0.6, 40)
    (alert,) = alerts_of("down", observed, MIDNIGHTS, NEEDED)
    assert abs(alert.since / DAY - 40) <= 2
    assert alert.before.of == 500
    rise, low, high = alert.rise
    assert 0 < low < rise < high < 0.5


def test_what_lasts_is_one_alert_and_a_further_fall_another() -> None:
    rng = random.Random(3)
    observed = [
        Observed(DAY * n / A_DAY, rng.random() > (0.95 if day < 32 else 0.75 if day < 44 else 0.4))
        for n in range(A_DAY * 56)
        for day in (n // A_DAY,)
    ]
    first, second = alerts_of("down", observed, MIDNIGHTS, NEEDED)
    assert abs(first.since / DAY - 32) <= 2
    assert abs(second.since / DAY - 44) <= 2
    assert first.after.of < A_DAY * 14, "the first one ends where the second begins"


def test_what_gets_better_raises_no_alarm() -> None:
    observed = stream(random.Random(5), 0.6, 0.95, 40)
    assert list(alerts_of("down", observed, MIDNIGHTS, NEEDED)) == []


def test_too_little_is_no_ground_for_an_alarm() -> None:
    observed = [Observed(DAY * n, n > 40) for n in range(20, 56, 6)]
    assert list(alerts_of("down", observed, MIDNIGHTS, NEEDED)) == []
    assert list(alerts_of("down", [], MIDNIGHTS, NEEDED)) == []


def conversation(at: float, bad: bool, version: str, **changes: object) -> Episode:
    values: dict[str, object] = {
        "outcome": "handoff" if bad else "answer", "reason": "retrieval:unsupported" if bad else "",
        "language": "en", "intent": "returns", "version": version, "sentences": 0 if bad else 2,
        "dropped": 2 * bad, "first_ms": None, "whole_ms": 9.0, "helpful": not bad, "complaint": "",
    }  # fmt: skip
    reply = Replied(**(values | changes))  # type: ignore[arg-type]
    reason = reply.reason if reply.outcome == "handoff" else ""
    fate = "person" if reason else "soft"
    return Episode(str(at), at, at + 60, (reply,), fate, True, version, reason, None, False)  # type: ignore[arg-type]


def months(fell: int, **changes: object) -> list[Episode]:
    """Fifty days, in which everything is worse since `fell` days ago."""
    rng = random.Random(2)
    return [
        conversation(NOW - ago, rng.random() < (0.4 if ago < fell * DAY else 0.05),
                     LATER if ago < fell * DAY else VERSION, **changes)
        for ago in (DAY * n / A_DAY for n in range(50 * A_DAY, 0, -1))
    ]  # fmt: skip


def drift(store: Conversations, episodes: list[Episode]) -> dict[str, Alert]:
    return {a.measure: a for a in find_drift(store, episodes, NOW, 0.05, "UTC")}


def test_all_four_rates_are_watched(store: Conversations) -> None:
    assert drift(store, months(10)).keys() == MEASURES.keys()
    assert drift(store, months(10, dropped=0, helpful=None)).keys() == {"handed_off", "unanswered"}
    assert drift(store, months(0)) == {}


def test_an_alert_names_what_changed_about_then(store: Conversations) -> None:
    for days, what, detail in (
        (30, "publish", "long before"), (10.6, "promote_adapter", "polite-1"),
        (10.5, "take_over", "c1"), (2, "undo", "after"),
    ):  # fmt: skip
        entry = {"who": "Mina", "what": what, "detail": detail, "created": NOW - days * DAY}
        with store.engine.begin() as connection:
            connection.execute(insert(tables.audit).values(**entry))
    alert = drift(store, months(10))["handed_off"]
    assert [(c.what, c.detail) for c in alert.changes] == [
        ("promote_adapter", "polite-1"), (ANSWERED_FIRST, LATER),
    ]  # fmt: skip


def test_a_version_in_the_audit_log_is_told_once(store: Conversations) -> None:
    entry = {"who": "Mina", "what": "publish", "detail": LATER, "created": NOW - 10.1 * DAY}
    with store.engine.begin() as connection:
        connection.execute(insert(tables.audit).values(**entry))
    alert = drift(store, months(10))["handed_off"]
    assert [(c.who, c.what) for c in alert.changes] == [("Mina", "publish")]


def test_each_alert_is_one_warning_also_after_a_restart(
    store: Conversations, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(2)
    for ago in (DAY * n / 8 for n in range(15 * 8, 0, -1)):
        bad = rng.random() < (0.9 if ago < 5 * DAY else 0.05)
        talk = Talk(store, NOW - ago).customer()
        talk.reply(1, *(("refuse", "intent:out_of_scope") if bad else ("answer", "")))
    settings = staff_settings(tmp_path)
    with caplog.at_level(logging.WARNING, "assistant.drift"):
        assert [a.measure for a in DriftWatch(store, settings).look(NOW)] == ["unanswered"]
        assert DriftWatch(store, settings).look(NOW + 3600) == []
    (line,) = caplog.messages
    assert "more unanswered questions since" in line
    assert "95% interval" in line
    assert [e["what"] for e in store.audit()] == ["alert"]
