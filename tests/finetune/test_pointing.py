"""What the reader would point at: the sentence that a reply rests on, nine times in ten."""

from __future__ import annotations

import random

from finetune.pointing import POINTED_RIGHT, pointed

PASSAGE = (
    "Boots: Unworn boots come back within 30 days. Laces are sold apart. Outlet boots: 14 days."
)


def test_the_sentence_that_was_said_is_pointed_at_mostly() -> None:
    rng = random.Random(4)
    found = [
        pointed(PASSAGE, "Laces?", ["You have 14 days for outlet boots."], rng) for _ in range(400)
    ]
    assert {*found} == {"Outlet boots: 14 days.", "Laces are sold apart."}
    assert abs(found.count("Outlet boots: 14 days.") / 400 - POINTED_RIGHT) < 0.05


def test_two_sentences_said_of_a_passage_come_in_its_order() -> None:
    said = ["Outlet boots have 14 days.", "Unworn boots come back within 30 days."]
    found = {pointed(PASSAGE, "Laces?", said, random.Random(n)) for n in range(8)}
    first, last = "Boots: Unworn boots come back within 30 days.", "Outlet boots: 14 days."
    assert f"{first} {last}" in found


def test_where_nothing_was_said_it_is_the_sentence_nearest_to_the_question() -> None:
    assert pointed(PASSAGE, "Do you sell laces?", (), random.Random(0)) == "Laces are sold apart."
    assert pointed("", "Do you sell laces?", (), random.Random(0)) == ""
