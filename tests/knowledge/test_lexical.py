"""BM25 and the coverage of a question's words."""

from __future__ import annotations

import pytest

from knowledge.lexical import LexicalIndex
from knowledge.segment import content_words

TEXTS = [
    "Shoes can be returned within 30 days.",
    "Tents can be returned within 14 days.",
    "退货运费由我们承担。",
]


def asked_words(text: str) -> set[str]:
    return set(content_words(text))


@pytest.fixture(scope="module")
def index() -> LexicalIndex:
    return LexicalIndex(TEXTS)


def test_the_text_with_the_rare_word_comes_first_in_both_languages(index: LexicalIndex) -> None:
    assert index.best("returning tents", 3)[0][0] == 1
    assert index.best("退货要运费吗", 3)[0][0] == 2


def test_a_question_without_a_known_word_finds_nothing(index: LexicalIndex) -> None:
    assert index.best("zebra", 3) == []
    assert index.best("", 3) == []


def test_coverage_weighs_rare_words_more(index: LexicalIndex) -> None:
    asked = asked_words("shoes days")
    assert index.coverage(asked, 0) == 1
    assert index.coverage(asked, 1) < 0.5  # it has only the common one
    assert index.coverage_by(asked, "new shoes") > 0.5


def test_words_that_no_text_has_are_unknown(index: LexicalIndex) -> None:
    assert index.unknown(asked_words("shoes")) == 0
    assert index.unknown(asked_words("zebra")) == 1
    assert 0.5 < index.unknown(asked_words("shoes zebra")) < 0.7
    assert index.unknown(set()) == 1


def test_texts_without_any_term_can_be_indexed() -> None:
    assert LexicalIndex(["...", "the"]).best("the shoe", 2) == []
