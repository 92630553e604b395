"""Search in stored conversations."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.message_search import search_messages


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations.in_home(tmp_path)


def found(store: Conversations, words: str) -> list[str]:
    return [hit.conversation_id for hit in search_messages(store, words)]


def test_what_customers_and_agents_wrote_is_found_newest_first(store: Conversations) -> None:
    first, second, third = (store.start().id for _ in range(3))
    store.add(second, "agent", "The BLUE kettle is back.")
    store.add(first, "customer", "Is the blue kettle sold out?")
    store.add(third, "assistant", "The blue kettle costs 30.")
    assert found(store, "blue  kettle") == [first, second]
    assert found(store, "kettle sold") == [first], "all words, in one message"
    assert found(store, "green") == found(store, " ") == []


def test_a_conversation_is_found_once_by_its_newest_message(store: Conversations) -> None:
    talk = store.start().id
    for text in ("My kettle leaks.", "The kettle came yesterday."):
        store.add(talk, "customer", text)
    (hit,) = search_messages(store, "KETTLE")
    assert (hit.before, hit.match, hit.after) == ("The ", "kettle", " came yesterday.")
    assert (hit.role, hit.state, hit.agent) == ("customer", "bot", "")


def test_what_like_understands_is_taken_as_it_is(store: Conversations) -> None:
    plain, special = store.start().id, store.start().id
    store.add(plain, "customer", "I got 100 of them, a_b/c not")
    store.add(special, "customer", "100% cotton, a%b_/'\\")
    assert found(store, "100%") == [special]
    assert found(store, "_") == [special, plain]
    assert found(store, "%_/'\\") == []
    assert found(store, "b_/'\\") == [special]


def test_chinese_is_found_and_a_long_message_is_cut_around_the_word(store: Conversations) -> None:
    talk = store.start("zh").id
    store.add(talk, "customer", "很" * 300 + "我要退货" + "急" * 300)
    (hit,) = search_messages(store, "退货")
    assert hit.match == "退货"
    assert hit.before.startswith("…")
    assert len(hit.before + hit.match + hit.after) <= 141


def test_at_most_as_many_as_wanted(store: Conversations) -> None:
    for n in range(4):
        store.add(store.start().id, "customer", f"kettle {n}")
    assert [h.after for h in search_messages(store, "kettle", 3)] == [" 3", " 2", " 1"]
    for n in range(60):
        store.add(store.start().id, "customer", f"kettle {n}")
    assert len(search_messages(store, "kettle")) == 50
