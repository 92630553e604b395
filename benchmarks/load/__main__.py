"""Customers on the HTTP API as they come on a busy day, and whether each gets their own replies.

    python -m benchmarks.load [--customers 20] [--minutes 2] [--spread 10] [--json]
    python -m benchmarks.load --url http://127.0.0.1:8001 --url http://127.0.0.1:8002 --home HOME
    python -m benchmarks.load --minutes 5 --events benchmarks/load/events.yaml

Without --url a server is started over a home with the demo shop. What customers do, and how long
they think, is stated in `benchmarks/load/plan.py`: questions and product searches in English and
Chinese, follow-ups, order look-ups, small talk, wishes for a person, ratings, leaving in the midst
of a reply and coming back, reading the history. Each request goes to the next of the servers.

Each conversation's words and message ids hold a marker that no other one has, each order is asked
after by one customer at a time, and a history has to hold every acknowledged message once, in
order, and every reply as it was told. Exits with 1 if something was lost or crossed, or given up.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gevent
import psutil
from locust.env import Environment

from benchmarks.load.customers import Customer, Shift
from benchmarks.load.events import Doer, Event, read_events
from benchmarks.load.plan import THINK_SECONDS, Plan
from benchmarks.load.report import Measured, told
from benchmarks.serving import Server, read_orders, served

_REQUESTS = ("open", "history", "rating", "withdraw", "delete")
_LAST_SECONDS = 180  # that a reply may take at the end of a run


def run(
    urls: list[str],
    plan: Plan,
    given: argparse.Namespace,
    doer: Doer,
    events: list[Event],
    server: psutil.Process | None,
) -> dict[str, Any]:
    """Let the customers come; the report. What began in the first `given.skip` seconds is not
    counted."""
    shift = Shift.over_servers(urls, plan)
    customer = type("Customer", (Customer,), {"shift": shift, "abstract": False})
    environment = Environment(user_classes=[customer], host=urls[0], stop_timeout=_LAST_SECONDS)

    @environment.events.request.add_listener
    def _(name: str, response_time: float, exception: Exception | None, **__: Any) -> None:
        if exception is None and name in _REQUESTS:
            shift.measured.requests[name].append(response_time)

    runner = environment.create_local_runner()
    runner.start(given.customers, spawn_rate=given.customers / max(given.spread, 1e-3))
    doing = [gevent.spawn_later(event.at, doer.do, event) for event in events]
    gevent.sleep(given.skip)
    shift.measured, began, before = Measured(), time.monotonic(), _cpu_seconds(server)
    gevent.sleep(max(0.0, 60 * given.minutes - given.skip))
    seconds, after = time.monotonic() - began, _cpu_seconds(server)
    shift.over.set()
    runner.quit()
    gevent.killall(doing)
    used = {name: value - before[name] for name, value in after.items() if name in before}
    return {
        "customers": given.customers, "seconds": seconds, "think_seconds": plan.think_seconds,
        "cpu_seconds": used, "events": doer.done,
    } | shift.measured.as_json()  # fmt: skip


def _cpu_seconds(server: psutil.Process | None) -> dict[str, float]:
    """Of the client and, if it is ours and still there, the server."""
    used = {"client": time.process_time()}
    if server and server.is_running():
        times = server.cpu_times()
        used["server"] = times.user + times.system
    return used


@contextmanager
def _servers(given: argparse.Namespace) -> Iterator[tuple[list[str], Server | None]]:
    """The addresses, and the server if it is our own."""
    if given.url:
        yield [url.rstrip("/") for url in given.url], None
        return
    with served(given.home) as server:
        yield [server.url], server


def _environment_of(server: Server | None) -> dict[str, str]:
    """What events are told of a server that is our own."""
    if server is None or server.process is None:
        return {}
    return {
        "FRONTDESK_HOME": str(server.home), "SERVER_PID": str(server.process.pid),
        "SERVER_PORT": str(server.port), "SERVER_URL": server.url,
    }  # fmt: skip


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", action="append", help="a server that runs; may be repeated")
    parser.add_argument("--home", type=Path, help="its home, for orders to ask after")
    parser.add_argument("--customers", type=int, default=20, help="conversations at once")
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--spread", type=float, default=10, help="seconds in which they come")
    parser.add_argument("--skip", type=float, default=0, help="first seconds left out")
    parser.add_argument(
        "--think", type=float, default=THINK_SECONDS, help="median seconds between messages"
    )
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--events", type=Path, help="things to do meanwhile (YAML)")
    parser.add_argument("--json", action="store_true", help="the report with its samples")
    return parser.parse_args()


def main() -> None:
    """Print the report; exit with 1 where something was lost, crossed or given up."""
    given = arguments()
    try:
        events = read_events(given.events) if given.events else []
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    with _servers(given) as (urls, server), ExitStack() as stack:
        home = server.home if server else given.home
        plan = Plan(read_orders(home) if home else [], given.seed, given.think)
        doer = Doer(_environment_of(server))
        stack.callback(doer.close)
        process = psutil.Process(server.process.pid) if server and server.process else None
        report = run(urls, plan, given, doer, events, process)
        failures = doer.failures
    print(json.dumps(report, ensure_ascii=False) if given.json else told(report))
    wrong = report["lost"] or report["crossed"] or report["errors"] or not report["turns"]
    raise SystemExit(bool(wrong or failures))


if __name__ == "__main__":
    main()
