import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.hanzi import simplified
from knowledge.segment import search_terms


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("退貨與運費", "退货与运费"),
        ("退货与运费", "退货与运费"),
        ("Größe 42, 尺碼表", "Größe 42, 尺码表"),
        ("", ""),
    ],
)
def test_traditional_characters_become_simplified_ones(text, turned):
    assert simplified(text) == turned


@given(st.text())
def test_a_text_keeps_its_length(text):
    assert len(simplified(text)) == len(text)


def test_a_traditional_question_has_the_terms_of_a_simplified_passage():
    assert search_terms("退貨運費") == search_terms("退货运费")
