"""A real server that is told to stop while somebody waits for a reply."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.serving import Server

pytestmark = pytest.mark.slow
Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def started(*options: str) -> Server:
        server = Server(tmp_path, ("-m", "tests.served", *options))
        servers.append(server)
        server.start()
        server.wait()
        return server

    yield started
    for server in servers:
        server.kill()


class Customer:
    """Asks in a thread; `began` is set with the first event, `events` are those that came."""

    def __init__(self, server: Server) -> None:
        self.client = httpx.Client(base_url=server.url, timeout=60)
        opened = self.client.post("/api/v1/conversations", json={}).json()
        self.path = f"/api/v1/conversations/{opened['conversation_id']}/messages"
        self.headers = {"authorization": f"Bearer {opened['token']}"}
        self.began, self.events = threading.Event(), list[str]()
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self) -> None:
        body = {"text": "Can I return it?", "message_id": "m1"}
        stream = self.client.stream("POST", self.path, json=body, headers=self.headers)
        try:
            with stream as answer:
                for line in answer.iter_lines():
                    self.began.set()
                    if line.startswith("event: "):
                        self.events.append(line.removeprefix("event: "))
        except httpx.HTTPError:
            self.events.append("cut off")


def told_to_stop(server: Server) -> float:
    assert server.process
    server.process.send_signal(signal.SIGTERM)
    return time.monotonic()


def test_the_turn_ends_while_load_balancers_see_that_it_is_not_ready(start: Start) -> None:
    server = start("--pause", "0.7")
    customer = Customer(server)
    assert customer.began.wait(20)
    told = told_to_stop(server)
    time.sleep(0.3)
    assert httpx.get(f"{server.url}/health/ready").status_code == 503
    assert customer.thread.is_alive()
    customer.thread.join(20)
    assert customer.events[-1] == "reply"
    assert server.process
    assert server.process.wait(10) == -signal.SIGTERM
    assert time.monotonic() - told < 10
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/health/ready")


def test_without_turns_it_ends_when_load_balancers_have_noticed(start: Start) -> None:
    server = start()
    told = told_to_stop(server)
    assert server.process
    server.process.wait(10)
    assert 0.4 < time.monotonic() - told < 5


def test_a_turn_that_takes_too_long_does_not_hold_it_up_and_is_answered_later(
    start: Start,
) -> None:
    server = start("--pause", "25", "--most", "1")
    customer = Customer(server)
    assert customer.began.wait(20)
    told = told_to_stop(server)
    assert server.process
    server.process.wait(20)
    assert time.monotonic() - told < 12, "a second, then what connections are given"
    customer.thread.join(5)
    assert "reply" not in customer.events
    again = start()
    body = {"text": "Can I return it?", "message_id": "m1"}
    url = f"{again.url}{customer.path}"
    answer = httpx.post(url, json=body, headers=customer.headers, timeout=30)
    reply = answer.text.rpartition("data: ")[2]
    assert json.loads(reply)["outcome"] == "answer"


def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    server = start("--pause", "25", "--most", "60")
    customer = Customer(server)
    assert customer.began.wait(20)
    told_to_stop(server)
    time.sleep(0.5)
    told = told_to_stop(server)
    assert server.process
    server.process.wait(20)
    assert time.monotonic() - told < 10
