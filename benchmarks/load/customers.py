"""Customers as locust's users: conversations over the API, with server-sent events.

Importing this patches the process for gevent, so nothing that tests import may import it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, TypeVar

import gevent.event
import orjson
from geventhttpclient.response import HTTPParseError
from locust import FastHttpUser, task
from locust.contrib.fasthttp import FastResponse
from locust.exception import StopUser

from assistant.web.api import BUSY
from benchmarks.load.plan import DELETED, LEFT, RATED, REOPENED, Plan, Step
from benchmarks.load.report import Measured
from benchmarks.talk import CrossedError, Ledger, LostError

_PATIENCE_SECONDS = 120.0  # an outage for which a customer sends a message again
_AGAIN_SECONDS = 0.5
_T = TypeVar("_T")
_FOR_NOW = (0, 429, 502, 503, 504)  # 0: no connection


class FailedError(Exception):
    """An attempt that failed; `for_now`: the same request may succeed later."""

    def __init__(self, why: str, for_now: bool) -> None:
        super().__init__(why)
        self.for_now = for_now


@dataclass
class Shift:
    """What the customers of one run share. A request goes to the next of the servers, whichever
    one the request before went to."""

    urls: Iterator[str]
    plan: Plan
    measured: Measured = field(default_factory=Measured)
    began: float = field(default_factory=time.monotonic)
    over: gevent.event.Event = field(default_factory=gevent.event.Event)

    @classmethod
    def over_servers(cls, urls: list[str], plan: Plan) -> Shift:
        """A shift whose requests take turns."""
        return cls(cycle(urls), plan)


class Customer(FastHttpUser):
    """One visit after another until the shift is over; `shift` is given by a subclass."""

    abstract = True
    shift: Shift
    network_timeout = connection_timeout = _PATIENCE_SECONDS

    @task
    def visit(self) -> None:
        """A conversation: its messages, what is done between them, and the comparison of what was
        said with the history at its end."""
        if self.shift.over.is_set():
            raise StopUser
        plan, measured = self.shift.plan, self.shift.measured
        self.ledger, language = Ledger(), plan.language()
        try:
            self._begin(language)
            for step in plan.steps(language):
                if self.shift.over.is_set():
                    break
                self._turn(step)
                self._think()
            if plan.happens(REOPENED):
                self._read()
            self._read()
            measured.counts["conversations checked"] += 1
            if plan.happens(DELETED):
                self._ask("delete", "DELETE")
        except FailedError as error:
            measured.errors[str(error)] += 1
            self._think()
        except LostError as error:
            measured.missed(error)

    def _begin(self, language: str) -> None:
        self.path, self.headers = "/api/v1/conversations", {}
        begun = self._ask("open", "POST", json={"language": language})
        self.path += f"/{begun['conversation_id']}"
        self.headers = {"authorization": f"Bearer {begun['token']}"}

    def _turn(self, step: Step) -> None:
        """Say something, and do with the reply what people do."""
        plan, measured = self.shift.plan, self.shift.measured
        measured.arrivals.append(time.monotonic() - self.shift.began)
        leaves = plan.happens(LEFT)
        reply = self._say(step, leaves)
        if leaves:
            measured.counts["left in the midst of a reply"] += 1
            self._think()
            self._read()
            reply = self._say(step, again=True)
        if reply is None:
            return
        if step.number and step.number not in reply["reply"]:
            raise CrossedError(f"asked after {step.number}, told: {reply['reply'][:80]!r}")
        if plan.happens(RATED):
            verdict = {"message": reply["message"], "helpful": plan.happens(0.7)}
            self._ask("rating", "POST", "/rating", json=verdict)
        if reply["outcome"] == "handoff":
            self._wait_for_a_person()

    def _say(self, step: Step, leaves: bool = False, again: bool = False) -> dict[str, Any] | None:
        """Send a message until it is answered; the reply, or None for who left before."""
        if again:
            key = list(self.ledger.acknowledged)[-1]
            text = self.ledger.acknowledged[key]
        else:
            key, text = self.ledger.message_id(), step.text
            if step.kind in ("question", "products", "follow_up"):
                text = f"{text}\n\n{step.closing}\n{self.ledger.canary}"
        # A message sent again is answered from the store: another kind of time.
        seen = Times("again" if again else step.kind, self.shift.measured)
        return self._patiently(lambda: self._stream(key, text, seen, leaves))

    def _stream(self, key: str, text: str, seen: Times, leaves: bool) -> dict[str, Any] | None:
        """One attempt. Raises FailedError, LostError."""
        body = {"text": text, "message_id": key}
        with self._open("message", "POST", "/messages", json=body) as response:
            self.ledger.acknowledged[key] = text
            for name, data in _events(response):
                seen.hear(name)
                if leaves and name != "reply":
                    return None
                self.ledger.look(data.decode())
                if name == "reply":
                    reply: dict[str, Any] = orjson.loads(data)
                    self.ledger.answered[key] = reply["reply"]
                    seen.end(reply)
                    return reply
                if name == "error":
                    raise FailedError(f"message: {data.decode()[:80]}", for_now=True)
                if name == "state":
                    return None
        raise FailedError("message: the stream broke off", for_now=True)

    def _wait_for_a_person(self) -> None:
        """Listen for one as long as it takes to think; none is at work here, so the assistant is
        asked after all."""
        with self._open("events", "GET", "/events") as response:
            next(_events(response), None)
            self._think()
        self._ask("withdraw", "DELETE", "/handoff")
        self.shift.measured.counts["waited for a person"] += 1

    def _read(self) -> None:
        """Read the history, and compare it with what was said."""
        self.ledger.compare(self._ask("history", "GET")["messages"])

    def _think(self) -> None:
        self.shift.over.wait(self.shift.plan.thinking())

    def _ask(self, name: str, method: str, path: str = "", **options: Any) -> Any:
        """A request with a whole answer. Raises FailedError, CrossedError."""

        def attempt() -> bytes:
            with self._open(name, method, path, stream=False, **options) as response:
                return response.content or b""

        content = self._patiently(attempt)
        self.ledger.look(content.decode())
        return orjson.loads(content) if content else None

    @contextmanager
    def _open(
        self, name: str, method: str, path: str, stream: bool = True, **options: Any
    ) -> Iterator[FastResponse]:
        """The answer of the next server. Raises FailedError."""
        url = f"{next(self.shift.urls)}{self.path}{path}"
        response = self.client.request(
            method, url, name=name, stream=stream, headers=self.headers, **options
        )
        status = response.status_code
        if not 200 <= status < 300:
            why = f"{status} {(response.text or '')[:80]}" if status else "no connection"
            busy = status == 409 and BUSY in (response.text or "")
            raise FailedError(f"{name}: {why}", status in _FOR_NOW or busy)
        try:
            yield response
        except (OSError, HTTPParseError) as error:
            raise FailedError(f"{name}: the answer broke off", for_now=True) from error
        finally:
            response._response.release()  # what was not read to its end is closed

    def _patiently(self, attempt: Callable[[], _T]) -> _T:
        """Try again what fails for now. Raises FailedError."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return attempt()
            except FailedError as error:
                if not error.for_now or time.monotonic() > until:
                    raise
                self.shift.measured.tried_again[str(error)] += 1
            gevent.sleep(_AGAIN_SECONDS)


class Times:
    """The times of a message, from when it was first sent."""

    def __init__(self, kind: str, measured: Measured) -> None:
        self.kind = kind
        self.points = measured.times[kind]
        self.measured = measured
        self.began = time.perf_counter()
        self._heard: set[str] = set()

    def hear(self, event: str) -> None:
        """The first event is the sign of life; then the first sentence counts, and the reply."""
        points = {"sentence": "first_sentence", "reply": "reply"}
        for point in ("sign_of_life", points.get(event, "")):
            if point and point not in self._heard:
                self._heard.add(point)
                self.points[point].append(1000 * (time.perf_counter() - self.began))

    def end(self, reply: Mapping[str, Any]) -> None:
        """Take in what the reply tells of its stages and outcome."""
        self.measured.outcomes[reply["outcome"]] += 1
        for stage, ms in reply["latency_ms"].items():
            self.measured.stages[self.kind][stage].append(ms)


def _events(response: FastResponse) -> Iterator[tuple[str, bytes]]:
    """(name, data) of server-sent events, as soon as each has come."""
    name = ""
    while line := response._response.readline(b"\n"):
        if line.startswith(b"event: "):
            name = line[7:].strip().decode()
        elif line.startswith(b"data: "):
            yield name, line[6:].strip()
