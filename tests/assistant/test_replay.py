"""Replaying questions on a prepared version, with the real knowledge base and reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.errors import AssistantError
from assistant.replay import golden_questions, questions_of, replay
from assistant.settings import Settings
from knowledge.build import open_refresher
from knowledge.errors import VersionError

RETURNS = "Boots can be sent back within {} days of delivery, unworn and in their box."
POSTAGE = "Standard delivery to an address in Spain costs EUR 6.50 and takes four working days."


def refresh(settings: Settings, source: Path, prepare: bool, **texts: str) -> str:
    rows = [{"id": i, "title": i.title(), "text": t, "language": "en"} for i, t in texts.items()]
    source.write_text("\n".join(json.dumps(r) for r in rows))
    refresher = open_refresher(
        settings.home, settings.engines, settings.knowledge, lambda stage, done, total: None
    )
    return refresher.refresh([source], prepare=prepare).version


@pytest.fixture
def settings(tmp_path: Path, engines: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    (home / "engines").symlink_to(engines)
    return Settings(home=home, answer_threshold=0.3)


def test_only_answers_that_change_are_told_and_judged(settings: Settings, tmp_path: Path) -> None:
    golden = [
        {"text": "Within how many days can boots be sent back?", "relevant": ["returns"]},
        {"text": "How much does standard delivery to Spain cost?", "relevant": ["postage"]},
        {"text": "Can I pay with seashells on the moon?", "answerable": False},
    ]
    (settings.home / "golden.jsonl").write_text("\n".join(json.dumps(g) for g in golden))
    source = tmp_path / "c.jsonl"
    refresh(settings, source, False, returns=RETURNS.format(14), postage=POSTAGE)
    same = refresh(settings, source, True, returns=RETURNS.format(21), postage=POSTAGE)
    (change,) = replay(settings, same)
    assert "14 days" in change.before.text
    assert "21 days" in change.after.text
    assert change.verdict == ""
    gone = refresh(settings, source, True, returns=RETURNS.format(14))
    (lost,) = replay(settings, gone)
    assert (lost.question, lost.verdict) == (golden[1]["text"], "worse")
    assert lost.before.cites == ("postage",)
    assert lost.after.cites == ()


def test_recent_questions_are_replayed_as_they_were_understood(settings: Settings) -> None:
    store = Conversations.in_home(settings.home)
    conversation = store.start()
    for number, text in enumerate(("and boots?", "hello", "and boots?")):
        trace = {"trace": {"standalone": f"{text} returns"}}
        store.add(conversation.id, "customer", text, f"m{number}")
        store.add(conversation.id, "assistant", "x", f"m{number}", trace)
    store.close()
    assert [q.text for q in questions_of(settings)] == ["and boots? returns", "hello returns"]


def test_golden_questions_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "g.jsonl").write_text('{"question": "no text"}\n')
    with pytest.raises(AssistantError, match="not JSON Lines of"):
        golden_questions(tmp_path / "g.jsonl")


def test_a_version_that_does_not_exist_is_an_error(settings: Settings) -> None:
    with pytest.raises(VersionError, match="no version"):
        replay(settings, "v1")
