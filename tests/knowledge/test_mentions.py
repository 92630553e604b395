from collections import Counter

import pytest

from knowledge.mentions import Mention, Titles
from knowledge.segment import content_words

HEADS = [
    "Gift cards", "Gift cards for companies", "Acorn House", "Acorn House", "Returns", "Returns",
    "The", "礼品卡",
]  # fmt: skip
ELSEWHERE = ["A return costs GBP 3.", "Returned gifts", "A card for you"]
HOLDING = Counter(word for text in HEADS + ELSEWHERE for word in set(content_words(text)))
TITLES = Titles(HEADS, HOLDING.__getitem__)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("I paid with GIFT-CARDS, twice: gift cards!", ["Gift cards"]),
        ("Are gift cards for companies taxed?", ["Gift cards for companies"]),
        ("Acorn House takes gift cards.", ["Acorn House", "Gift cards"]),
        ("可以用礼品卡付款吗", ["礼品卡"]),
        ("The house of acorns", []),
        ("", []),
    ],
)
def test_titles_are_found_in_a_text_the_longer_one_first(text, named):
    assert [m.title for m in TITLES.in_text(text)] == named


def test_a_title_that_heads_several_passages_and_stands_nowhere_else_is_a_name():
    assert TITLES.in_text("acorn house") == [Mention("Acorn House", is_name=True)]
    assert TITLES.in_text("returns") == [Mention("Returns", is_name=False)]
    assert TITLES.in_text("礼品卡") == [Mention("礼品卡", is_name=False)]


def test_without_titles_nothing_is_found():
    assert Titles([], HOLDING.__getitem__).in_text("gift cards") == []
