"""Numbers drawn anew: everywhere alike, and not where the customer says one."""

from __future__ import annotations

import random

from finetune.examples import Example, numbers_of
from finetune.prompt import Turn
from finetune.renumber import renumbered

PASSAGE = "Returns: unworn boots within 30 days, from £250 free. Outlet: 14 days."
EXAMPLE = Example(
    (PASSAGE,), (), "How long for boots?", "You have 30 days [1].", quotes=("Boots: 30 days.",)
)


def test_a_number_is_changed_alike_wherever_it_stands() -> None:
    other = renumbered(EXAMPLE, random.Random(1))
    assert other
    (number,) = numbers_of(other.reply.replace("[1]", ""))
    assert number != "30"
    assert len(number) == 2
    assert number in other.passages[0]
    assert other.quotes == (f"Boots: {number} days.",)
    assert other.reply.endswith("days [1].")


def test_a_question_with_a_number_keeps_its_numbers() -> None:
    asked = Example((PASSAGE,), (), "I bought boots 20 days ago", "You have 30 days [1].")
    said = Example((PASSAGE,), (Turn("customer", "20 days"),), "So?", "You have 30 days [1].")
    assert renumbered(asked, random.Random(1)) is None
    assert renumbered(said, random.Random(1)) is None


def test_a_reply_without_a_number_or_with_one_of_its_own_stays_as_it_is() -> None:
    for reply in ("Our documents don't say.", "You have 44 days [1]."):
        assert renumbered(Example((PASSAGE,), (), "How long?", reply), random.Random(1)) is None
