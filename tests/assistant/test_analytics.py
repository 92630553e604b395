"""The figures of a period, their intervals, and how they are exported."""

from __future__ import annotations

import csv
import io
import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from scipy.stats import binomtest
from sqlalchemy import event, insert
from typer.testing import CliRunner

import assistant.commands as command
from assistant import tables
from assistant.analytics import Analytics, analyse, by_day_and_version, period
from assistant.analytics_export import as_csv, as_json, as_lines
from assistant.conversations import Conversations
from assistant.episodes import read_episodes
from assistant.shares import Share, difference
from tests.chronicle import DAY, NOW, VERSION, Talk

LATER = "20260915-080000-000000"
TODAY = datetime.fromtimestamp(NOW, UTC).date()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


def figures(store: Conversations, days: int = 7) -> Analytics:
    return analyse(read_episodes(store, NOW - 30 * DAY, NOW), days, NOW)


def test_hard_and_soft_resolution_are_reported_apart(store: Conversations) -> None:
    Talk(store, NOW - 3 * DAY).customer().reply(helpful=True)
    for _ in range(2):
        Talk(store, NOW - 3 * DAY).customer().reply()
    Talk(store, NOW - 3 * DAY).customer().reply(1, "handoff", "customer:asked")
    Talk(store, NOW - 60).customer().reply(helpful=True)
    total = figures(store).total
    assert (total.hard, total.soft, total.person) == (2, 2, 1)
    assert total.rates["hard"] == Share(1, 4), "only those that had their day of silence"
    assert total.rates["soft"] == Share(2, 4)
    assert total.rates["handed_off"] == Share(1, 5)


def test_questions_are_counted_by_what_became_of_them(store: Conversations) -> None:
    talk = Talk(store, NOW - 2 * DAY).customer().reply(reason="small_talk:greeting")
    talk.customer(2).reply(3).customer(4).reply(5, "clarify", "retrieval:unsure")
    talk.customer(6).reply(7, "refuse", "customer:stopped")
    talk.customer(8).reply(9, "handoff", "retrieval:unsupported", dropped=1)
    total = figures(store).total
    assert (total.questions, total.answered, total.asked_back, total.to_person) == (3, 1, 1, 1)
    assert (total.unanswered, total.refused) == (1, 0), "who pressed Stop was not refused"
    assert total.rates["dropped"] == Share(1, 3)


def test_times_are_percentiles_and_refusals_have_no_first_sentence(store: Conversations) -> None:
    for n in range(1, 21):
        Talk(store, NOW - 2 * DAY).customer().reply(first=10.0 * n, whole=20.0 * n)
    Talk(store, NOW - 2 * DAY).customer().reply(1, "refuse", "intent:out_of_scope", whole=5.0)
    Talk(store, NOW - 2 * DAY).customer().reply(1, "handoff", "customer:asked").agent(121)
    total = figures(store).total
    assert (total.first.n, total.first.p50, total.first.p95) == (20, 105.0, 190.5)
    assert (total.whole.n, total.waited.p50) == (22, 120.0)


def test_days_are_those_of_the_shops_time_zone_and_empty_ones_are_there(
    store: Conversations,
) -> None:
    Talk(store, NOW - DAY + 5 * 3600).customer().reply()  # 17:00 UTC: the next day in Shanghai
    episodes = read_episodes(store, NOW - 9 * DAY, NOW)
    for zone, back in (("UTC", 1), ("Asia/Shanghai", 0)):
        by_day = analyse(episodes, 3, NOW, zone).by_day
        assert [f.conversations for _, f in by_day] == [int(n == back) for n in (2, 1, 0)]


def test_a_period_begins_at_midnight_also_when_the_clocks_change() -> None:
    noon = datetime(2026, 3, 30, 10, tzinfo=UTC).timestamp()
    days, since = period(3, noon, "Europe/Berlin")
    assert days == [date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 30)]
    assert datetime.fromtimestamp(since, UTC) == datetime(2026, 3, 27, 23, tzinfo=UTC)


def test_a_conversation_counts_for_its_last_version_and_a_reply_for_its_own(
    store: Conversations,
) -> None:
    Talk(store, NOW - 2 * DAY).customer().reply().customer(2).reply(3, version=LATER)
    by_version = dict(figures(store).by_version)
    assert list(by_version) == [LATER, VERSION], "the newest first"
    assert by_version[LATER].conversations == 1
    assert by_version[VERSION].conversations == 0
    assert [by_version[v].questions for v in (LATER, VERSION)] == [1, 1]
    (row, other) = by_day_and_version(read_episodes(store, 0.0, NOW), 7, NOW)
    assert (row[1], row[2].soft, other[1], other[2].questions) == (LATER, 1, VERSION, 1)


