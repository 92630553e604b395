"""Slips of typing."""

from __future__ import annotations

import random

import pytest

from finetune.slips import letter_slips, same_sound, with_slips


def test_a_letter_is_left_out_doubled_swapped_or_missed():
    assert letter_slips("parcel", 2, "t") == ("pacel", "parrcel", "pacrel", "patcel")
    assert letter_slips("Parcel", 0, "o") == ("arcel", "PParcel", "aPrcel", "Oarcel")


def test_the_last_letter_is_swapped_with_the_one_before():
    assert letter_slips("lamp", 3, "o")[2] == "lapm"


def test_a_chinese_slip_keeps_the_sound():
    assert "推" in same_sound("腿")
    assert "退" not in same_sound("退")


@pytest.mark.parametrize("text", ["How do I return a parcel?", "我想退货，什么时候能收到退款？"])
def test_a_text_with_slips_is_another_one_of_about_the_same_length(text: str):
    rng = random.Random(3)
    for _ in range(50):
        slipped = with_slips(text, 0.15, rng)
        assert slipped != text
        assert abs(len(slipped) - len(text)) < 15
        assert slipped[-1] == text[-1]


def test_equal_seeds_slip_alike_and_what_cannot_slip_stays():
    text = "How do I return a parcel?"
    assert with_slips(text, 0.2, random.Random(1)) == with_slips(text, 0.2, random.Random(1))
    assert with_slips("ok 12?", 0.5, random.Random(1)) == "ok 12?"
    assert with_slips("", 0.5, random.Random(1)) == ""
