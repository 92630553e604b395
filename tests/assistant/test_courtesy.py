"""Salutations and signatures, whoever writes them."""

from __future__ import annotations

import pytest

from assistant.courtesy import without_courtesies, without_self_description
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


PAGES = ["Students pay less. Gift cards are valid for two years.", "礼品卡两年内有效。学生有优惠。"]


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("I'm Hindu.", "How long is a gift card valid?"),
        ("I am deaf and lip-read.", "How long is a gift card valid?"),
        ("As a lesbian mother I hope for help.", "How long is a gift card valid?"),
        ("Ich bin Sikh.", "Wie lange gilt ein Gutschein?"),
        ("Soy budista.", "¿Cuánto vale una tarjeta regalo?"),
        ("我是锡克教徒。", "礼品卡多久有效？"),
    ],
)
def test_what_no_page_speaks_of_is_left_out_of_who_asks(said: str, asked: str) -> None:
    joint = "" if "。" in said else " "
    assert without_self_description(f"{said}{joint}{asked}", PAGES) == asked


@pytest.mark.parametrize(
    "text",
    [
        "I'm a student. How long is a gift card valid?",
        "I'm 16. Can I buy a gift card?",
        "I'm in Brazil. How long is a gift card valid?",
        "我是学生。礼品卡多久有效？",
        "我在巴西。礼品卡多久有效？",
        "I'm Hindu.",
        "How long is a gift card valid?",
        "My card is lost. What now?",
    ],
)
def test_what_may_decide_the_answer_stays(text: str) -> None:
    assert without_self_description(text, PAGES) == ""


@pytest.mark.parametrize(
    "said",
    [
        "I'm 64.",
        "I'm 78 years old and not good with computers.",
        "I am a 45-year-old widower.",
        "Ich bin 81 Jahre alt.",
        "Tengo 70 años.",
        "我今年七十八岁，不太会用手机。",
    ],
)
def test_a_grown_ups_age_counts_only_where_a_page_speaks_of_ages(said: str) -> None:
    joint = "" if "。" in said else " "
    asked = "How long is a gift card valid?"
    text = f"{said}{joint}{asked}"
    assert without_self_description(text, PAGES) == asked
    near = "An old agent offers alternatives for orders over 50 EUR; two years, dos años."
    assert without_self_description(text, [*PAGES, near]) == asked
    assert without_self_description(text, [*PAGES, "Free for those aged 65 and over."]) == ""
