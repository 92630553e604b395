"""Two processes serve one shop: real ones, over one database and one Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.engines import create, free_port
from benchmarks.engines import redis as redis_engine
from tests.engines import postgres, started

pytestmark = pytest.mark.timeout(120)
PAUSE = 0.7  # seconds before each of the three sentences of a reply


@dataclass
class Two:
    """Two processes; each request says which one it goes to."""

    ports: tuple[int, int]
    processes: list[subprocess.Popen[bytes]]

    def client(self, which: int) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.ports[which]}/api/v1", timeout=30)

    def kill(self, which: int) -> None:
        os.kill(self.processes[which].pid, signal.SIGKILL)
        self.processes[which].wait()


STORES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(params=STORES, scope="module")
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    yield from _two(request.param, tmp_path_factory.mktemp("two"))


@pytest.fixture(params=STORES)
def two_of_which_one_dies(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Two]:
    yield from _two(request.param, tmp_path)


def _two(store: str, home: Path) -> Iterator[Two]:
    with started(redis_engine, home) as redis:
        if store == "sqlite":
            yield from _started(home, redis.url, "")
            return
        with postgres() as server:
            yield from _started(home, redis.url, create(server, "shop"))


def _started(home: Path, redis: str, store: str) -> Iterator[Two]:
    ports = free_port(), free_port()
    (home / "staff.json").write_text(json.dumps({"secret": "s" * 43}))
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.served", "--home", str(home), "--port", str(port),
             "--store", store, "--redis", redis, "--pause", str(PAUSE)],
            stderr=subprocess.DEVNULL,
        )
        for port in ports
    ]  # fmt: skip
    try:
        for port in ports:
            _until_ready(port)
        yield Two(ports, processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _until_ready(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


@dataclass
class Talk:
    id: str
    headers: dict[str, str]

    def send(self, client: httpx.Client, message_id: str) -> httpx.Response:
        body = {"text": "Can I return it?", "message_id": message_id}
        return client.post(f"/conversations/{self.id}/messages", json=body, headers=self.headers)

    def messages(self, client: httpx.Client) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.get(
            f"/conversations/{self.id}", headers=self.headers
        ).json()["messages"]
        return found


def begin(client: httpx.Client) -> Talk:
    begun = client.post("/conversations", json={}).json()
    return Talk(begun["conversation_id"], {"authorization": f"Bearer {begun['token']}"})


def events(text: str) -> list[str]:
    return [
        line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")
    ]


def test_a_conversation_goes_on_in_whatever_process_its_requests_fall_to(two: Two) -> None:
    here, there = two.client(0), two.client(1)
    talk = begin(here)
    assert events(talk.send(there, "m1").text)[-1] == "reply"
    assert [m["role"] for m in talk.messages(here)] == ["customer", "assistant"]
    assert events(talk.send(here, "m1").text)[-1] == "reply", "what was answered is told again"
    assert len(talk.messages(there)) == 2


def test_of_one_conversation_two_processes_answer_one_message_at_a_time_and_both_can_stop_it(
    two: Two,
) -> None:
    here, there = two.client(0), two.client(1)
    talk = begin(here)
    said: list[str] = []
    turn = threading.Thread(target=lambda: said.append(talk.send(here, "m1").text))
    turn.start()
    time.sleep(PAUSE * 1.5)
    busy = talk.send(there, "m2")
    assert (busy.status_code, "retry-after" in busy.headers) == (409, True)
    assert there.post(f"/conversations/{talk.id}/stop", headers=talk.headers).json() == {
        "stopping": True
    }
    turn.join(20)
    assert events(said[0]).count("sentence") < 3, "it ended before its last sentence"
    assert there.post(f"/conversations/{talk.id}/stop", headers=talk.headers).json() == {
        "stopping": False
    }


def test_what_a_killed_process_was_answering_another_one_answers_once(
    two_of_which_one_dies: Two,
) -> None:
    two = two_of_which_one_dies
    here, there = two.client(0), two.client(1)
    talk = begin(here)

    def breaks_off() -> None:
        with pytest.raises(httpx.HTTPError):
            talk.send(here, "m1")

    turn = threading.Thread(target=breaks_off)
    turn.start()
    time.sleep(PAUSE * 1.5)
    two.kill(0)
    turn.join(20)
    killed = time.monotonic()
    while (again := talk.send(there, "m1")).status_code == 409:
        assert time.monotonic() - killed < 10
        time.sleep(0.3)
    assert events(again.text)[-1] == "reply"
    assert [(m["role"], m["message_id"]) for m in talk.messages(there)] == [
        ("customer", "m1"), ("assistant", "m1")
    ]  # fmt: skip


def test_who_waits_at_one_process_hears_at_once_what_happens_at_another(two: Two) -> None:
    here, there = two.client(0), two.client(1)
    talk = begin(here)
    delays = []
    with there.stream("GET", f"/conversations/{talk.id}/events", headers=talk.headers) as stream:
        states = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
        assert next(states)["state"] == "bot"
        for method, state in (("POST", "waiting"), ("DELETE", "bot")) * 4:
            time.sleep(0.1)
            began = time.monotonic()
            here.request(method, f"/conversations/{talk.id}/handoff", headers=talk.headers)
            assert next(states)["state"] == state
            delays.append(time.monotonic() - began)
    assert sorted(delays)[4] < 0.4, "looked for once a second it would take half of one"
