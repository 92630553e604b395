"""What becomes of a conversation: hard and soft resolution apart, hand-offs, and waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.episodes import JOINED, Episode, read_episodes
from tests.chronicle import DAY, NOW, VERSION, Talk


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


def only(store: Conversations, now: float = NOW) -> Episode:
    (episode,) = read_episodes(store, now - 30 * DAY, now)
    return episode


OLD, FRESH = NOW - 3 * DAY, NOW - 600
FATES: dict[str, tuple[float, Callable[[Talk], object], str]] = {
    "a thumb up on the last answer": (FRESH, lambda t: t.reply(helpful=True), "hard"),
    "a thumb up, then thanks": (
        OLD,
        lambda t: t.reply(helpful=True).customer(20).reply(21, reason="small_talk:thanks"),
        "hard",
    ),
    "a thumb up on an earlier answer only": (
        OLD,
        lambda t: t.reply(helpful=True).customer(20).reply(21),
        "soft",
    ),
    "a thumb up, then a person": (
        OLD,
        lambda t: t.reply(helpful=True).change(20, "ask"),
        "person",
    ),
    "a thumb up on what was answered after a person": (
        OLD,
        lambda t: t.reply(1, "handoff", "customer:asked").change(9, "withdraw").customer(10)
        .reply(11, helpful=True),
        "hard",
    ),
    "silence after a person gave it back": (
        OLD,
        lambda t: t.reply(1, "handoff", "customer:asked").change(5, "take").agent(6)
        .change(9, "return").customer(10).reply(11),
        "person",
    ),
    "answered and silent for a day": (OLD, lambda t: t.reply(), "soft"),
    "answered and silent for minutes": (FRESH, lambda t: t.reply(), "unknown"),
    "a thumb down": (FRESH, lambda t: t.reply(helpful=False), "unresolved"),
    "a thumb down, then another answer": (
        OLD,
        lambda t: t.reply(helpful=False).customer(20).reply(21),
        "unresolved",
    ),
    "asked back and silent": (OLD, lambda t: t.reply(1, "clarify", "retrieval:unsure"), "unresolved"),
    "refused a moment ago": (FRESH, lambda t: t.reply(1, "refuse", "safety:injection"), "unknown"),
    "handed off": (FRESH, lambda t: t.reply(1, "handoff", "retrieval:unsupported"), "person"),
    "an agent came in": (OLD, lambda t: t.reply().change(9, "take").agent(10), "person"),
    "only a greeting": (OLD, lambda t: t.reply(reason="small_talk:greeting"), "small_talk"),
    "no reply": (OLD, lambda t: t, "unresolved"),
}  # fmt: skip


@pytest.mark.parametrize("case", FATES)
def test_what_becomes_of_a_conversation(store: Conversations, case: str) -> None:
    at, script, fate = FATES[case]
    script(Talk(store, at).customer())
    assert only(store).fate == fate


def test_silence_becomes_soft_after_a_day_and_never_hard(store: Conversations) -> None:
    Talk(store, NOW).customer().reply(1)
    assert only(store, NOW + DAY).fate == "unknown"
    later = only(store, NOW + DAY + 1)
    assert (later.fate, later.settled) == ("soft", True)


def test_who_comes_back_after_a_day_is_counted_anew(store: Conversations) -> None:
    talk = Talk(store, NOW - 9 * DAY).customer().reply()
    talk.customer(2 * DAY).reply(2 * DAY + 1, helpful=True)
    talk.customer(2.5 * DAY).reply(2.5 * DAY + 1)
    first, second = read_episodes(store, NOW - 30 * DAY, NOW)
    assert (first.fate, len(first.replies)) == ("soft", 1)
    assert (second.fate, len(second.replies)) == ("soft", 2)


def test_a_person_may_take_days_to_answer_and_it_is_one_conversation(store: Conversations) -> None:
    talk = Talk(store, NOW - 9 * DAY).customer().reply(5, "handoff", "customer:asked")
    talk.change(2 * DAY, "take").agent(2 * DAY + 5).customer(2 * DAY + 60)
    episode = only(store)
    assert episode.waited == 2 * DAY


def test_what_follows_an_agents_end_is_counted_anew(store: Conversations) -> None:
    talk = Talk(store, OLD).customer().reply().change(9, "end").change(20, "reopen")
    talk.customer(21).reply(22)
    assert len(read_episodes(store, NOW - 30 * DAY, NOW)) == 2


def test_what_began_before_the_period_is_left_out_whole(store: Conversations) -> None:
    Talk(store, NOW - 31 * DAY).customer().reply(1, "handoff", "x:y").agent(1.5 * DAY)
    Talk(store, NOW - 40 * DAY).customer().reply(1, "handoff", "x:y").agent(12 * DAY)
    assert read_episodes(store, NOW - 30 * DAY, NOW) == []


def test_who_asked_for_a_person_before_writing_counts_and_waits(store: Conversations) -> None:
    Talk(store, FRESH).change(0, "ask")
    episode = only(store)
    assert (episode.fate, episode.handoff, episode.waiting) == ("person", "customer:asked", True)


def test_the_reason_of_a_hand_off_is_the_first_one(store: Conversations) -> None:
    Talk(store, OLD).customer().reply(1, "handoff", "grounding:unsupported").change(9, "take")
    assert only(store).handoff == "grounding:unsupported"


def test_an_agent_who_joins_unasked_is_told_apart(store: Conversations) -> None:
    Talk(store, OLD).customer().reply().change(9, "take").agent(10)
    episode = only(store)
    assert (episode.handoff, episode.waited) == (JOINED, None)


def test_who_withdrew_waited_only_from_the_second_time_on(store: Conversations) -> None:
    talk = Talk(store, OLD).customer().change(10, "ask").change(40, "withdraw")
    talk.change(100, "ask").change(150, "take").agent(160)
    assert only(store).waited == 60


def test_an_erased_conversation_leaves_nothing(store: Conversations) -> None:
    talk = Talk(store, OLD).customer().reply(helpful=True)
    store.delete(talk.id)
    assert read_episodes(store, 0.0, NOW) == []


def test_a_reply_keeps_what_is_counted(store: Conversations) -> None:
    Talk(store, OLD).customer().reply(dropped=1, helpful=False, complaint="wrong price")
    (reply,) = only(store).replies
    assert (reply.version, reply.sentences, reply.dropped) == (VERSION, 2, 1)
    assert (reply.first_ms, reply.whole_ms) == (120.0, 400.0)
    assert (reply.helpful, reply.complaint) == (False, "wrong price")


def test_replies_from_before_versions_and_times_were_kept_are_read(store: Conversations) -> None:
    conversation = store.start()
    store.add(conversation.id, "customer", "Hi", "1")
    store.add(conversation.id, "assistant", "Hello", "1", {"outcome": "answer", "reason": ""})
    (episode,) = read_episodes(store, 0.0, conversation.created + 5)
    assert (episode.version, episode.replies[0].first_ms) == ("", None)


@pytest.mark.parametrize(("outcome", "reason", "unanswered"), [
    ("refuse", "intent:out_of_scope", True), ("handoff", "retrieval:unsupported", True),
    ("handoff", "grounding:unsupported", True), ("handoff", "customer:asked", False),
    ("handoff", "pipeline:error", False), ("clarify", "retrieval:unsure", False),
    ("answer", "", False),
])  # fmt: skip
def test_what_counts_as_unanswered(
    store: Conversations, outcome: str, reason: str, unanswered: bool
) -> None:
    Talk(store, OLD).customer().reply(1, outcome, reason)
    assert only(store).replies[0].is_unanswered is unanswered
