"""Training examples and the default support check."""

from __future__ import annotations

from typing import Any

import pytest

from finetune.examples import (
    Example,
    borne_out,
    collate,
    encode,
    encode_all,
    examples_of,
    numbers_of,
    supported_by_words,
    supported_share,
    with_marks,
)
from finetune.prompt import PromptTemplate, Turn
from finetune.rows import Row

PASSAGES = ["Returns: Unworn shoes can be returned within 30 days for £4.95.", "Repairs cost £10."]


class CharacterTokenizer:
    """One token a character."""

    pad_token_id = 0

    def __call__(self, text: str | list[str], add_special_tokens: bool = True) -> dict[str, Any]:
        if isinstance(text, str):
            return {"input_ids": [ord(c) for c in text]}
        return {"input_ids": [[ord(c) for c in one] for one in text]}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Unworn shoes can be returned within 30 days.", True),
        ("Unworn shoes can be returned within 30 days [1].", True),
        ("Unworn shoes can be returned within 60 days.", False),
        ("Unworn shoes can be returned within 3 days.", False),
        ("Returned shoes cost £4.95.", True),
        ("Our founder loves elephants.", False),
        ("", False),
    ],
)
def test_a_reply_is_supported_by_its_numbers_and_words(reply: str, expected: bool) -> None:
    assert supported_by_words(reply, PASSAGES) is expected


def test_a_thousands_separator_does_not_matter() -> None:
    assert supported_by_words("It costs 1250 pounds", ["The sofa costs 1,250 pounds"])


def test_supported_sentences_are_marked_with_their_passage() -> None:
    reply = "Sure! Shoes can be returned within 30 days. Repairs cost just £10!"
    assert with_marks(reply, PASSAGES) == (
        "Sure! Shoes can be returned within 30 days [1]. Repairs cost just £10 [2]!"
    )


def test_chinese_sentences_are_marked_before_their_full_stop() -> None:
    passages = ["退货政策：未穿过的鞋子可以在30天内退货。"]
    assert with_marks("鞋子可以在30天内退货。", passages) == "鞋子可以在30天内退货 [1]。"


def test_a_replys_share_counts_the_sentences_that_claim_something() -> None:
    reply = "Sure, no problem! Shoes can be returned within 30 days. Our founder loves elephants."
    assert supported_share(reply, PASSAGES) == 0.5
    assert supported_share("You are welcome! Anything else that I can look up?", PASSAGES) is None
    assert supported_share("Returned within 60 days.", PASSAGES) == 0.0


def test_what_no_passage_bears_out_is_not_learnt() -> None:
    replies = [
        "Sure! Shoes can be returned within 30 days [1]. Our founder loves elephants.",
        "Hello! Our founder loves elephants.",
        "You are welcome!",
    ]
    kept = borne_out(Example(tuple(PASSAGES), (), "q", reply) for reply in replies)
    assert [e.reply for e in kept] == [
        "Sure! Shoes can be returned within 30 days [1].",
        "You are welcome!",
    ]
    without = Example((), (), "q", replies[1])
    assert list(borne_out([without])) == [without]


def test_each_reply_to_a_customer_is_an_example() -> None:
    turns = (
        Turn("agent", "Welcome"), Turn("customer", "A?"), Turn("agent", "a"),
        Turn("customer", "B?"), Turn("agent", "b"), Turn("customer", "Bye"),
    )  # fmt: skip
    found = list(examples_of([Row("x", "h", "en", "", (), turns)]))
    assert [(e.question, e.reply, len(e.history)) for e in found] == [
        ("A?", "a", 1),
        ("B?", "b", 3),
    ]


def test_only_the_agents_reply_is_learned() -> None:
    example = Example(("p",), (Turn("customer", "q0"), Turn("agent", "r0")), "q1", "r1")
    row = encode(example, CharacterTokenizer(), PromptTemplate(), 400)
    batch = collate([row, row], pad_id=0)
    learned = batch["input_ids"][0][batch["labels"][0] != -100]
    assert "".join(map(chr, learned.tolist())) == "r1<|end|>"


@pytest.mark.parametrize("limit", [32, 64, 100])
def test_an_example_never_exceeds_its_budget(limit: int) -> None:
    example = Example(("p" * 500,), (), "q" * 300, "r" * 300)
    row = encode(example, CharacterTokenizer(), PromptTemplate(), limit)
    assert len(row.ids) <= limit
    assert 0 < row.prompt_tokens < len(row.ids)


def test_numbers_end_at_a_chinese_comma_but_keep_their_thousands() -> None:
    assert numbers_of("满1000减100，10月") == {"1000", "100", "10"}
    assert numbers_of("1,500 or １５００ at 2.50") == {"1500", "2.50"}


def test_encoding_many_at_once_cuts_those_that_are_too_long_alike() -> None:
    tokenizer, template = CharacterTokenizer(), PromptTemplate()
    examples = [
        Example(("p" * n,), (Turn("customer", "q0"),), "q1", "r" * (n // 2), quotes=("p",))
        for n in (5, 40, 500)
    ]
    found = encode_all(examples, tokenizer, template, 120)
    assert found == [encode(e, tokenizer, template, 120) for e in examples]
    assert len(found[0].ids) < len(found[2].ids) <= 120


def test_the_sentence_that_a_reply_cites_is_mostly_pointed_at() -> None:
    passages = (
        "Socks are not taken back. Unworn shoes can be returned within 30 days.",
        "Repairs: £10.",
    )
    said = Turn("agent", "Unworn shoes can be returned within 30 days.")
    rows = [
        Row(str(n), "h", "en", "", passages, (Turn("customer", f"Socks {n}?"), said))
        for n in range(60)
    ]
    quotes = [e.quotes for e in examples_of(rows)]
    assert {q[1] for q in quotes} == {passages[1]}
    right = sum(q[0] == said.text for q in quotes)
    assert 45 <= right < 60
