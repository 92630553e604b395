"""A real server under everything at once for an hour, or killed again and again.

    python -m benchmarks.soak [--minutes 60] [--customers 8] [--home HOME]
    python -m benchmarks.soak --kills 100 [--customers 8] [--home HOME]

Customers ask the golden questions and after their orders, rate, want a person and hear one by the
event stream, delete what was said; an agent takes over from another process, and every few minutes
a changed document is published. Each customer's words hold a canary that nobody else may be told.

With --kills the customers write without a pause, the server is killed with SIGKILL in the midst of
their streams and started again, and they send what was not answered again by the same message_id.

Bars: no error, no message lost or crossed, memory grows by less than 5% (or 30 MB) from the first
quarter to the end; after a kill every acknowledged message is there once. Exits with 1 if missed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import ssl
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

from assistant.conversations import Conversations
from assistant.service import ChatService
from assistant.settings import load_settings
from benchmarks.asking import read_jsonl
from benchmarks.serving import DOCUMENTS, ROOT, Server, read_orders, refresh, served
from benchmarks.talk import LostError, Talk, events

QUESTIONS = [q["text"] for q in read_jsonl(ROOT / "assistant/demo/shop/golden.jsonl")]
_THINKING_SECONDS = 0.5, 2.0
_PUBLISH_SECONDS = 150.0
_SAMPLE_SECONDS = 5.0
_PERSON_SECONDS = 90.0
_GROWTH, _LEAST_MEGABYTES = 0.05, 30.0


class Agent(threading.Thread):
    """Takes who waits, says something, and hands back: from a process of its own."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self.store = Conversations.in_home(home)
        self.service = ChatService(_Nobody(home), self.store)  # type: ignore[arg-type]
        self.over = threading.Event()
        self.errors: list[str] = []

    def run(self) -> None:
        """Until `over`."""
        while not self.over.wait(0.5):
            try:
                for key in self.service.handoffs.queue():
                    if self.service.take_over(key, "Ada"):
                        self.service.reply_as(key, "Ada", f"Ada here, about {key}.")
                        self.service.hand_back(key, "Ada")
            except Exception as error:  # it is what is measured
                self.errors.append(f"agent: {type(error).__name__}: {error}")
        self.store.close()


class _Nobody:
    """In the place of an assistant, for an agent needs none."""

    def __init__(self, home: Path) -> None:
        self.settings = load_settings(None, home=home)


class Soak:
    """Customers, an agent and an operator around a server; `counts` is what was done."""

    def __init__(self, server: Server, rng: random.Random) -> None:
        self.server, self.rng = server, rng
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.orders = read_orders(server.home)

    async def customer(self, until: float) -> None:
        """One visit after another."""
        context = ssl.create_default_context()
        async with httpx.AsyncClient(
            base_url=self.server.url, timeout=120, verify=context
        ) as client:
            while time.monotonic() < until:
                try:
                    await self.visit(Talk(client=client))
                except (httpx.HTTPError, LostError, TimeoutError) as error:
                    self.errors.append(f"{type(error).__name__}: {error}")
                    await asyncio.sleep(1)

    async def visit(self, talk: Talk) -> None:
        """A conversation as customers lead it. Raises httpx.HTTPError, LostError, TimeoutError."""
        rng = self.rng
        await talk.begin()
        for _ in range(rng.randint(1, 4)):
            await talk.say(f"{rng.choice(QUESTIONS)} {talk.canary}")
            self.counts["questions"] += 1
            if talk.reply and rng.random() < 0.4:
                verdict = {"message": talk.reply["message"], "helpful": rng.random() < 0.7}
                await talk.ask("POST", "/rating", json=verdict)
                self.counts["ratings"] += 1
            if talk.reply.get("outcome") == "handoff":
                await self._hear(talk)
            await asyncio.sleep(rng.uniform(*_THINKING_SECONDS))
        if self.orders and rng.random() < 0.3:
            number, email = rng.choice(self.orders)
            await talk.say(f"Where is my order {number}?")
            await talk.say(email)
            self.counts["orders"] += 1
        if rng.random() < 0.2 and (await talk.ask("GET"))["state"] == "bot":
            await talk.ask("POST", "/handoff")
            await self._hear(talk)
        self.counts["messages checked"] += await talk.check()
        if rng.random() < 0.2:
            await talk.ask("DELETE")
            self.counts["deleted"] += 1
        self.counts["conversations"] += 1

    async def _hear(self, talk: Talk) -> None:
        """Wait for the agent on the event stream, and until the assistant speaks again."""
        heard = False
        request = talk.client.stream("GET", f"{talk.path}/events", headers=talk.headers)
        async with asyncio.timeout(_PERSON_SECONDS), request as response:
            response.raise_for_status()
            async for name, data in events(response):
                if name == "message":
                    if talk.id not in data["text"]:
                        raise LostError("an agent's words to somebody else")
                    heard = True
                if heard and name == "state" and data["state"] == "bot":
                    break
                if heard and (await talk.ask("GET"))["state"] == "bot":
                    break
        self.counts["hand-offs"] += 1

    async def operator(self, until: float, every: float) -> None:
        """Publish a document that changes, beside the shop's."""
        page = self.server.home / "soak" / "notice.md"
        page.parent.mkdir(exist_ok=True)
        while time.monotonic() + every < until:
            await asyncio.sleep(every)
            page.write_text(f"# Notice\n\nNotice {self.counts['publishes']} of the day.\n")
            try:
                await asyncio.to_thread(refresh, self.server.home, DOCUMENTS, page.parent)
                self.counts["publishes"] += 1
            except RuntimeError as error:
                self.errors.append(str(error))

    async def memory(self, until: float) -> list[tuple[float, float]]:
        """(seconds, megabytes) of the server."""
        started, samples = time.monotonic(), []
        while time.monotonic() < until:
            samples.append((time.monotonic() - started, self.server.megabytes()))
            await asyncio.sleep(_SAMPLE_SECONDS)
        return samples


