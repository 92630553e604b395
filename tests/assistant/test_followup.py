import pytest

from assistant.followup import is_follow_up, resolve
from assistant.types import Message

JACKET = Message("customer", "How long do I have to return a jacket?")
REPLY = Message("assistant", "30 days from delivery.")


@pytest.mark.parametrize(
    "text",
    [
        "and for shoes?",
        "What about Germany?",
        "那鞋子呢?",
        "and express?",
        "how much is it?",
        "when?",
    ],
)
def test_a_follow_up_takes_the_question_it_leans_on(text):
    assert resolve(text, [JACKET, REPLY]) == f"{JACKET.text} {text}"


@pytest.mark.parametrize(
    "text",
    [
        "How much does express delivery to France cost?",
        "我的包裹显示签收但是没有收到怎么办",
        "Do you repair coffee machines bought in 2024?",
        "How do I cancel my order?",
        "Do you sell an atlas?",
    ],
)
def test_a_whole_question_stands_alone(text):
    assert resolve(text, [JACKET, REPLY]) == text


def test_a_chain_of_follow_ups_reaches_the_first_question():
    history = [JACKET, REPLY, Message("customer", "and for shoes?"), REPLY]
    assert resolve("and in Canada?", history) == f"{JACKET.text} and in Canada?"


def test_without_history_nothing_is_added():
    assert is_follow_up("and for shoes?")
    assert resolve("and for shoes?", []) == "and for shoes?"
