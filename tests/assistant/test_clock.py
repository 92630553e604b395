"""A clock that is set back: nothing is lost, and nothing comes in another order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.episodes import read_episodes
from assistant.handoff import Handoffs
from assistant.notes import Notes
from assistant.web.desk import Desk
from knowledge.versions import Versions
from tests.staffing import chat_service, staff_settings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    opened = Conversations.in_home(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock, in seconds from now."""
    real = time.time
    now = [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + now[0])

    def put(seconds: float) -> None:
        now[0] = seconds

    return put


YEAR = 365 * 86_400.0


def test_a_clock_set_back_changes_no_order_within_a_conversation(
    tmp_path: Path, clock: Callable[[float], None]
) -> None:
    service = chat_service(staff_settings(tmp_path))
    store, desk = service.conversations, Desk(service, sessions=None)  # type: ignore[arg-type]
    conversation = store.start()
    store.add(conversation.id, "customer", "one")
    Notes(store).add(conversation.id, "Ada", "two")
    clock(-YEAR)
    store.add(conversation.id, "customer", "three")
    Notes(store).add(conversation.id, "Ada", "four")
    assert Handoffs(store).happen(conversation.id, "ask")
    clock(0)
    store.add(conversation.id, "customer", "five")
    messages = store.messages(conversation.id)
    assert [m.text for m in messages] == ["one", "three", "five"]
    times = [m.created for m in messages]
    assert times == sorted(set(times))
    shown = desk._shown(conversation.id, messages, {})
    assert [s.text for s in shown] == ["one", "two", "three", "four", "five"]
    assert Handoffs(store).queue() == [conversation.id]
    store.close()


def test_every_message_moves_a_conversation_on_whatever_the_clock_says(
    store: Conversations, clock: Callable[[float], None]
) -> None:
    conversation, seen = store.start(), set()
    for seconds in (0, -YEAR, -YEAR, -YEAR, 0):
        clock(seconds)
        store.add(conversation.id, "customer", "Hello?")
        found = store.get(conversation.id)
        assert found
        seen.add(found.updated)
    assert len(seen) == 5


def test_what_was_said_under_a_wrong_clock_hides_nothing_that_was_said_before(
    store: Conversations, clock: Callable[[float], None]
) -> None:
    before, after = store.start(), store.start()
    store.add(before.id, "customer", "How long do I have?")
    clock(-YEAR)
    store.add(store.start().id, "customer", "How long do I have?")  # a row of a year ago
    clock(0)
    store.add(after.id, "customer", "How long do I have?")
    now = time.time()
    found = {e.conversation_id for e in read_episodes(store, now - 3600, now)}
    assert found == {before.id, after.id}


def test_a_token_is_not_used_again_when_the_clock_is_set_back_for_an_hour(
    store: Conversations, clock: Callable[[float], None]
) -> None:
    expires = time.time() + 60
    assert store.use_once("jti-1", expires)
    clock(3600)
    assert store.use_once("jti-2", expires + 3600)  # forgets what has expired long ago
    clock(0)
    assert not store.use_once("jti-1", expires)


def test_a_version_made_under_a_clock_set_back_is_still_the_latest(tmp_path: Path) -> None:
    versions, names = Versions(tmp_path), ["20990101-000000-999999"]
    for _ in range(3):
        folder = versions.folder / names[-1]
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        names.append(versions.new_name())
    assert names == sorted(names)
    assert names[1] == "20990101-000001-000000"
