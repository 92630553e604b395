from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.errors import InputError
from assistant.service import ChatService, public_view
from assistant.types import Handoff
from tests.assistant.fakes import PASSAGE, FixedRouter, FixedSkill, assistant_with


@pytest.fixture
def service(tmp_path: Path, word_lengths, detector) -> ChatService:
    return ChatService(assistant_with(word_lengths, detector), Conversations.in_home(tmp_path))


def test_a_message_and_its_reply_are_stored(service: ChatService):
    conversation = service.start()
    stored = service.send(conversation.id, "Can I return shoes?")
    assert stored is not None
    assert stored.reply is not None
    assert stored.reply["outcome"] == "answer"
    assert [m.role for m in service.conversations.messages(conversation.id)] == [
        "customer",
        "assistant",
    ]


def test_a_message_sent_twice_is_answered_once(service: ChatService):
    conversation = service.start()
    first = service.send(conversation.id, "Can I return shoes?", "m1")
    second = service.send(conversation.id, "Can I return shoes?", "m1")
    assert first is not None
    assert second is not None
    assert first.id == second.id
    assert len(service.conversations.messages(conversation.id)) == 2


def test_a_hand_off_silences_the_bot_until_it_is_handed_back(
    service: ChatService, word_lengths, detector
):
    service.assistant = assistant_with(word_lengths, detector, router=FixedRouter("human_agent"))
    conversation = service.start()
    service.send(conversation.id, "a person please")
    assert service.conversations.get(conversation.id).state == "waiting"
    assert service.send(conversation.id, "hello?") is None
    assert service.take_over(conversation.id, "ada")
    service.reply_as(conversation.id, "ada", "Hello, this is Ada.")
    assert service.send(conversation.id, "thank you") is None
    assert service.hand_back(conversation.id, "ada")
    service.assistant = assistant_with(word_lengths, detector)
    assert service.send(conversation.id, "Can I return shoes?") is not None


def test_only_the_agent_who_took_over_may_reply(service: ChatService):
    conversation = service.start()
    service.take_over(conversation.id, "ada")
    assert not service.take_over(conversation.id, "bob")
    with pytest.raises(InputError, match="take the conversation over"):
        service.reply_as(conversation.id, "bob", "hi")
    assert not service.hand_back(conversation.id, "bob")


def test_a_crash_in_the_pipeline_becomes_a_calm_hand_off(
    service: ChatService, word_lengths, detector
):
    class Broken(FixedSkill):
        def fetch(self, question, intent):
            raise RuntimeError("disk on fire")

    service.assistant = assistant_with(word_lengths, detector, skill=Broken(PASSAGE))
    conversation = service.start()
    stored = service.send(conversation.id, "Can I return shoes?")
    assert stored is not None
    assert stored.reply is not None
    assert stored.reply["outcome"] == "handoff"
    assert "fire" not in stored.text
    assert service.conversations.get(conversation.id).state == "waiting"


def test_an_unknown_conversation_is_an_input_error(service: ChatService):
    with pytest.raises(InputError, match="does not exist"):
        service.send("nope", "hello")


def test_the_trace_is_for_staff_only(service: ChatService):
    conversation = service.start()
    stored = service.send(conversation.id, "Can I return shoes?")
    assert stored is not None
    assert stored.reply is not None
    assert "trace" in stored.reply
    assert "trace" not in public_view(stored.reply)


def test_a_hand_off_outcome_names_its_reason_in_the_queue(
    service: ChatService, word_lengths, detector
):
    outcome = Handoff("A colleague will look.", "retrieval:unsupported")
    service.assistant = assistant_with(
        word_lengths, detector, skill=FixedSkill(PASSAGE, outcome=outcome)
    )
    conversation = service.start()
    service.send(conversation.id, "Do you sell submarines?")
    (waiting,) = service.conversations.queue(["waiting"])
    assert waiting.reason == "retrieval:unsupported"
