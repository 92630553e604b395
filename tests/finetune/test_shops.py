"""The shops that are shipped to train and calibrate on: whole, and apart from those measured on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finetune.command_line import DEMO, SHOPS, UNSEEN_SHOPS
from finetune.errors import DataError
from finetune.reranker_data import (
    Shop,
    demo_shops,
    require_both_kinds,
    shop_chunks,
    shops_below,
)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "shops"


@pytest.mark.parametrize("folder", [SHOPS, UNSEEN_SHOPS, BENCHMARKS])
def test_every_fact_stands_in_a_relevant_passage_of_its_shop(folder: Path) -> None:
    for shop in shops_below(folder):
        texts = {i: " ".join(text.split()) for i, _, text in shop.passages}
        for question in shop.questions:
            held = " ".join(texts[i] for i in question.relevant)
            for alternatives in question.facts:
                assert any(" ".join(f.split()) in held for f in alternatives), (
                    shop.name, question.text,
                )  # fmt: skip


def test_training_questions_of_the_demo_shop_are_not_the_golden_ones() -> None:
    golden = (DEMO / "golden.jsonl").read_text(encoding="utf-8")
    for shop in demo_shops(DEMO):
        assert len(shop.questions) > 300
        assert not [q.text for q in shop.questions if f'"{q.text}"' in golden]


def test_no_passage_is_in_two_of_the_sets() -> None:
    def passages(shops: list[Shop]) -> set[str]:
        return {chunk.text for shop in shops for chunk in shop_chunks(shop)}

    trained, unseen, measured = map(passages, map(shops_below, (SHOPS, UNSEEN_SHOPS, BENCHMARKS)))
    assert not trained & unseen
    assert not trained & measured
    assert not unseen & measured


def test_training_shops_hold_both_languages_and_as_many_misses_as_the_reader_needs() -> None:
    shops = shops_below(SHOPS)
    chinese = [s for s in shops if s.name.startswith("zh-")]
    assert len(shops) - len(chinese) >= 70
    assert len(chinese) >= 28
    missed = sum(not q.relevant for s in shops for q in s.questions)
    assert missed > 0.35 * sum(len(s.questions) for s in shops)


def test_shops_without_unanswered_questions_cannot_calibrate() -> None:
    shops = shops_below(UNSEEN_SHOPS)
    require_both_kinds(shops)
    answered = [replace(s, questions=tuple(q for q in s.questions if q.relevant)) for s in shops]
    with pytest.raises(DataError, match="answered"):
        require_both_kinds(answered)
