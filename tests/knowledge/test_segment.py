import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.segment import content_words, is_cjk, search_terms, split_sentences, stem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Free from £45. Express costs more!", ["Free from £45.", "Express costs more!"]),
        ("It costs EUR 4.90 by post.", ["It costs EUR 4.90 by post."]),
        (
            "Small items, e.g. socks, fit. Boots do not.",
            ["Small items, e.g. socks, fit.", "Boots do not."],
        ),
        ("七天内可退。运费自理!", ["七天内可退。", "运费自理!"]),
        ("One line\nanother line", ["One line", "another line"]),
        ("   ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text, expected):
    assert split_sentences(text) == expected


@pytest.mark.parametrize(
    "forms",
    [
        ("return", "returns", "returned", "returning"),
        ("policy", "policies"),
        ("ship", "shipping", "shipped"),
    ],
)
def test_forms_of_a_word_share_a_stem(forms):
    assert len({stem(form) for form in forms}) == 1


def test_words_that_mean_different_things_keep_different_stems():
    assert stem("price") != stem("print")
    assert stem("address") == "address"


def test_question_words_carry_no_content():
    assert content_words("How long do I have to return the shoes?") == [
        stem("long"),
        stem("return"),
        stem("shoes"),
    ]


def test_chinese_terms_include_character_pairs():
    assert {"退货", "运费"} <= set(search_terms("退货运费谁承担"))


def test_mixed_text_is_cjk_when_a_third_is():
    assert is_cjk("iPhone 什么时候到货")
    assert not is_cjk("What does 包邮 mean on the product page?")


@given(st.text())
def test_any_text_can_be_segmented(text):
    search_terms(text)
    assert all(sentence.strip() for sentence in split_sentences(text))


def test_digits_do_not_swallow_the_chinese_words_behind_them():
    assert {"30", "退货"} <= set(content_words("30天内可以退货"))
