"""Cleaning: what stays of mails and pages, what many dialogues share, what nobody should learn."""

from __future__ import annotations

import pytest

from finetune.cleaning import Boilerplate, NearDuplicates, before_abuse, plain
from finetune.prompt import Turn

NOTICE = "This message and its attachments are meant for the person named above alone."
STORY = (
    "I ordered the green kettle two weeks ago, it came with a dent in the lid and without the cord, "
    "and nobody picks up the phone. I would like to have my money back, please, because the shop in "
    "town has the same one for ten euros less and it has all its parts."
)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("<p>Sent <b>today</b>.</p><p>Thanks&nbsp;&amp; bye</p>", "Sent today.\nThanks & bye"),
        ("Sent today.\n\nBest regards,\nTom Smith\nCustomer care", "Sent today."),
        ("Sent today.\n\nOn Tue, 3 Mar 2026, Ann <a@x.com> wrote:\n> Where is it?", "Sent today."),
        ("Unterwegs.\n\nMit freundlichen Grüßen\nTim Groß", "Unterwegs."),
        ("Price < 5 and > 3 for A&B", "Price < 5 and > 3 for A&B"),
        ("  Two   spaces \n\n\n\nand a line ", "Two spaces\n\nand a line"),
        ("Send me your regards.", "Send me your regards."),
        ("> quoted only", "> quoted only"),
    ],
)
def test_markup_quotes_and_signatures_go(said: str, left: str) -> None:
    assert plain(said) == left


def test_long_lines_that_most_dialogues_share_go() -> None:
    said = [[Turn("customer", NOTICE), Turn("agent", f"Answer {n}.\n{NOTICE}")] for n in range(30)]
    lines = Boilerplate(said)
    assert lines.without(said[0][1]) == Turn("agent", "Answer 0.")
    assert lines.without(said[0][0]) == said[0][0]  # a customer may say what he likes
    few = Boilerplate(said[:10])
    assert few.without(said[0][1]) == said[0][1]


def test_dialogues_that_differ_in_a_word_are_near_duplicates() -> None:
    found = NearDuplicates()

    def seen(text: str) -> bool:
        return found.seen([Turn("customer", text), Turn("agent", "I am sorry to hear that.")])

    assert not seen(STORY)
    assert seen(STORY.replace("euros", "pounds"))
    assert not seen(STORY.replace("kettle", "lamp").replace("lid", "shade").replace("cord", "bulb"))
    assert not seen("Where is it?")
    assert not seen("Where is it?")  # short ones are alike by nature


@pytest.mark.parametrize(
    "insult", ["You idiot, read the page.", "Lies doch, du Trottel!", "你这个白痴"]
)
def test_a_dialogue_ends_before_an_agent_insults(insult: str) -> None:
    kept = [Turn("customer", "You idiots!"), Turn("agent", "I am sorry.")]
    turns = [*kept, Turn("customer", "Well?"), Turn("agent", insult), Turn("customer", "!")]
    assert before_abuse(turns) == [*kept, turns[2]]
    assert before_abuse(kept) == kept
