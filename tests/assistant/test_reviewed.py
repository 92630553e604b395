"""From conversations to dialogues to learn from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant.commands import app
from assistant.conversations import Conversations
from assistant.edits import Edit, Edits
from assistant.reviewed import reviewed_dialogues
from finetune.prepare import prepare
from finetune.rows import load_rows
from knowledge.language import Detector

FOUND = {"considered": [{"evidence_id": "returns#0"}, {"evidence_id": "returns#1"}]}


def answer(**changes: object) -> dict[str, object]:
    return {"outcome": "answer", "intent": "returns", "trace": FOUND} | changes


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations.in_home(tmp_path)


def test_what_an_agent_wrote_is_learnt_up_to_the_last_reply(store: Conversations) -> None:
    talk = store.start("en", "ann")
    store.add(talk.id, "customer", "How long for shoes?")
    store.add(talk.id, "assistant", "I pass you on.", "", answer(outcome="handoff"))
    store.add(talk.id, "agent", "You have 30 days.")
    store.add(talk.id, "customer", "Thanks!")
    (record,) = reviewed_dialogues(store)
    assert record == {
        "id": talk.id, "customer_id": "ann", "language": "en", "intent": "returns",
        "passages": ["returns"],
        "turns": [{"role": "customer", "text": "How long for shoes?"},
                  {"role": "agent", "text": "You have 30 days."}],
    }  # fmt: skip


def test_helpful_answers_are_learnt_and_others_are_not(store: Conversations) -> None:
    talk, other = store.start(), store.start()
    for n, helpful in enumerate((True, False, None)):
        store.add(talk.id, "customer", f"Question {n}?")
        said = store.add(talk.id, "assistant", f"Answer {n}.", "", answer())
        if helpful is not None:
            store.rate(talk.id, said.id, helpful)
    store.add(other.id, "customer", "Question?")
    store.add(other.id, "assistant", "Answer.", "", answer())
    (record,) = reviewed_dialogues(store)
    assert [t["text"] for t in record["turns"]] == ["Question 0?", "Answer 0."]


def test_the_command_writes_what_prepare_reads(store: Conversations, tmp_path: Path) -> None:
    talk = store.start("en")
    store.add(talk.id, "customer", "How long for shoes?")
    store.add(talk.id, "agent", "You have 30 days to send them back.")
    out = tmp_path / "reviewed.jsonl"
    result = CliRunner().invoke(
        app, ["reviewed", "--out", str(out), "--home", str(tmp_path), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"dialogues": 1, "out": str(out)}
    prepare([out], tmp_path / "data", Detector())
    rows = [
        r for name in ("train", "validation", "test") for r in load_rows(tmp_path / "data", name)
    ]
    assert [r.id for r in rows] == [talk.id]


def test_a_reply_made_of_a_suggestion_carries_it(store: Conversations) -> None:
    talk = store.start("en")
    store.add(talk.id, "customer", "How long for shoes?")
    edits = {
        "You have 30 days, unworn.": Edit("30 days.", "You have 30 days, unworn.", "r#0", True),
        "14 days.": Edit("14 days.", "14 days.", "r#0", True),
        "Let me look.": Edit("30 days.", "Let me look.", "r#0", False),
    }
    for text, edit in edits.items():
        Edits(store).keep(talk.id, store.add(talk.id, "agent", text).id, edit)
    (record,) = reviewed_dialogues(store)
    assert record["turns"][1:] == [
        {"role": "agent", "text": "You have 30 days, unworn.", "edited_from": "30 days."},
        {"role": "agent", "text": "14 days."},
        {"role": "agent", "text": "Let me look."},
    ]


def test_prepare_learns_the_reply_and_not_what_it_was_made_of(tmp_path: Path) -> None:
    turns = [{"role": "customer", "text": "How long for shoes?"},
             {"role": "agent", "text": "You have 30 days to send them back."}]  # fmt: skip
    made_of = [turns[0], turns[1] | {"edited_from": "Ask ann@example.com."}]
    rows = []
    for name, said in (("plain", turns), ("edited", made_of)):
        source = tmp_path / f"{name}.jsonl"
        source.write_text(json.dumps({"id": "a", "split": "train", "turns": said}) + "\n")
        prepare([source], tmp_path / name, Detector())
        rows.append(load_rows(tmp_path / name, "train"))
    assert rows[0] == rows[1]
