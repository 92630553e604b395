"""Canned replies in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.canned import CannedReplies, CannedReply
from assistant.conversations import Conversations
from assistant.errors import InputError


@pytest.fixture
def replies(tmp_path: Path) -> CannedReplies:
    return CannedReplies(Conversations.in_home(tmp_path))


def test_the_language_of_the_conversation_comes_first(replies: CannedReplies) -> None:
    for shortcut, language in (("zz", "en"), ("aa", ""), ("发货", "zh"), ("bb", "en")):
        assert replies.save(shortcut, language, "Text", "Ada")
    assert [r.shortcut for r in replies.all("en")] == ["bb", "zz", "aa", "发货"]
    assert [r.shortcut for r in replies.all("zh")] == ["发货", "aa", "bb", "zz"]


def test_a_shortcut_is_kept_once_a_language(replies: CannedReplies) -> None:
    assert replies.save("/Ship", "en", "It ships today.", "Ada")
    assert not replies.save("ship", "en", "Another.", "Bruno")
    assert replies.save("ship", "zh", "今天发货。", "Bruno")
    first, second = replies.all("en")
    assert (first.shortcut, first.text, first.who) == ("ship", "It ships today.", "Ada")
    assert not replies.save("ship", "en", "今天发货。", "Ada", second.id), "an edit may not take it"
    assert replies.all("en") == [first, second]


def test_an_edit_replaces_and_one_of_a_deleted_reply_keeps_it(replies: CannedReplies) -> None:
    replies.save("ship", "en", "It ships today.", "Ada")
    (old,) = replies.all()
    replies.save("post", "", "It is posted today.", "Bruno", old.id)
    (new,) = replies.all()
    assert (new.id, new.shortcut, new.language, new.who) == (old.id, "post", "", "Bruno")
    assert replies.delete(new.id, "Ada") == "post"
    assert replies.delete(new.id, "Ada") == ""
    assert replies.save("post", "", "It is posted today.", "Bruno", new.id)
    assert len(replies.all()) == 1


@pytest.mark.parametrize(
    ("shortcut", "text"),
    [
        ("", "x"),
        ("two words", "x"),
        ("a" * 33, "x"),
        ("a", ""),
        ("a", " \u200b"),
        ("a", "x" * 4001),
    ],
)
def test_bad_input_is_refused(replies: CannedReplies, shortcut: str, text: str) -> None:
    with pytest.raises(InputError):
        replies.save(shortcut, "en", text, "Ada")
    assert replies.all() == []
    assert replies.store.audit() == []


def test_every_change_is_in_the_audit_log(replies: CannedReplies) -> None:
    replies.save("ship", "en", "It ships today.", "Ada")
    replies.delete(replies.all()[0].id, "Bruno")
    said = [(e["who"], e["what"], e["detail"]) for e in replies.store.audit()]
    assert said == [("Bruno", "canned_delete", "ship"), ("Ada", "canned_save", "ship")]


def test_placeholders_are_filled_once_and_unknown_ones_stay() -> None:
    reply = CannedReply(1, "hi", "", "I am {name} of {shop}. {order} {{name}}", "Ada", 0.0)
    values = {"name": "{shop}", "shop": "Maplewick"}
    assert reply.filled(values) == "I am {shop} of Maplewick. {order} {{shop}}"
