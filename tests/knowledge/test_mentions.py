import pytest

from knowledge.mentions import Mention, Titles

TITLES = Titles(
    ["Gift cards", "Gift cards for companies", "Acorn House", "Acorn House", "The", "礼品卡"]
)


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


def test_a_mention_says_how_many_documents_have_the_title():
    assert TITLES.in_text("acorn house") == [Mention("Acorn House", 2)]


def test_without_titles_nothing_is_found():
    assert Titles([]).in_text("gift cards") == []
