"""A minute of `python -m benchmarks.soak`, and some of its kills, on a server without models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.conversations import Conversations
from benchmarks.aborts import measure
from benchmarks.serving import Server
from benchmarks.soak import growth, kill, soak

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path, ("-m", "tests.served"))
    started.start()
    started.wait()
    yield started
    started.kill()


def test_nothing_is_lost_crossed_or_leaked_at_mixed_load(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asyncio.run(soak(server, minutes=0.5, customers=6, every=3600)), capsys.readouterr().out


def test_what_was_acknowledged_outlives_each_kill(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asyncio.run(kill(server, kills=8, customers=4)), capsys.readouterr().out
    store = Conversations.in_home(server.home)
    with store.readers.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    store.close()


def test_customers_who_vanish_hold_no_slot(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measure(server, 120), capsys.readouterr().out


def test_memory_that_grows_is_seen() -> None:
    steady = [(5.0 * n, 100.0 + n % 2) for n in range(100)]
    leaking = [(second, megabytes + second / 10) for second, megabytes in steady]
    assert abs(growth(steady)[1]) < 1
    assert growth(leaking)[1] > 30
