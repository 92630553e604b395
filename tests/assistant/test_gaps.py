"""Questions that were asked in vain become articles to write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import assistant.commands as command
from assistant.conversations import Conversations
from assistant.gaps import Unanswered, find_gaps, gaps
from knowledge.encoder import Encoder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


def ask(store: Conversations, *turns: tuple[str, str, str], agent: str = "") -> str:
    """A conversation of (question, outcome, reason), and what an agent says at the end."""
    conversation = store.start()
    for number, (question, outcome, reason) in enumerate(turns):
        reply: dict[str, Any] = {
            "outcome": outcome,
            "reason": reason,
            "trace": {"standalone": question},
        }
        store.add(conversation.id, "customer", question, f"m{number}")
        store.add(conversation.id, "assistant", "...", f"m{number}", reply)
    if agent:
        store.add(conversation.id, "agent", agent)
    return conversation.id


def test_similar_questions_in_vain_are_one_article_with_what_agents_replied(
    store: Conversations, encoder: Encoder
) -> None:
    one = ask(store, ("Do you sell gift cards for ferries?", "refuse", "retrieval:unsupported"))
    two = ask(
        store,
        ("Can I buy a gift card for a ferry trip?", "handoff", "retrieval:unsupported"),
        agent="Yes, at the harbour desk. Write to kim@shop.example.",
    )
    other = ask(store, ("My kettle leaks at the seam", "clarify", "retrieval:unclear"))
    ask(store, ("How long do returns take?", "answer", ""))
    first, second = find_gaps(store, encoder)
    assert set(first.conversations) == {one, two}
    assert len(first.questions) == 2
    assert first.replies == ("Yes, at the harbour desk. Write to [EMAIL_1].",)
    assert first.draft.startswith(f"# {first.title}\n\nYes, at the harbour desk.")
    assert second.conversations == (other,)


def test_who_asks_for_a_person_asked_the_question_before_in_vain(
    store: Conversations, encoder: Encoder
) -> None:
    ask(
        store,
        ("Is the lamp dimmable?", "answer", ""),
        ("I want a person", "handoff", "customer:asked"),
    )
    ask(store, ("I want a person", "handoff", "customer:asked"))
    assert [g.title for g in find_gaps(store, encoder)] == ["Is the lamp dimmable?"]


def test_conversations_before_the_day_are_left_out(store: Conversations, encoder: Encoder) -> None:
    ask(store, ("My kettle leaks", "refuse", "retrieval:unsupported"))
    assert find_gaps(store, encoder, since=4e9) == []


def test_the_group_asked_most_often_comes_first(encoder: Encoder) -> None:
    asked = [Unanswered(f"c{n}", "Do you deliver to Greenland?", float(n), ()) for n in range(3)]
    found = gaps([Unanswered("x", "Is my kettle safe?", 9.0, ()), *asked], encoder)
    assert [len(g.conversations) for g in found] == [3, 1]
    assert found[0].last_asked == 2.0


def test_the_command_writes_a_draft_of_each(
    store: Conversations,
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask(store, ("Is it dimmable?", "refuse", "retrieval:unsupported"), agent="Yes, all of them.")
    monkeypatch.setattr(command, "load_encoder", lambda *_: encoder)
    words = ["gaps", "--home", str(tmp_path), "--drafts", str(tmp_path / "drafts"), "--json"]
    result = CliRunner().invoke(command.app, words)
    assert result.exit_code == 0, result.output
    (draft,) = (tmp_path / "drafts").iterdir()
    assert draft.read_text() == "# Is it dimmable?\n\nYes, all of them.\n"
    assert json.loads(result.stdout)["gaps"][0]["draft"] == draft.read_text()
