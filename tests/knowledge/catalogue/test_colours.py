"""Which of a shop's colours is meant by one that a customer names."""

import pytest

from knowledge.catalogue.colours import _named, colour_name, colours_in, suits


@pytest.mark.parametrize(
    ("shop", "wanted", "is_one"),
    [
        ("navy", "blue", True),
        ("navy", "dark blue", True),
        ("navy", "light blue", False),
        ("blue", "navy", False),
        ("0.5 l black", "black", True),
        ("navy and white", "white", True),
        ("藏青色", "navy", True),
        ("浅灰色", "light grey", True),
        ("Havana", "Havana", True),
        ("oak", "black", False),
        ("", "black", False),
    ],
)
def test_a_shops_colour_suits_what_is_wanted(shop, wanted, is_one):
    assert suits(shop, wanted) is is_one


def test_every_name_of_a_colour_is_read_as_that_colour():
    for said, name in _named().items():
        text = said if said.isascii() else f"{said}色"
        assert [c.base for c in colours_in(text)] == [name], said


def test_colours_are_called_so_in_chinese():
    assert colour_name("navy", "zh") == "藏青色"
    assert colour_name("dark blue", "zh") == "深蓝色"
    assert colour_name("Havana", "zh") == "Havana"
    assert colour_name("navy", "en") == "navy"
