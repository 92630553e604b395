"""What the load test is made of, and, on real servers without models, the whole of it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load.events import Doer, Event, read_events
from benchmarks.load.plan import KINDS, MIX, Plan
from benchmarks.load.report import Measured, percentiles, told
from benchmarks.serving import ROOT, Server
from benchmarks.talk import CANARY, CrossedError, Ledger, LostError

ORDERS = [(f"mw-{n:07}", f"c{n}@customer.example") for n in range(50)]


# The ledger.


def spoken() -> tuple[Ledger, list[dict[str, Any]]]:
    """A conversation of two messages, and its history."""
    ledger, history = Ledger(), []
    for text in ("a question", "another one"):
        key = ledger.message_id()
        ledger.acknowledged[key], ledger.answered[key] = text, f"reply to {text}"
        history.append({"message_id": key, "role": "customer", "text": text})
        history.append({"message_id": key, "role": "assistant", "text": f"reply to {text}"})
    return ledger, history


def test_a_history_that_holds_everything_once_and_in_order_passes() -> None:
    ledger, history = spoken()
    assert ledger.compare(history) == 2
    ledger.answered.popitem()
    assert ledger.compare(history) == 2, "a reply that nobody saw the end of may be there"


@pytest.mark.parametrize(
    "broken", ["missing", "twice", "order", "words", "reply missing", "reply twice"]
)
def test_a_history_that_is_not_whole_is_lost(broken: str) -> None:
    ledger, history = spoken()
    match broken:
        case "missing":
            del history[0]
        case "twice":
            history.insert(1, history[0])
        case "order":
            history[0], history[2] = history[2], history[0]
        case "words":
            history[0] = history[0] | {"text": "another question"}
        case "reply missing":
            del history[1]
        case "reply twice":
            history.append(history[1])
    with pytest.raises(LostError):
        ledger.compare(history)


def test_words_of_another_conversation_are_crossed() -> None:
    ledger, history = spoken()
    other, theirs = spoken()
    with pytest.raises(CrossedError):
        ledger.compare([*history, theirs[0]])
    with pytest.raises(CrossedError):
        ledger.compare(
            [history[0], history[1] | {"text": "a reply to somebody else"}, *history[2:]]
        )
    with pytest.raises(CrossedError):
        ledger.look(f"Dear {other.canary}")
    ledger.look(f"Dear {ledger.canary}")
    assert CANARY.fullmatch(ledger.canary)


# The plan.


def test_what_customers_do_follows_the_stated_mix() -> None:
    plan = Plan(ORDERS, seed=1, think=12.0)
    steps = [step for _ in range(2000) for step in plan.steps(plan.language())]
    kinds = Counter(step.kind for step in steps)
    assert set(kinds) == set(KINDS)
    share = kinds["order"] / 2 / (len(steps) - kinds["order"] / 2)
    assert share == pytest.approx(MIX["order"], abs=0.02)
    languages = Counter(plan.language() for _ in range(3000))
    assert languages["en"] / 3000 == pytest.approx(2 / 3, abs=0.03)


def test_a_conversation_never_begins_with_a_follow_up_and_an_order_takes_two_messages() -> None:
    plan = Plan(ORDERS, seed=2, think=12.0)
    for _ in range(300):
        steps = list(plan.steps("zh"))
        assert steps[0].kind != "follow_up"
        for one, after in zip(steps, steps[1:], strict=False):
            if one.kind == "order" and not one.number:
                assert after.number in one.text
                assert "@" in after.text


def test_no_two_of_fifty_customers_ask_after_the_same_order() -> None:
    plan = Plan(ORDERS, seed=3, think=12.0)
    asked: list[str] = []
    while len(asked) < len(ORDERS):
        asked += [step.number for step in plan.steps("en") if step.number]
    assert len(set(asked[: len(ORDERS)])) == len(ORDERS)


def test_a_home_without_orders_has_questions_in_their_place() -> None:
    plan = Plan([], seed=4, think=12.0)
    assert all(step.kind != "order" for _ in range(100) for step in plan.steps("en"))


def test_thinking_takes_as_long_as_is_stated() -> None:
    plan = Plan([], seed=5, think=12.0)
    drawn = [plan.thinking() for _ in range(5000)]
    assert statistics.median(drawn) == pytest.approx(12.0, rel=0.05)
    assert statistics.mean(drawn) == pytest.approx(16.5, rel=0.06)
    assert max(drawn) <= 120.0


# The report.


def test_a_report_tells_times_by_kind_and_what_went_wrong() -> None:
    measured = Measured()
    measured.times["question"]["reply"] += [float(ms) for ms in range(1, 101)]
    measured.times["question"]["sign_of_life"].append(5.0)
    measured.errors["message: 500"] += 1
    measured.missed(LostError("gone"))
    measured.missed(CrossedError("swapped"))
    report: dict[str, Any] = {
        "customers": 3,
        "seconds": 50.0,
        "cpu_seconds": {"client": 1.0},
        "events": [],
    }
    report |= measured.as_json()
    assert report["kinds"]["question"]["reply"] == {"n": 100, "p50": 50.5, "p95": 95.0, "p99": 99.0}
    table = told(json.loads(json.dumps(report)))
    assert "50 / 95 / 99" in table
    assert "2.00 a second" in table
    assert "lost 1, crossed 1" in table
    assert "errors: 1 x message: 500" in table


def test_percentiles_of_nothing_are_left_out() -> None:
    assert percentiles({"reply": []}) == {}


# Events.


def test_the_events_that_are_shipped_can_be_read() -> None:
    events = read_events(ROOT / "benchmarks/load/events.yaml")
    assert [event.at for event in events] == sorted(event.at for event in events)
    for event in events:
        subprocess.run(["bash", "-n", "-c", event.run], check=True)


@pytest.mark.parametrize("text", ["at: 3", "[{at: 3, run: x}]", "[{at: soon, name: a, run: x}]"])
def test_a_file_that_holds_no_events_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "events.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"events|at, name|could not convert"):
        read_events(path)


def test_an_event_knows_the_server_and_its_failure_is_reported() -> None:
    doer = Doer({"SERVER_PORT": "7"})
    doer.do(Event(0, "good", 'test "$SERVER_PORT" = 7 && test -x "$PYTHON"'))
    doer.do(Event(0, "bad", "exit 3"))
    assert [one["result"] for one in doer.done] == ["done", "failed with 3"]
    assert doer.failures == 1


def test_what_an_event_has_started_ends_with_the_run(tmp_path: Path) -> None:
    doer, told = Doer(), tmp_path / "pid"
    doer.do(Event(0, "a server", f"sleep 60 & echo $! > {told}"))
    process = Path(f"/proc/{told.read_text().strip()}")
    assert process.exists()
    doer.close()
    deadline = time.monotonic() + 5
    while process.exists() and " Z " not in (process / "stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# The whole.


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """Two processes over one store."""
    started = [Server(tmp_path, ("-m", "tests.served")) for _ in range(2)]
    for server in started:
        server.start()
        server.wait()
    yield started
    for server in started:
        server.kill()


def run_load(*arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.load", "--json", "--spread=0.2", "--think=0.2"]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, env=os.environ, capture_output=True, text=True
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
def test_nothing_is_lost_or_crossed_over_two_processes_of_which_one_is_killed(
    servers: list[Server], tmp_path: Path
) -> None:
    assert servers[0].process
    events = tmp_path / "events.yaml"
    again = (
        f'kill -9 {servers[0].process.pid}; sleep 1; exec "$PYTHON" -m tests.served '
        f"--home {tmp_path} --port {servers[0].port}"
    )
    events.write_text(json.dumps([{"at": 3, "name": "kill", "run": again}]))
    urls = [f"--url={server.url}" for server in servers]
    code, report = run_load(*urls, "--customers=12", "--minutes=0.15", f"--events={events}")
    assert code == 0, report
    assert report["turns"] > 50
    assert report["lost"] == report["crossed"] == []
    assert report["tried_again"], "the kill was noticed"
    assert report["counts"]["left in the midst of a reply"] > 0
    assert report["events"][0]["result"] == "still running"
    assert set(report["kinds"]) >= {"question", "small_talk", "products"}


@pytest.mark.slow
def test_a_server_that_mixes_up_replies_is_found_out(tmp_path: Path) -> None:
    server = Server(tmp_path, ("-m", "tests.benchmarks.confused"))
    server.start()
    server.wait()
    try:
        code, report = run_load(f"--url={server.url}", "--customers=4", "--minutes=0.06")
    finally:
        server.kill()
    assert code == 1
    assert report["crossed"]
