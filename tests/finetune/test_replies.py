"""Lessons drawn from shops, and the written replies that are shipped."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from finetune.command_line import REPLIES, SHOPS, UNSEEN_SHOPS
from finetune.errors import DataError
from finetune.examples import MARK, numbers_of
from finetune.replies import ShopBooks, Sources, extract_examples, lesson, reply_examples
from finetune.reranker_data import Shop, read_records, read_shop, shops_below
from finetune.settings import InstructRecipe
from knowledge.encoder import Encoder

ROWS = [
    {
        "id": f"ret-{code}",
        "title": f"Returns {country}",
        "text": f"From {country} you send goods back within {days} days. Postage is yours.",
        "answered": [[f"How long for a return from {country}?", f"within {days} days"]],
        "missed": [f"May I return by courier from {country}?"],
    }
    for code, country, days in (("uk", "Britain", 30), ("ie", "Ireland", 21), ("fr", "France", 14))
]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    path = tmp_path / "boots.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return read_shop(path)


def test_citations_by_id_become_the_numbers_of_the_passages(shop: Shop, encoder: Encoder) -> None:
    record = {
        "question": "And from Cork?",
        "history": ["How long from London?", "30 days."],
        "passages": ["ret-ie", "ret-uk"],
        "reply": "You have 21 days from Ireland [ret-ie]. From Britain it is 30 [ret-uk].",
    }
    for seed in range(8):
        (example,) = reply_examples(ShopBooks(shop, encoder), [record], random.Random(seed))
        first, second = (int(m.strip(" []")) for m in MARK.findall(example.reply))
        assert "21 days" in example.passages[first - 1]
        assert "30 days" in example.passages[second - 1]
        assert [t.role for t in example.history] == ["customer", "agent"]
        assert len(set(example.passages)) == len(example.passages) <= 3


def test_copies_of_a_reply_stand_among_different_near_misses(shop: Shop, encoder: Encoder) -> None:
    record = {"question": "q", "history": [], "passages": ["ret-uk"], "reply": "30 days [ret-uk]."}
    found = list(reply_examples(ShopBooks(shop, encoder), [record], random.Random(2), copies=8))
    assert len(found) == 8
    assert len({e.passages for e in found}) > 2
    for example in found:
        number = int(MARK.findall(example.reply)[0].strip(" []"))
        assert "30 days" in example.passages[number - 1]


def test_a_reply_citing_an_unknown_passage_is_left_out(shop: Shop, encoder: Encoder) -> None:
    record = {"question": "?", "history": [], "passages": ["x"], "reply": "Yes [x]."}
    assert not list(reply_examples(ShopBooks(shop, encoder), [record], random.Random(0)))


def test_questions_are_answered_by_the_sentence_with_the_fact_or_refused(
    shop: Shop, encoder: Encoder
) -> None:
    examples = list(extract_examples(ShopBooks(shop, encoder), random.Random(1)))
    answered = [e for e in examples if MARK.search(e.reply)]
    assert len(answered) == len(examples) - len(answered) == len(ROWS)
    for example in answered:
        number = int(MARK.findall(example.reply)[0].strip(" []"))
        assert MARK.sub("", example.reply) in example.passages[number - 1]


def test_a_lesson_is_the_same_each_time_and_says_which_file_is_broken(
    shop: Shop, encoder: Encoder, tmp_path: Path
) -> None:
    recipe = InstructRecipe(copies=2, extracts=4, seed=3)
    record = {"question": "q", "history": [], "passages": ["ret-uk"], "reply": "30 days [ret-uk]."}
    (tmp_path / "replies").mkdir()
    path = tmp_path / "replies" / "boots.jsonl"
    path.write_text(json.dumps(record) + "\n")
    sources = Sources((shop,), path.parent)
    assert lesson(sources, encoder, recipe) == lesson(sources, encoder, recipe)
    assert len(lesson(sources, encoder, recipe)) == 6
    path.write_text("{")
    with pytest.raises(DataError, match=r"boots\.jsonl"):
        lesson(sources, encoder, recipe)


@pytest.mark.parametrize("folder", [SHOPS, UNSEEN_SHOPS])
def test_shipped_replies_cite_their_shop_and_state_no_number_that_is_not_there(
    folder: Path,
) -> None:
    replies = 0
    for shop in shops_below(folder):
        texts = {i: f"{title} {text}" for i, title, text in shop.passages}
        path = REPLIES / f"{shop.name}.jsonl"
        for record in read_records(path) if path.is_file() else ():
            replies += 1
            cited = re.findall(r"\[([^\]]+)\]", record["reply"])
            assert {*cited, *record["passages"]} <= set(texts), (shop.name, record["question"])
            said = numbers_of(re.sub(r"\[[^\]]+\]", "", record["reply"]))
            held = " ".join([*(texts[i] for i in cited), record["question"], *record["history"]])
            assert not cited or said <= numbers_of(held), (shop.name, record["reply"])
    assert replies > 500


def test_every_passage_has_a_sentence_pointed_at(shop: Shop, encoder: Encoder) -> None:
    for example in extract_examples(ShopBooks(shop, encoder), random.Random(3), copies=3):
        assert len(example.quotes) == len(example.passages)
        pairs = zip(example.quotes, example.passages, strict=True)
        assert all(quote and quote in passage for quote, passage in pairs)


def test_a_reply_in_words_of_its_own_is_left_out_where_that_is_asked(
    shop: Shop, encoder: Encoder
) -> None:
    own, theirs = (
        {"question": "From Cork?", "history": [], "passages": ["ret-ie"], "reply": reply}
        for reply in (
            "Three weeks is all we are happy to grant folks [ret-ie].",
            "From Ireland you send goods back within 21 days [ret-ie].",
        )
    )
    books = ShopBooks(shop, encoder)
    found = list(reply_examples(books, [own, theirs], random.Random(2), supported=True))
    assert [e.reply[:12] for e in found] == ["From Ireland"]
