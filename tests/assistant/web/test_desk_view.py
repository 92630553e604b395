"""What the agents' page makes of stored messages, and the words it uses."""

from __future__ import annotations

from assistant.conversations import Conversation, StoredMessage
from assistant.service import ChatService
from assistant.web.desk_view import row_of, show, suggest, summarise
from assistant.web.staff_html import label, staff_languages, staff_texts
from tests.staffing import QUOTE, stored


def test_the_draft_is_what_the_last_answer_quotes() -> None:
    draft = suggest([stored("broken"), stored("return", 2)])
    assert draft
    assert draft.text == QUOTE
    assert draft.title == "Returns › How long you have"


def test_without_an_answer_the_draft_is_the_best_passage_considered() -> None:
    draft = suggest([stored("broken")])
    assert draft
    assert draft.text == QUOTE
    assert suggest([]) is None
    assert suggest([StoredMessage(1, "1", "assistant", "Hi", {"outcome": "answer"}, 1.0)]) is None


def test_waiting_time_of_a_customer_who_pressed_the_button(service: ChatService) -> None:
    conversation = service.start("en")
    service.send(conversation.id, "Can I return it?")
    service.hand_off(conversation.id, "customer:asked")
    now = service.conversations.get(conversation.id)
    assert now
    row = row_of(now, summarise(service.conversations.messages(now.id)))
    assert row.since == now.updated
    assert row.reason == "customer:asked"


def test_row_and_message_of_an_empty_conversation() -> None:
    empty = Conversation("a", "waiting", "", None, None, "", 5.0, 9.0)
    row = row_of(empty, summarise([]))
    assert (row.since, row.preview, row.intent) == (9.0, "", "")
    assert show(StoredMessage(1, "1", "customer", "hi", None, 1.0), {}).trace is None


def test_every_language_has_the_same_words_and_no_word_hides_behind_a_method() -> None:
    english = staff_texts("en")
    for language in staff_languages():
        words = staff_texts(language)
        assert words.keys() == english.keys()
        assert all(isinstance(text, str) and text for text in words.values())
        assert not [key for key in words if hasattr(dict, key)]
    assert staff_texts("xx") == english


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert label(staff_texts("en"), "reason", "policy:brand_new") == "policy:brand new"
