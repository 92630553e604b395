"""What figures, traces and logs cost a turn: with them and without, one after the other.

    python -m benchmarks.observed [--home HOME] [--rounds 5] [--questions 200]

One process asks the golden questions through one chat service and store, each with everything on
and with everything off, in an order that is drawn anew each time. On: figures, a trace to a
collector that is a real HTTP server in another process, two log lines a turn as JSON, and the
figures read every fifteen seconds as Prometheus does. A question's times are medians over the
rounds; the ratio is the geometric mean over questions of on to off, with a bootstrap interval. Exit
status 1 where the interval's upper end exceeds the bar.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import numpy as np

from assistant.announcements import request_id
from assistant.build import build_assistant, build_service
from assistant.logs import JsonFormatter
from assistant.service import ChatService
from assistant.settings import load_settings
from assistant.web.observing import Observation
from assistant.web.turns import Turns
from benchmarks.asking import read_jsonl
from benchmarks.latency import DEMO
from benchmarks.serving import make_home
from knowledge.masked_logs import mask_logs

BAR = 0.03
_SCRAPE_SECONDS = 15.0
log = logging.getLogger("benchmark")


def collect(told: Connection) -> None:
    """A collector that takes what it is sent; tells its port first."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    told.send(server.server_port)
    server.serve_forever()


@contextmanager
def collector() -> Iterator[str]:
    """The URL of a collector in a process of its own."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=collect, args=(there,))
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/v1/traces"
    finally:
        process.terminate()
        process.join()


class Switch:
    """Turns everything that observes on and off."""

    def __init__(self, service: ChatService, observation: Observation, logs: Path) -> None:
        self.service = service
        self.observation = observation
        self.handler = logging.FileHandler(logs, encoding="utf-8")
        self.handler.setFormatter(JsonFormatter())
        self._scraped = time.monotonic()

    def seconds(self, text: str, observed: bool) -> float:
        """Ask a question in a conversation of its own; how long that takes."""
        conversation = self.service.start("en").id
        if observed:
            self.observation.start()
            log.addHandler(self.handler)
        began = time.perf_counter()
        if observed:
            self._request(conversation, text)
        else:
            self.service.send(conversation, text)
        took = time.perf_counter() - began
        if observed:
            log.removeHandler(self.handler)
            self.service.observers.clear()
            logging.getLogger().handlers.clear()
        return took

    def _request(self, conversation: str, text: str) -> None:
        """As the server does it: an id, a count, log lines, and now and then a scrape."""
        token = request_id.set("0123456789abcdef")
        began = time.perf_counter()
        log.info("a message came in")
        self.service.send(conversation, text)
        log.info("a message was answered")
        took = time.perf_counter() - began
        self.observation.metrics.observe_request("/api/v1/conversations", "POST", 200, took)
        request_id.reset(token)
        if time.monotonic() - self._scraped > _SCRAPE_SECONDS:
            self._scraped = time.monotonic()
            self.observation.vitals.look()
            self.observation.metrics.exposition()


def measure(switch: Switch, questions: list[str], rounds: int) -> np.ndarray:
    """Seconds as (questions, off and on), medians over the rounds."""
    draw = random.Random(1)
    took: dict[tuple[str, bool], list[float]] = {}
    for number in range(rounds + 1):  # the first one warms everything
        for text in questions:
            for observed in draw.sample((False, True), 2):
                seconds = switch.seconds(text, observed)
                if number:
                    took.setdefault((text, observed), []).append(seconds)
        print(f"\rround {number} of {rounds}", end="", file=sys.stderr)
    return np.array([[median(took[text, on]) for on in (False, True)] for text in questions])


def interval(logs: np.ndarray) -> tuple[float, float, float]:
    """(mean, lower, upper) of a sample: 95% bootstrap percentiles."""
    draw = np.random.default_rng(1)
    means = draw.choice(logs, (5000, len(logs))).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(logs.mean()), float(low), float(high)


def main() -> None:
    """Print the ratio of a turn with everything on to one with everything off."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--questions", type=int, default=200)
    arguments = parser.parse_args()
    mask_logs()
    log.setLevel(logging.INFO)
    log.propagate = False
    with tempfile.TemporaryDirectory() as folder, collector() as url:
        home = arguments.home or Path(folder) / "home"
        make_home(home)
        settings = load_settings(home=home, observability={"traces": True, "traces_url": url})
        service = build_service(settings, build_assistant(settings))
        observation = Observation(settings, service, Turns(service))
        switch = Switch(service, observation, Path(folder, "log"))
        golden = [q["text"] for q in read_jsonl(DEMO / "golden.jsonl")]
        times = measure(switch, golden[: arguments.questions], arguments.rounds)
        observation.close()
        service.conversations.close()
    mean, low, high = (np.expm1(v) for v in interval(np.log(times[:, 1] / times[:, 0])))
    off, on = 1000 * np.median(times, axis=0)
    print(f"\nturn p50 off {off:.2f} ms  on {on:.2f} ms  questions {len(times)}")
    print(f"overhead {mean:+.2%}  95% {low:+.2%} to {high:+.2%}  bar {BAR:.0%}")
    sys.exit(int(high > BAR))


if __name__ == "__main__":
    main()
