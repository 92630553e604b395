"""Which words are mended, and which stay."""

import pytest

from knowledge.catalogue.spelling import Speller, english_words


@pytest.mark.parametrize(
    ("word", "mended"),
    [
        ("jackt", "jacket"),
        ("jakcet", "jacket"),
        ("hedphnes", "headphones"),
        ("Jacket", "Jacket"),
        ("racket", "racket"),
        ("jct", "jct"),
        ("zzzzzz", "zzzzzz"),
    ],
)
def test_a_word_is_mended_by_the_nearest_that_begins_alike(word, mended):
    assert Speller({"jacket", "headphones"}).word(word) == mended


def test_an_english_word_is_no_typing_error():
    speller = Speller({"coats"}, english_words())
    assert speller.mended("the coast, two coaats") == "the coast, two coats"
