import threading
from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.errors import StoreError


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations.in_home(tmp_path)


def test_messages_survive_a_restart(tmp_path: Path):
    store = Conversations.in_home(tmp_path)
    conversation = store.start("zh")
    store.add(conversation.id, "customer", "怎么退货?")
    store.add(conversation.id, "assistant", "七天内可退。", reply={"outcome": "answer"})
    store.close()
    again = Conversations.in_home(tmp_path)
    assert [(m.role, m.text) for m in again.messages(conversation.id)] == [
        ("customer", "怎么退货?"), ("assistant", "七天内可退。"),
    ]  # fmt: skip
    assert again.messages(conversation.id)[1].reply == {"outcome": "answer"}


def test_a_message_id_is_stored_once(store: Conversations):
    conversation = store.start()
    first = store.add(conversation.id, "customer", "hello", "m1")
    second = store.add(conversation.id, "customer", "hello again", "m1")
    assert second.id == first.id
    assert [m.text for m in store.messages(conversation.id)] == ["hello"]


def test_many_writers_lose_no_message(store: Conversations):
    conversation = store.start()

    def write(number: int) -> None:
        for i in range(10):
            store.add(conversation.id, "customer", f"{number}-{i}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.messages(conversation.id)) == 80


def test_a_second_rating_replaces_the_first(store: Conversations):
    conversation = store.start()
    message = store.add(conversation.id, "assistant", "30 days.")
    store.rate(conversation.id, message.id, helpful=False, reason="too long")
    store.rate(conversation.id, message.id, helpful=True)
    (rating,) = store.ratings()
    assert (rating["helpful"], rating["reason"]) == (1, "")


def test_reading_does_not_wait_for_a_writer(store: Conversations):
    conversation = store.start()
    with store.engine.begin():  # a writer holds the lock
        assert store.messages(conversation.id) == []
        assert store.get(conversation.id) is not None


def test_a_message_to_a_deleted_conversation_is_not_stored(store: Conversations) -> None:
    conversation = store.start()
    store.delete(conversation.id)
    with pytest.raises(StoreError, match="deleted"):
        store.add(conversation.id, "customer", "Hello?")
    assert store.messages(conversation.id) == []


def test_withdrawn_text_leaves_the_stored_replies_and_the_file(tmp_path: Path) -> None:
    store = Conversations.in_home(tmp_path)
    conversation = store.start()
    for number, document in enumerate(("bad", "good")):
        text = f"The zebra clause of {document}."
        cited = [{"evidence_id": f"{document}#0", "quote": text, "text": text}]
        trace = {"standalone": "q", "considered": cited, "dropped": [{"text": text}]}
        reply = {
            "outcome": "answer",
            "reply": text,
            "citations": cited,
            "sentences": [{"text": text}],
        }
        store.add(conversation.id, "assistant", text, f"m{number}", reply | {"trace": trace})
    assert store.withdraw(["bad"]) == 1
    bad, good = store.messages(conversation.id)
    assert bad.text == "[withdrawn]"
    assert bad.reply
    assert bad.reply["outcome"] == "answer"
    assert bad.reply["citations"] == []
    assert good.text == "The zebra clause of good."
    assert store.withdraw(["bad"]) == 0
    store.close()
    for path in tmp_path.iterdir():
        assert b"zebra clause of bad" not in path.read_bytes(), path
