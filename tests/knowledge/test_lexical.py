"""BM25 and the coverage of a question's words."""

from __future__ import annotations

import random
from pathlib import Path

import bm25s
import pytest

from knowledge.lexical import LexicalIndex
from knowledge.segment import content_words, search_terms
from knowledge.terms import Terms

TEXTS = [
    "Shoes can be returned within 30 days.",
    "Tents can be returned within 14 days.",
    "退货运费由我们承担。",
]


def asked_words(text: str) -> set[str]:
    return set(content_words(text))


@pytest.fixture(scope="module")
def index() -> LexicalIndex:
    return LexicalIndex(Terms.of(TEXTS))


def test_the_text_with_the_rare_word_comes_first_in_both_languages(index: LexicalIndex) -> None:
    assert index.best("returning tents", 3)[0][0] == 1
    assert index.best("退货要运费吗", 3)[0][0] == 2


def test_a_question_without_a_known_word_finds_nothing(index: LexicalIndex) -> None:
    assert index.best("zebra", 3) == []
    assert index.best("", 3) == []


def test_coverage_weighs_rare_words_more(index: LexicalIndex) -> None:
    words = asked_words("shoes days")
    asked = index.asked(words)
    assert index.coverage(asked, 0) == pytest.approx(1)
    assert index.coverage(asked, 1) < 0.5  # it has only the common one
    assert index.coverage_by(words, "new shoes") > 0.5


def test_words_that_no_text_has_are_unknown(index: LexicalIndex) -> None:
    assert index.unknown(index.asked(asked_words("shoes"))) == 0
    assert index.unknown(index.asked(asked_words("zebra"))) == 1
    assert 0.5 < index.unknown(index.asked(asked_words("shoes zebra"))) < 0.7
    assert index.unknown(index.asked(set())) == 1


def test_texts_without_any_term_can_be_indexed() -> None:
    assert LexicalIndex(Terms.of(["...", "the"])).best("the shoe", 2) == []


def test_scores_are_those_of_bm25s() -> None:
    rng = random.Random(3)
    texts = [
        " ".join(rng.choices("ant bee cat dog elk fox gnu hen".split(), k=9)) for _ in range(40)
    ]
    other = bm25s.BM25(method="lucene")
    other.index([search_terms(t) for t in texts], show_progress=False)
    ours = dict(LexicalIndex(Terms.of(texts)).best("ant fox fox", 40))
    theirs = other.get_scores(search_terms("ant fox fox"))
    assert {n: pytest.approx(s, abs=1e-4) for n, s in enumerate(theirs) if s > 0} == ours


def test_only_as_many_as_asked_for_are_found_and_equals_keep_their_order() -> None:
    index = LexicalIndex(Terms.of(["red shoe", "shoe", "red shoe", "shoe", "hat"]))
    assert [n for n, _ in index.best("shoe", 3)] == [1, 3, 0]


def test_updated_terms_are_those_of_all_texts_anew() -> None:
    held = Terms.of(TEXTS)
    new = ["Boots can be returned within 7 days.", "Nothing else."]
    updated = held.updated([2, None, 0, None], new)
    anew = Terms.of([TEXTS[2], new[0], TEXTS[0], new[1]])
    assert sorted(updated.vocabulary) == sorted(anew.vocabulary)
    for query in ("returned days", "运费", "tents", "boots nothing"):
        one, other = LexicalIndex(updated).best(query, 4), LexicalIndex(anew).best(query, 4)
        assert [n for n, _ in one] == [n for n, _ in other]
        assert [s for _, s in one] == pytest.approx([s for _, s in other])
        words = asked_words(query)
        (first, asked), (second, again) = (
            (i, i.asked(words)) for i in (LexicalIndex(updated), LexicalIndex(anew))
        )
        assert first.unknown(asked) == pytest.approx(second.unknown(again))
        assert [first.coverage(asked, n) for n in range(4)] == pytest.approx(
            [second.coverage(again, n) for n in range(4)]
        )


def test_saved_terms_are_the_same_when_loaded(tmp_path: Path) -> None:
    Terms.of(TEXTS).save(tmp_path / "t")
    loaded = Terms.load(tmp_path / "t")
    assert LexicalIndex(loaded).best("tents", 3) == LexicalIndex(Terms.of(TEXTS)).best("tents", 3)
