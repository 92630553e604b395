"""Private notes: kept for colleagues, and for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.errors import InputError
from assistant.notes import Notes
from assistant.service import ChatService
from assistant.types import Utterance
from tests.staffing import ScriptedAssistant, chat_service, staff_settings


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations.in_home(tmp_path)


def test_notes_are_kept_in_order_with_who_wrote_them(store: Conversations) -> None:
    notes, talk, other = Notes(store), store.start(), store.start()
    notes.add(talk.id, "Ada", "Sounds angry.")
    notes.add(talk.id, "Bruno", "已退款")
    notes.add(other.id, "Ada", "Elsewhere")
    assert [(n.who, n.text) for n in notes.of(talk.id)] == [
        ("Ada", "Sounds angry."), ("Bruno", "已退款"),
    ]  # fmt: skip
    assert [(e["who"], e["what"], e["detail"]) for e in store.audit()][-1] == (
        "Ada", "note", talk.id,
    )  # fmt: skip


@pytest.mark.parametrize("text", ["", " \n", "x" * 4001])
def test_an_empty_or_endless_note_is_refused(store: Conversations, text: str) -> None:
    talk = store.start()
    with pytest.raises(InputError):
        Notes(store).add(talk.id, "Ada", text)
    assert Notes(store).of(talk.id) == []


def test_a_note_needs_a_conversation(store: Conversations) -> None:
    with pytest.raises(InputError):
        Notes(store).add("nobody", "Ada", "Hello?")


def test_notes_go_with_their_conversation(store: Conversations) -> None:
    talk = store.start()
    Notes(store).add(talk.id, "Ada", "Sounds angry.")
    store.delete(talk.id)
    assert Notes(store).of(talk.id) == []


def test_no_model_and_no_customer_reads_a_note(tmp_path: Path) -> None:
    service = chat_service(staff_settings(tmp_path))
    heard: list[Utterance] = []

    class Listening(ScriptedAssistant):
        def respond(self, utterance: Utterance, *rest: object) -> object:  # type: ignore[override]
            heard.append(utterance)
            return super().respond(utterance)

    service = ChatService(Listening(staff_settings(tmp_path)), service.conversations)  # type: ignore[arg-type]
    talk = service.start("en")
    service.send(talk.id, "Can I return it?")
    Notes(service.conversations).add(talk.id, "Ada", "A difficult customer.")
    service.send(talk.id, "And how do I return it?")
    assert heard[-1].history[0].text == "Can I return it?"
    assert "difficult" not in str(heard)
    assert "difficult" not in str(service.conversations.messages(talk.id))