def test_intents_languages_reasons_and_complaints_are_ranked(store: Conversations) -> None:
    for n in range(3):
        Talk(store, NOW - 2 * DAY - n).customer().reply(intent="refund", language="zh")
    talk = Talk(store, NOW - 2 * DAY).customer()
    talk.reply(intent="delivery", helpful=False, complaint="Ask kim@shop.example instead")
    talk.customer(5).reply(6, "handoff", "customer:asked", intent="human_agent")
    found = figures(store)
    assert next((n, f.questions) for n, f in found.intents) == ("refund", 3)
    assert [n for n, _ in found.languages] == ["zh", "en"]
    assert found.handoffs == (("customer:asked", 1),)
    assert found.complaints == (("Ask [EMAIL_1] instead", 1),), "personal data is masked"
    assert (found.total.up, found.total.down) == (0, 1)


@pytest.mark.parametrize(("hits", "of"), [(0, 5), (3, 10), (500, 1000), (7, 7)])
def test_intervals_are_wilsons(hits: int, of: int) -> None:
    expected = binomtest(hits, of).proportion_ci(0.95, "wilson")
    assert Share(hits, of).interval == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_the_difference_of_shares_has_newcombes_interval() -> None:
    # Newcombe (1998), table II, example (a): 56/70 and 48/80.
    found = difference(Share(48, 80), Share(56, 70))
    assert found == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert difference(Share(0, 0), Share(1, 2)) is None
    assert Share(0, 0).rate is Share(0, 0).interval is None


def test_the_csv_has_a_row_a_day_and_version(store: Conversations) -> None:
    Talk(store, NOW - 2 * DAY).customer().reply()
    Talk(store, NOW - DAY).customer().reply(version=LATER)
    text = as_csv(by_day_and_version(read_episodes(store, 0.0, NOW), 7, NOW))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [r["version"] for r in rows] == [LATER, VERSION]
    assert (rows[0]["conversations"], rows[0]["first_sentence_ms_p50"]) == ("1", "120.0")
    assert rows[0]["waited_seconds_p50"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_takes_no_cell_for_a_formula(store: Conversations, start: str) -> None:
    Talk(store, NOW - DAY).customer().reply(version=f"{start}cmd|' /C calc'!A0")
    text = as_csv(by_day_and_version(read_episodes(store, 0.0, NOW), 7, NOW))
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["version"].startswith(f"'{start}")


def test_nothing_at_all_is_figures_too(store: Conversations) -> None:
    found = figures(store)
    assert found.total.conversations == 0
    assert found.by_version == ()
    assert json.loads(json.dumps(as_json(found, [])))["total"]["rates"]["hard"]["rate"] is None
    assert next(as_lines(found, [])).startswith("0 conversations since")


@pytest.mark.parametrize("options", [[], ["--json"], ["--csv"]])
def test_the_command_tells_the_figures(
    store: Conversations, tmp_path: Path, options: list[str]
) -> None:
    Talk(store, time.time() - 2 * DAY).customer().reply(helpful=True)
    words = ["analytics", "--home", str(tmp_path), "--days", "7", *options]
    result = CliRunner().invoke(command.app, words)
    assert result.exit_code == 0, result.output
    if options == ["--json"]:
        found = json.loads(result.stdout)
        assert (found["total"]["hard"], len(found["by_day"]), found["alerts"]) == (1, 7, [])
    elif options == ["--csv"]:
        assert len(list(csv.reader(io.StringIO(result.stdout)))) == 2
    else:
        assert "1 confirmed, 0 answered and silent" in result.stdout


def test_only_rows_of_the_period_are_read_and_in_few_queries(store: Conversations) -> None:
    rng = random.Random(0)
    old = [
        {"conversation_id": "gone", "message_id": str(n), "role": "assistant", "text": "",
         "reply": "{broken", "created": NOW - 200 * DAY}
        for n in range(50)
    ]  # fmt: skip
    with store.engine.begin() as connection:
        connection.execute(insert(tables.messages), old)
    for _ in range(40):
        Talk(store, NOW - DAY * rng.uniform(1, 6)).customer().reply()
    asked: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    assert len(read_episodes(store, NOW - 7 * DAY, NOW)) == 40
    assert len([q for q in asked if q.startswith("SELECT")]) <= 4
