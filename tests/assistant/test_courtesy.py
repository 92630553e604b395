"""Salutations and signatures, whoever writes them."""

from __future__ import annotations

import pytest

from assistant.courtesy import without_courtesies
from assistant.followup import resolve
from assistant.types import Message

QUESTION = "How long is the reset link valid?"


@pytest.mark.parametrize(
    "frame",
    [
        "Hello! {}", "Hi there, {}", "Good morning, my name is Oluwaseun Adeyemi. {}",
        "Hi, I'm Siobhán O'Rourke. {}", "Dear Maplewick team, this is Fatima Al-Sayed. {}",
        "Hello, DeShawn Washington speaking. {}", "Hello, my name is 王秀英. {}",
        "{}\n\nKind regards,\nMohammed Hussain", "{}\nThanks!", "Guten Tag, ich heiße Ayşe Yıldırım. {}",
        "{}\n\nMit freundlichen Grüßen\nOlga Schmidt-Ivanova", "Hola, me llamo Xóchitl Ramírez. {}",
        "{}\n\nUn saludo,\nÍñigo Etxeberria", "您好，我叫阿依古丽。{}", "您好，我是 Michael Brown。{}", "{}\n谢谢！\n买买提",
    ],
)  # fmt: skip
def test_a_question_is_the_same_under_every_name(frame: str) -> None:
    assert without_courtesies(frame.format(QUESTION)) == QUESTION


def test_a_question_of_one_word_that_says_something_is_enough() -> None:
    assert (
        without_courtesies("Hello, my name is 王秀英. Where is my order?") == "Where is my order?"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Hello", "你好", "Hi, my name is Ada Byron.", "Thanks!", "",
        "I'm Irish. What does delivery cost?", "I am a student. How much is the discount?",
        "My vase arrived broken. How long may I report it?", "您是机器人还是真人？",
        "Thanks to the code I paid less. What is refunded?", "我是金卡会员。运费多少？",
        "This is Black. Can I exchange it for navy?",
        "Hello bot", "I am Emily Clarke and Sons' buyer. Do you invoice?", "How do I thank your team?\nCan I tip the driver?",
    ],
)  # fmt: skip
def test_what_may_be_part_of_the_question_stays(text: str) -> None:
    assert without_courtesies(text) == text


def test_a_follow_up_leans_on_the_question_and_not_on_the_name_above_it() -> None:
    history = [Message("customer", f"Hello, my name is Ada Byron. {QUESTION}")]
    follow_up = "and for guests without an account?"
    assert resolve(f"Hi, {follow_up}", history) == f"{QUESTION} {follow_up}"