def growth(samples: list[tuple[float, float]]) -> tuple[float, float, float]:
    """(megabytes at first, megabytes that a line through them grows by, megabytes an hour), the
    first quarter left out."""
    kept = np.array(samples[len(samples) // 4 :])
    slope, _ = np.polyfit(kept[:, 0], kept[:, 1], 1)
    span = kept[-1, 0] - kept[0, 0]
    return float(kept[0, 1]), float(slope * span), float(slope * 3600)


async def soak(server: Server, minutes: float, customers: int, every: float) -> bool:
    """Print the table; whether all bars are met."""
    run, until = Soak(server, random.Random(9)), time.monotonic() + 60 * minutes
    agent = Agent(server.home)
    agent.start()
    visits = [run.customer(until) for _ in range(customers)]
    samples, *_ = await asyncio.gather(run.memory(until), run.operator(until, every), *visits)
    agent.over.set()
    agent.join(30)
    first, grown, slope = growth(samples)
    errors = run.errors + agent.errors + server.troubles
    flat = grown <= max(_LEAST_MEGABYTES, _GROWTH * first)
    lost = sum(e.startswith(("LostError", "CrossedError")) for e in errors)
    for name, count in sorted(run.counts.items()):
        print(f"{name:34} {count}")
    print(f"{'memory, MB: first, growth, an hour':34} {first:.0f} {grown:+.1f} {slope:+.1f}")
    print(f"{'lost or crossed':34} {lost}")
    print(f"{'errors':34} {len(errors)}", *sorted(set(errors))[:20], sep="\n  ")
    return flat and not errors and run.counts["conversations"] > 0


class Kills:
    """Customers who write without a pause while the server is killed."""

    def __init__(self, server: Server, rng: random.Random) -> None:
        self.server, self.rng = server, rng
        self.up = asyncio.Event()
        self.over = False
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []

    async def customer(self) -> None:
        """Write; what was not answered is sent again, and after each kill all is looked for."""
        async with httpx.AsyncClient(base_url=self.server.url, timeout=60) as client:
            talk, message, text = Talk(client=client), "", ""
            while not self.over or message:
                await self.up.wait()
                try:
                    if not talk.path or (not message and len(talk.acknowledged) > 30):
                        talk = Talk(client=client)
                        await talk.begin()
                    again = bool(message)
                    message = message or talk.message_id()
                    text = text if again else f"{self.rng.choice(QUESTIONS)} {talk.canary}"
                    await talk.say(text, message)
                    self.counts["messages sent again"] += again
                    message = ""
                    if again:
                        await talk.check()
                        self.counts["conversations checked after a kill"] += 1
                    elif talk.reply.get("outcome") == "handoff":
                        await talk.ask("DELETE", "/handoff")
                except (httpx.TransportError, httpx.HTTPStatusError) as error:
                    if isinstance(error, httpx.HTTPStatusError):
                        self.errors.append(f"{error}")
                        message = ""
                    self.counts["streams and requests cut off"] += 1
                    await asyncio.sleep(0.05)
                except LostError as error:
                    self.errors.append(f"LostError: {error}")
                    talk, message = Talk(client=client), ""
            await talk.check()
            self.counts["messages acknowledged"] += len(talk.acknowledged)

    async def killer(self, kills: int) -> None:
        """Kill the server mid-stream, and start it again."""
        self.up.set()
        for number in range(kills):
            await asyncio.sleep(self.rng.uniform(0.3, 2.0))
            self.up.clear()
            self.server.kill()
            self.counts["kills"] += 1
            await asyncio.to_thread(self.server.start)
            self.up.set()
            print(f"\r{number + 1} of {kills}", end="", file=sys.stderr)
        print(file=sys.stderr)
        self.over = True


async def kill(server: Server, kills: int, customers: int) -> bool:
    """Print the table; whether all bars are met."""
    run = Kills(server, random.Random(7))
    await asyncio.gather(run.killer(kills), *(run.customer() for _ in range(customers)))
    for name, count in sorted(run.counts.items()):
        print(f"{name:34} {count}")
    print(f"{'errors':34} {len(run.errors)}", *sorted(set(run.errors))[:20], sep="\n  ")
    return not run.errors and run.counts["messages sent again"] > 0


def main() -> None:
    """Exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--customers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--publish-seconds", type=float, default=_PUBLISH_SECONDS)
    parser.add_argument("--home", type=Path)
    given = parser.parse_args()
    with served(given.home) as server:
        if given.kills:
            met = asyncio.run(kill(server, given.kills, given.customers))
        else:
            met = asyncio.run(soak(server, given.minutes, given.customers, given.publish_seconds))
    print("all bars met" if met else "a bar is missed")
    raise SystemExit(not met)


if __name__ == "__main__":
    main()
