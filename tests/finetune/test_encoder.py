"""Teaching the encoder words, at toy size with the real MiniLM."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.encoder import Lessons, Recipe, contrast, train_encoder
from finetune.encoder_questions import (
    Answered,
    answered_questions,
    draw_questions,
    grounded_questions,
)
from finetune.encoder_words import added_words, words_of
from finetune.reranker_data import Shop, ShopQuestion
from knowledge.encoder import Encoder, MiniLM
from knowledge.minilm import minilm_folder

PAIRS = [
    ("退货免费", "returns are free"),
    ("退货需要三天", "returns take three days"),
    ("运费免费", "shipping is free"),
    ("运费需要三元", "shipping takes three yuan"),
]
SHOP = Shop(
    "toy",
    (("a", "Returns", "Returns are free."), ("b", "Shipping", "Shipping costs GBP 3.")),
    (
        ShopQuestion("send it back?", ("a",), (("free",),)),
        ShopQuestion("postage?", ("b",), (("GBP 3",),)),
        ShopQuestion("opening hours?", (), ()),
    ),
)


def test_only_questions_with_an_answer_are_paired_with_the_chunk_that_holds_it(
    encoder: Encoder,
) -> None:
    answered = answered_questions(SHOP, encoder)
    assert [(a.question, a.document) for a in answered] == [
        ("send it back?", "a"),
        ("postage?", "b"),
    ]
    assert answered[1].chunk.endswith("Shipping costs GBP 3.")
    assert answered[1].misses == (answered[0].chunk,)


def test_a_near_miss_is_pushed_away_by_the_contrast() -> None:
    questions, right = torch.eye(2, 4), torch.eye(2, 4)
    near, far = questions * 0.9, torch.eye(4)[2:]
    assert contrast(questions, right, near) > contrast(questions, right, far)


def test_a_few_steps_bring_translations_together_and_the_result_goes_on(
    tmp_path: Path, encoder: Encoder
) -> None:
    shops = [answered_questions(SHOP, encoder)]
    words = added_words([f"{zh} " * 3 for zh, _ in PAIRS], PAIRS, 10)
    assert "退货" in words.tokens
    recipe = Recipe(steps=12, parallel=4, english=2, questions=2, documents=2, rank=4)
    lessons = Lessons(PAIRS, shops, shops)
    train_encoder(tmp_path / "one", words, lessons, recipe)
    taught = MiniLM(minilm_folder(), tmp_path / "engines", 2, tmp_path / "one")
    vectors = taught.embed([text for pair in PAIRS for text in pair])
    own = (vectors[::2] * vectors[1::2]).sum(1)
    plain = MiniLM(minilm_folder(), tmp_path / "engines", 2).embed([t for p in PAIRS for t in p])
    assert own.mean() > (plain[::2] * plain[1::2]).sum(1).mean() + 0.2
    assert taught.known_share("退货") == 1
    train_encoder(
        tmp_path / "two", words_of(tmp_path / "one"), lessons, recipe, start=tmp_path / "one"
    )
    first, second = (words_of(tmp_path / name) for name in ("one", "two"))
    assert np.array_equal(first.vectors, second.vectors)  # only the adapter went on
    further = MiniLM(minilm_folder(), tmp_path / "engines", 2, tmp_path / "two")
    assert further.name != taught.name
    assert further.embed(["退货"]) @ taught.embed(["退货"]).T == pytest.approx(1, abs=0.3)


def test_grounded_questions_keep_what_is_read_around_the_answer(tmp_path: Path) -> None:
    long = "Delivery\n" + "Nothing is said here. " * 40 + "It takes three days."
    rows: list[dict[str, object]] = [
        {"source": "shop", "question": "How long?", "passages": [long, "Returns\nFree."],
         "passage": 0, "span": [long.index("It takes"), len(long)]},
        {"source": "DRCKnowledgeTeam/DRCD dev", "question": "?", "passages": ["a\nb"],
         "passage": 0, "span": None},
        {"source": "shop", "turns": [], "passages": ["a\nb"], "passage": 0, "span": None},
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    (found,) = grounded_questions(path, random.Random(1))
    assert found.chunk.startswith("Delivery\n")
    assert found.chunk.endswith("It takes three days.")
    assert len(found.chunk) < 650
    assert found.misses == ("Returns\nFree.",)


def test_questions_are_drawn_from_different_documents() -> None:
    rows = [Answered(f"q{n}", f"c{n}", f"d{n % 3}", ()) for n in range(12)]
    drawn = draw_questions(rows, 5, random.Random(2))
    assert sorted(each.document for each in drawn) == ["d0", "d1", "d2"]
