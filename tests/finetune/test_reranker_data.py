"""Questions that customers were replied to, as the reader learns from them."""

from __future__ import annotations

import json
from pathlib import Path

from finetune.reranker_data import Shop, answers, shop_chunks, with_replied

SHOP = Shop(
    "boots",
    (
        ("ret", "Returns", "Unworn boots come back within 30 days. Outlet boots have 14 days."),
        ("fit", "Fitting", "Fitting is free. It takes an hour."),
    ),
    (),
)


def replied(folder: Path, *records: tuple[str, list[str], str]) -> Shop:
    """The shop with questions, history and replies."""
    rows = [
        {"question": q, "history": h, "passages": ["ret"], "reply": reply}
        for q, h, reply in records
    ]
    (folder / "boots.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return with_replied(SHOP, folder)


def test_the_sentence_that_a_reply_rests_on_is_the_answer(tmp_path: Path) -> None:
    shop = replied(tmp_path, ("sale boots?", [], "Sure. Outlet boots have 14 days [ret]."))
    (question,) = shop.questions
    assert question.relevant == ("ret",)
    assert question.facts == (("Outlet boots have 14 days.",),)
    assert any(answers(chunk, question) for chunk in shop_chunks(shop))


def test_a_refusal_is_a_question_that_nothing_answers(tmp_path: Path) -> None:
    (question,) = replied(tmp_path, ("boots for dogs?", [], "Our pages don't say.")).questions
    assert not question.relevant
    assert not question.facts


def test_follow_ups_and_replies_from_two_passages_are_left_out(tmp_path: Path) -> None:
    shop = replied(
        tmp_path,
        ("and outlet?", ["How long?", "30 days [ret]."], "Outlet boots have 14 days [ret]."),
        ("both?", [], "30 days [ret]. Fitting is free [fit]."),
    )
    assert not shop.questions
    assert with_replied(SHOP, tmp_path / "none").questions == ()
