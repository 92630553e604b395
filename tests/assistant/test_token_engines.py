"""Engines: who waits, who is decoded together, and what becomes of those who leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from assistant.errors import GenerationError
from assistant.token_engines import MOST_WAITING, Request, TokenEngine, common


class Counting(TokenEngine):
    """Counts up from a prompt's last token, a token a step, all requests side by side."""

    name = "counting"
    positions = 100

    def __init__(self, together: bool = False) -> None:
        super().__init__()
        self.together = together
        self.go = threading.Event()
        self.batches: list[int] = []

    def goes_with(self, first: Request, other: Request) -> bool:
        return self.together

    def decode(self, requests: Sequence[Request]) -> None:
        assert self.go.wait(10)
        self.batches.append(len(requests))
        going = {id(r): (r, r.ids[-1]) for r in requests}
        while going:
            for key, (request, last) in list(going.items()):
                going[key] = request, last + 1
                if not request.push(last + 1):
                    del going[key]


def request(*ids: int, limit: int = 3, seconds: float = 10, ends: Sequence[int] = ()) -> Request:
    return Request(ids, frozenset(ends), limit, time.monotonic() + seconds)


def test_tokens_come_up_to_the_limit_or_an_end() -> None:
    engine = Counting()
    engine.go.set()
    first, second = request(1, 2), request(5, ends=[7])
    for asked in (first, second):
        engine.submit(asked)
    assert list(first.tokens()) == [3, 4, 5]
    assert list(second.tokens()) == [6]


def test_requests_that_wait_and_go_together_are_decoded_together() -> None:
    engine = Counting(together=True)
    asked = [request(n) for n in range(5)]
    for one in asked:
        engine.submit(one)
        time.sleep(0.02 if one is asked[0] else 0)
    engine.go.set()
    assert [list(one.tokens()) for one in asked] == [[n + 1, n + 2, n + 3] for n in range(5)]
    assert engine.batches == [1, 4]


def test_a_request_that_nobody_waits_for_is_not_decoded() -> None:
    engine = Counting()
    busy, gone, late, kept = request(1), request(2), request(3, seconds=0.01), request(4)
    for one in (busy, gone, late, kept):
        engine.submit(one)
    gone.leave()
    time.sleep(0.05)
    engine.go.set()
    assert list(kept.tokens()) == [5, 6, 7]
    assert engine.batches == [1, 1]
    with pytest.raises(GenerationError, match="in time"):
        list(late.tokens())


def test_leaving_ends_a_reply_between_two_tokens() -> None:
    engine = Counting()
    engine.go.set()
    asked = request(1, limit=10**9)
    engine.submit(asked)
    assert next(asked.tokens()) == 2
    asked.leave()
    after = request(1)
    engine.submit(after)  # the engine would else count for ever
    assert list(after.tokens()) == [2, 3, 4]


def test_a_reply_that_is_not_done_in_time_is_an_error() -> None:
    engine = Counting()
    engine.go.set()
    asked = request(1, limit=10**9, seconds=0.05)
    engine.submit(asked)
    with pytest.raises(GenerationError, match="in time"):
        list(asked.tokens())


def test_too_many_that_wait_are_an_error() -> None:
    engine = Counting()
    engine.submit(request(0))
    while engine.waiting:
        time.sleep(0.001)
    for n in range(MOST_WAITING):
        engine.submit(request(n))
    with pytest.raises(GenerationError, match="too many"):
        engine.submit(request(0))
    engine.go.set()


def test_what_two_prompts_share_is_their_beginning() -> None:
    assert common([1, 2, 3], [1, 2, 4]) == 2
    assert common([1, 2], [1, 2, 3]) == 2
    assert common([], [1]) == common([2], [1]) == 0


def test_a_closed_engine_lets_its_thread_end_when_nothing_waits() -> None:
    engine = Counting()
    asked, before = request(1), set(threading.enumerate())
    engine.submit(asked)
    (thread,) = set(threading.enumerate()) - before
    engine.close()
    engine.go.set()
    assert list(asked.tokens()) == [2, 3, 4]
    thread.join(10)
    assert not thread.is_alive()
