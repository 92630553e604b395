"""A canary adapter: who gets it, and when it is stopped."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from assistant.canary import CanaryWatch, Seen, WorseRate, seen_since, verdict
from assistant.conversations import Conversations
from assistant.served import ServedModel
from finetune.registry import Canary, Registry
from tests.assistant.test_served import Says, said

CANARY = Canary("new-adapter", 0.3, 0.0)


def ids(count: int, canary: bool) -> list[str]:
    """Conversations that do or do not fall to the canary."""
    every = (f"c{n}" for n in range(10**6))
    found = (name for name in every if CANARY.takes(name) == canary)
    return [next(found) for _ in range(count)]


def registry_with_canary(home: Path) -> Registry:
    registry = Registry(home)
    registry.folder.mkdir(parents=True)
    pointer = {"promoted": ["old"], "canary": {"name": CANARY.name, "share": 0.3, "since": 0.0}}
    registry.pointer.write_text(json.dumps(pointer))
    return registry


def test_a_share_of_the_conversations_falls_to_it_always_the_same_ones() -> None:
    taken = [CANARY.takes(f"c{n}") for n in range(4000)]
    assert 0.27 < sum(taken) / len(taken) < 0.33
    assert taken == [CANARY.takes(f"c{n}") for n in range(4000)]
    assert not CANARY.takes("")  # the command line has no conversation


@pytest.mark.parametrize(("served", "canary"), [(0.1, 0.1), (0.3, 0.1)])
def test_one_that_is_not_worse_is_hardly_ever_stopped(served: float, canary: float) -> None:
    rng, stopped = random.Random(1), 0
    for _ in range(300):
        test = WorseRate()
        for _ in range(400):
            falls = rng.random() < 0.3
            test.add(rng.random() < (canary if falls else served), falls)
            if test.evidence >= 20:
                stopped += 1
                break
    assert stopped <= 300 * 0.05 + 8  # Ville's bound, and three standard deviations


def test_one_that_is_worse_is_stopped_before_long() -> None:
    rng, needed = random.Random(2), []
    for _ in range(50):
        test = WorseRate()
        for n in range(3000):
            falls = rng.random() < 0.3
            test.add(rng.random() < (0.4 if falls else 0.1), falls)
            if test.evidence >= 60:
                needed.append(n)
                break
    assert len(needed) == 50
    assert sorted(needed)[25] < 400


@pytest.mark.parametrize("measure", ["handed_off", "unsupported", "thumb_down"])
def test_each_measure_alone_can_stop_it(measure: str) -> None:
    fine = {"handed_off": False, "unsupported": False, "thumb_down": None}
    pairs = zip(ids(60, True), ids(60, False), strict=True)
    seen = [
        Seen(name, **(fine | {measure: name == bad}))  # type: ignore[arg-type]
        for bad, good in pairs
        for name in (bad, good)
    ]
    names = {"handed_off": "hand-offs", "unsupported": "sentences", "thumb_down": "thumbs"}
    assert names[measure] in verdict(CANARY, seen)
    assert verdict(CANARY, [s for s in seen if not CANARY.takes(s.conversation_id)]) == ""
    assert verdict(CANARY, seen[:6]) == ""


def test_a_watch_stops_what_goes_worse_and_says_so_in_the_audit_log(tmp_path: Path) -> None:
    registry, store = registry_with_canary(tmp_path), Conversations.in_home(tmp_path)
    canary = registry.canary()
    assert canary is not None
    served = ServedModel(registry, Says)
    watch = CanaryWatch(served, store)
    assert not watch.look()
    for _ in range(80):
        conversation = store.start()
        outcome = "handoff" if canary.takes(conversation.id) else "answer"
        store.add(conversation.id, "assistant", "Hello.", "", {"outcome": outcome})
    assert watch.look()
    assert registry.canary() is None
    assert registry.current() == registry.folder / "old"
    assert "more hand-offs" in store.audit()[0]["detail"]
    assert said(served, ids(1, True)[0]) == "old"


def test_only_conversations_since_the_canary_began_count(tmp_path: Path) -> None:
    store = Conversations.in_home(tmp_path)
    before = store.start()
    store.add(before.id, "customer", "Hi")
    since = time.time()
    after = store.start()
    store.add(before.id, "customer", "Still there?")
    store.add(after.id, "assistant", "Hello.", "", {"outcome": "answer", "trace": {"dropped": [1]}})
    store.rate(after.id, store.messages(after.id)[0].id, False)
    assert seen_since(store, since) == [Seen(after.id, False, True, True)]


def test_conversations_count_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    store = Conversations.in_home(tmp_path)
    first, second = store.start(), store.start()
    for conversation in (first, second, first):
        store.add(conversation.id, "customer", "Hello?")
    assert [s.conversation_id for s in seen_since(store, 0.0)] == [first.id, second.id]
