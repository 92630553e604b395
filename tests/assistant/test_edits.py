"""What agents made of suggestions."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.edits import Edit, Edits


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations.in_home(tmp_path)


def test_an_edit_is_kept_with_its_message_and_goes_with_the_conversation(
    store: Conversations,
) -> None:
    talk = store.start()
    said = store.add(talk.id, "agent", "30 days, unworn.")
    edit = Edit("30 days.", "30 days, unworn.", "returns#0", inserted=True)
    Edits(store).keep(talk.id, said.id, edit)
    assert Edits(store).of(talk.id) == {said.id: edit}
    store.delete(talk.id)
    assert Edits(store).of(talk.id) == {}


@pytest.mark.parametrize(
    ("sent", "inserted", "changed"),
    [("30 days.", True, False), (" 30\ndays. ", True, False), ("14 days.", True, True),
     ("14 days.", False, False)],
)  # fmt: skip
def test_changed_is_what_was_inserted_and_sent_in_other_words(
    sent: str, inserted: bool, changed: bool
) -> None:
    assert Edit("30 days.", sent, "returns#0", inserted).changed is changed


def test_a_withdrawn_document_leaves_edits_and_prompts(tmp_path: Path) -> None:
    store = Conversations.in_home(tmp_path)
    talk, other = store.start().id, store.start().id
    words = "The zebra clause."
    considered = [{"evidence_id": "bad#0", "title": "t", "relevance": 0.9, "quote": words}]
    trace = {"considered": considered, "prompt": f"[1] {words}"}
    store.add(talk, "assistant", "I pass you on.", "m1", {"outcome": "handoff", "trace": trace})
    repeated = {"outcome": "handoff", "trace": {"prompt": f"Before: {words}", "standalone": "q"}}
    store.add(talk, "assistant", "I pass you on.", "m2", repeated)
    kept = {"outcome": "handoff", "trace": {"prompt": "Another prompt."}}
    store.add(other, "assistant", "I pass you on.", "m3", kept)
    for conversation, evidence in ((talk, "bad#0"), (other, "good#0")):
        said = store.add(conversation, "agent", "Mine.")
        Edits(store).keep(conversation, said.id, Edit(words[4:], "Mine.", evidence, True))
    assert store.withdraw(["bad"]) == 1
    prompts = [(m.reply or {}).get("trace", {}).get("prompt") for m in store.messages(talk)[:2]]
    assert prompts == ["", ""]
    assert store.messages(talk)[1].reply["trace"]["standalone"] == "q"  # type: ignore[index]
    assert store.messages(other)[0].reply == kept
    assert Edits(store).of(talk) == {}
    assert len(Edits(store).of(other)) == 1
    store.close()
    for path in tmp_path.iterdir():
        assert b"The zebra clause" not in path.read_bytes(), path
