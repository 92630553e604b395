"""What processes tell each other while conversations run: one contract, in memory and by Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app import create_app
from assistant import live as live_module
from assistant.errors import SettingsError
from assistant.live import Kind, Live, News, OneProcess, ThroughRedis, open_live
from assistant.store_settings import SharedSettings
from assistant.web.flood import Flood, FloodError
from assistant.web_settings import WebSettings
from benchmarks.engines import Engine
from benchmarks.engines import redis as redis_engine
from tests.engines import started
from tests.staffing import chat_service, staff_settings

Pair = tuple[Live, Live]  # what two pages use; with Redis they are in two processes


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with started(redis_engine, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    if request.param == "memory":
        one = OneProcess()
        yield one, one
        return
    settings = SharedSettings(
        redis=request.getfixturevalue("redis").url,
        prefix=request.node.name[:60].replace("[", "-").replace("]", ""),
    )
    first, second = open_live(settings), open_live(settings)
    yield first, second
    first.close()
    second.close()


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def claim(live: Live, holder: str, conversation: str = "c") -> bool:
    return asyncio.run(live.claim(conversation, holder))


def test_a_conversation_is_claimed_once_until_it_is_freed(pair: Pair) -> None:
    here, there = pair
    assert claim(here, "a")
    assert not claim(there, "b")
    assert asyncio.run(there.is_claimed("c"))
    assert claim(there, "b", "another")
    there.free("c", "b")
    assert not claim(there, "b"), "who does not hold it cannot free it"
    here.free("c", "a")
    assert not asyncio.run(there.is_claimed("c"))
    assert claim(there, "b")


def test_what_is_told_is_heard_by_all(pair: Pair) -> None:
    heard: list[tuple[str, Kind, str]] = []
    for name, live in zip("ab", dict.fromkeys(pair), strict=False):
        live.hear(lambda kind, key, name=name: heard.append((name, kind, key)))  # type: ignore[misc]
    everyone = len(dict.fromkeys(pair))

    def all_heard() -> bool:  # a subscription takes a moment
        pair[0].tell("stop", "c1")
        return len({name for name, *_ in heard}) == everyone

    until(all_heard)
    assert {tuple(h[1:]) for h in heard} == {("stop", "c1")}


def test_a_listener_that_fails_keeps_nobody_from_hearing(pair: Pair) -> None:
    here, there = pair
    heard: list[str] = []

    def fail(_: Kind, key: str) -> None:
        raise LookupError(key)

    there.hear(fail)
    there.hear(lambda _, key: heard.append(key))
    until(lambda: (here.tell("news", "first"), "first" in heard)[1])
    until(lambda: (here.tell("news", "second"), "second" in heard)[1])


def test_who_waits_for_news_of_a_conversation_is_woken_by_them_and_by_no_others(pair: Pair) -> None:
    here, there = pair
    news = News(there)

    async def waits(told: str) -> float:
        began = time.monotonic()
        waiting = asyncio.create_task(news.wait("c1", 3))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(here.tell, "news", told)
        await waiting
        return time.monotonic() - began

    asyncio.run(waits("c1"))  # until the subscription is there
    assert asyncio.run(waits("c1")) < 2
    assert asyncio.run(waits("c2")) >= 3
    assert news._waiting == {}


def test_what_a_killed_process_held_is_free_when_its_lease_is_over(
    redis: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_LEASE_SECONDS", 0.3)
    settings = SharedSettings(redis=redis.url, prefix="killed")
    killed, living = open_live(settings), open_live(settings)
    assert isinstance(killed, ThroughRedis)
    assert claim(killed, "a")
    time.sleep(0.8)
    assert not claim(living, "b"), "it is kept for as long as its process lives"
    killed._closed.set()
    until(lambda: claim(living, "b"), 3)
    killed.free("c", "a")
    assert asyncio.run(living.is_claimed("c")), "what it comes to free late is another's"
    living.close()


def test_without_redis_each_process_goes_on_alone_and_they_meet_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "PAUSE_SECONDS", 0.2)
    with started(redis_engine, tmp_path) as server:
        settings = SharedSettings(redis=server.url)
        here, there = open_live(settings), open_live(settings)
        heard: list[str] = []
        there.hear(lambda _, key: heard.append(key))
        until(lambda: (here.tell("news", "c"), bool(heard))[1])
        server.stop()
        began = time.monotonic()
        assert claim(here, "a")
        assert not claim(here, "b"), "within a process a claim holds all the same"
        assert claim(there, "b"), "nobody tells"
        there.tell("news", "alone")
        assert "alone" in heard
        assert time.monotonic() - began < 3
        here.free("c", "a")
        there.free("c", "b")
        server.start()
        heard.clear()
        until(lambda: (here.tell("news", "again"), "again" in heard)[1])
        until(lambda: claim(here, "a") and not claim(there, "b"))
        here.close()
        there.close()


def test_a_server_that_ends_lets_go_of_its_claims(tmp_path: Path) -> None:
    class Watched(OneProcess):
        closed = False

        def close(self) -> None:
            self.closed = True

    settings = staff_settings(tmp_path)
    service, live = chat_service(settings), Watched()
    service.live = live
    with TestClient(create_app(settings, service)):
        assert not live.closed
    assert live.closed


def test_messages_are_counted_by_all_processes_together(redis: Engine) -> None:
    limits, shared = WebSettings(most_messages=5), SharedSettings(redis=redis.url, prefix="flood")
    here, there = Flood(limits, shared), Flood(limits, shared)
    for flood in (here, there, here, there, here):
        flood.count("10.0.0.1", "c")
    for flood in (here, there):
        with pytest.raises(FloodError):
            flood.count("10.0.0.1", "c")


def test_without_redis_each_process_counts_alone(tmp_path: Path) -> None:
    with started(redis_engine, tmp_path) as server:
        flood = Flood(WebSettings(most_messages=2), SharedSettings(redis=server.url))
        server.stop()
        flood.count("10.0.0.1", "c")
        flood.count("10.0.0.1", "c")
        with pytest.raises(FloodError):
            flood.count("10.0.0.1", "c")


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis"])
def test_an_address_that_is_none_of_redis_is_told_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match=r"shared\.redis is"):
        open_live(SharedSettings(redis=url))
