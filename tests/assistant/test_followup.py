import pytest

from assistant.followup import is_follow_up, resolve
from assistant.types import Message
from knowledge.mentions import Mention, Titles

JACKET = Message("customer", "How long do I have to return a jacket?")
REPLY = Message("assistant", "30 days from delivery.")


@pytest.mark.parametrize(
    "text",
    [
        "and for shoes?",
        "und für Schuhe?",
        "¿y para zapatos?",
        "gilt das auch",
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


CATALOGUE = Titles(
    ["Acorn House", "Acorn House", "Alpine Jacket", "Returns", "Returns"],
    lambda word: 9 * (word == "return"),
)


def names(text: str) -> list[Mention]:
    return CATALOGUE.in_text(text)


@pytest.mark.parametrize(
    ("reply", "text", "named"),
    [
        ("I recommend the Acorn House.", "Is the place quiet at night?", "Acorn House"),
        ("The Alpine Jacket is in stock.", "Is it waterproof and warm?", "Alpine Jacket"),
        (
            "Acorn House, or the Alpine Jacket.",
            "Are they cheap to get?",
            "Acorn House Alpine Jacket",
        ),
        ("Alpine Jacket 现在有货。", "这个可以用洗衣机洗干净吗", "Alpine Jacket"),
    ],
)
def test_what_was_named_last_is_named_in_the_question(reply, text, named):
    history = [Message("customer", "Hello there"), Message("assistant", reply)]
    assert resolve(text, history, names) == f"{named} {text}"


@pytest.mark.parametrize(
    "text",
    [
        "Does the Alpine Jacket shrink in the wash?",  # names something itself
        "Which sizes of rucksack do you sell?",  # leans on nothing
        "Is there a shop that I can visit in Leeds?",
        "My parcel arrived damaged yesterday and the kettle is broken, is it covered?",
        "I want to return the boots that I bought last week",
        "Where is the nearest shop in Leeds?",  # a part of something, but only subjects were named
    ],
)
def test_a_question_about_something_else_takes_no_name(text):
    history = [Message("assistant", "See Returns. The Alpine Jacket is in stock.")]
    assert resolve(text, history, names) == text
