"""Many customers at once on the API with the language model off, and beside it Gradio's queue.

    python -m benchmarks.crowd [--customers 100] [--turns 3] [--home HOME]

A sign of life is the first event after a message was sent. Both ways lead to the same turns in the
same process. Customers ask the golden questions, each its own; they come within a second of each
other, and then all at the same moment. They run on the server's cores, so the client is a light one
(aiohttp, C parsing): with httpx a good part of what was measured was the client, which also spread
the moment out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import httpx
import numpy as np

from benchmarks.asking import read_jsonl
from benchmarks.serving import served

DEMO = Path(__file__).parent.parent / "assistant" / "demo" / "shop"


@dataclass
class Measured:
    """Milliseconds to the first event and to the reply; errors as text."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def told(self, name: str, seconds: float) -> str:
        """A line of figures."""
        cells = [
            f"{label} p50 {np.percentile(values, 50):6.0f} p95 {np.percentile(values, 95):6.0f} ms"
            for label, values in (("sign of life", self.first), ("reply", self.whole))
            if values
        ]
        rate = len(self.whole) / seconds
        return f"{name:18} {'  '.join(cells)}  {rate:5.1f} turns/s  {len(self.errors)} errors"


Turn = Callable[[aiohttp.ClientSession, str], AsyncIterator[bool]]


async def api_turn(client: aiohttp.ClientSession, text: str) -> AsyncIterator[bool]:
    """One message to a new conversation; False at each event, True at the reply."""
    async with client.post("/api/v1/conversations", json={}) as response:
        begun = await response.json()
    path = f"/api/v1/conversations/{begun['conversation_id']}/messages"
    headers = {"authorization": f"Bearer {begun['token']}"}
    body = {"text": text, "message_id": secrets.token_hex(8)}
    yield False  # the clock starts here
    async with client.post(path, json=body, headers=headers) as response:
        async for line in response.content:
            if line.startswith(b"event: "):
                yield line.strip() == b"event: reply"


def gradio_turn(act: int) -> Turn:
    """The same through the chat page's queue; `act` is the number of its event."""

    async def turn(client: aiohttp.ClientSession, text: str) -> AsyncIterator[bool]:
        session = secrets.token_hex(6)
        body = {
            "data": [{}], "fn_index": act, "session_hash": session, "trigger_id": None,
            "event_data": {"act": "ask", "value": text, "id": secrets.token_hex(8)},
        }  # fmt: skip
        yield False
        async with client.post("/gradio_api/queue/join", json=body):
            pass
        data = {"session_hash": session}
        async with client.get("/gradio_api/queue/data", params=data) as response:
            async for line in response.content:
                if not line.startswith(b"data: "):
                    continue
                message = json.loads(line.removeprefix(b"data: "))
                if message["msg"] == "process_generating":
                    yield False
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        raise RuntimeError("Gradio reports a failure")
                    yield True
                    return

    return turn


async def customer(
    client: aiohttp.ClientSession,
    turn: Turn,
    questions: list[str],
    measured: Measured,
    wait: float,
) -> None:
    """Ask one question after another, from so many seconds on."""
    await asyncio.sleep(wait)
    for text in questions:
        started = first = 0.0
        try:
            async for ended in turn(client, text):
                if not started:
                    started = time.perf_counter()
                    continue
                if not first:
                    first = time.perf_counter()
                    measured.first.append(1000 * (first - started))
                if ended:
                    measured.whole.append(1000 * (time.perf_counter() - started))
        except (aiohttp.ClientError, TimeoutError, RuntimeError) as error:
            measured.errors.append(f"{type(error).__name__}: {error}")


async def crowd(
    url: str, turn: Turn, customers: int, turns: int, spread: float = 0.0
) -> tuple[Measured, float]:
    """(what was measured, seconds) of that many customers at once, who come within `spread`
    seconds."""
    texts = [q["text"] for q in read_jsonl(DEMO / "golden.jsonl")]
    measured = Measured()
    limit = aiohttp.ClientTimeout(total=120)
    clients = [
        aiohttp.ClientSession(url, timeout=limit, raise_for_status=True, read_bufsize=1 << 22)
        for _ in range(customers)
    ]
    work: list[Awaitable[None]] = []
    for number, client in enumerate(clients):
        asked = [texts[(number * turns + n) % len(texts)] for n in range(turns)]
        work.append(customer(client, turn, asked, measured, spread * number / customers))
    started = time.perf_counter()
    await asyncio.gather(*work)
    seconds = time.perf_counter() - started
    for client in clients:
        await client.close()
    return measured, seconds


def act_event(url: str) -> int:
    """The number of the chat page's `act` event, from the page itself."""
    page = httpx.get(url, timeout=60).text
    found = re.search(r"window\.gradio_config = (\{.*?\});</script>", page, re.DOTALL)
    if not found:
        raise SystemExit("the chat page does not tell its events")
    for dependency in json.loads(found[1])["dependencies"]:
        if any(name == "act" for _, name in dependency["targets"]):
            return int(dependency["id"])
    raise SystemExit("the chat page has no event `act`")


def main() -> None:
    """Print a line a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--home", type=Path)
    arguments = parser.parse_args()
    with served(arguments.home) as server:
        for name, turn in (("api", api_turn), ("gradio", gradio_turn(act_event(server.url)))):
            asyncio.run(crowd(server.url, turn, 4, 2))  # warm
            for spread in (1.0, 0.0):
                work = crowd(server.url, turn, arguments.customers, arguments.turns, spread)
                measured, seconds = asyncio.run(work)
                line = measured.told(f"{name}, within {spread:.0f} s", seconds)
                print(line, *set(measured.errors), sep="\n  ", flush=True)


if __name__ == "__main__":
    main()
