"""The verifier's statements, its training and its calibration, on toy shops with the real MiniLM."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from finetune.command_line import SHOPS, UNSEEN_SHOPS
from finetune.corrupt import without_condition
from finetune.errors import DataError
from finetune.pair_training import PairRecipe, network
from finetune.reader_commands import STATEMENTS, UNSEEN_STATEMENTS
from finetune.reranker_data import Shop, ShopQuestion, shops_below
from finetune.verifier import Lessons, train_verifier
from finetune.verifier_data import (
    CONTRADICTED,
    SUPPORTED,
    UNSTATED,
    Shelves,
    Statement,
    answer_statements,
    learnt,
    passage_statements,
    reply_statements,
    written_statements,
)
from finetune.verifier_report import calibrate_verifier, verifier_scores
from knowledge.encoder import Encoder
from knowledge.reading_net import ReadingNet
from knowledge.verifier import Verdict, Verifier

BOOTS = (
    "Boots come back within 21 days if they are unworn. Postage costs GBP 3. "
    "Send them to Leeds in their box."
)
SOCKS = "Socks come back within 9 days. We pay the postage. Open packs stay with you for good."


@pytest.fixture
def shop() -> Shop:
    passages = (("boots", "Boots", BOOTS), ("socks", "Socks", SOCKS))
    questions = (
        ShopQuestion("boots too small, how long?", ("boots",), (("21 days",),)),
        ShopQuestion("who pays for sending socks back?", ("socks",), (("We pay",),)),
        ShopQuestion("and hats?", (), ()),
    )
    return Shop("toy", passages, questions)


@pytest.fixture
def shelves(shop: Shop, encoder: Encoder) -> Shelves:
    return Shelves(shop, encoder)


def kinds(statements: list[Statement]) -> set[tuple[int, str]]:
    return {(s.verdict, s.kind) for s in statements}


def test_a_reply_is_true_beside_its_passage_and_false_when_changed_or_elsewhere(
    shelves: Shelves,
) -> None:
    reply = {"question": "q", "reply": "Of course. You have 21 days to send boots back [boots]."}
    found = [s for n in range(8) for s in reply_statements([reply], shelves, random.Random(n))]
    assert kinds(found) == {
        (SUPPORTED, ""),
        (CONTRADICTED, "changed"),
        (UNSTATED, "neighbour"),
        (UNSTATED, "taken out"),
    }
    for statement in found:
        said_here = "21 days" in statement.text and "21 days" in statement.sentence
        assert said_here == (statement.verdict == SUPPORTED)


def test_an_answer_is_true_with_its_own_fact_beside_its_own_passage(shelves: Shelves) -> None:
    found = list(answer_statements(shelves, random.Random(1), 1.0))
    true = [s for s in found if s.verdict == SUPPORTED]
    assert {s.sentence for s in true} == {
        "boots too small, how long? 21 days",
        "who pays for sending socks back? We pay",
    }
    assert all("boots" not in s.text for s in true if "socks" in s.sentence)


def test_a_rule_without_its_condition_is_not_what_the_passage_says(shelves: Shelves) -> None:
    found = [s for n in range(20) for s in passage_statements(shelves, random.Random(n), 2)]
    bare = {s.sentence for s in found if s.kind == "condition-dropped"}
    assert bare == {"Boots come back within 21 days."}


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("If it is sealed, you can return it within 30 days.", "You can return it within 30 days."),
        ("We refund the postage unless the fault is yours.", "We refund the postage."),
        ("Wir holen es ab, wenn es mehr als 30 kg wiegt.", "Wir holen es ab."),
        ("El envío es gratis, salvo en Canarias.", "El envío es gratis."),
        ("如果商品未拆封，您可以在7天内退货。", "您可以在7天内退货。"),
        ("We ship on Mondays.", None),
    ],
)
def test_conditions_are_found_in_four_languages(sentence: str, left: str | None) -> None:
    assert without_condition(sentence) == left


def test_kinds_kept_for_measuring_are_never_learnt(shelves: Shelves, tmp_path: Path) -> None:
    row = {
        "id": "boots",
        "supported": ["Unworn boots can be sent back for 21 days."],
        "contradicted": [["Send them to York.", "place"], ["You have 12 days.", "number"]],
        "unstated": [["They will call you.", "actor"]],
    }
    path = tmp_path / "toy.jsonl"
    path.write_text(json.dumps(row))
    found = list(written_statements(path, shelves))
    assert len(found) == 4
    assert kinds(learnt(found)) == {(SUPPORTED, ""), (CONTRADICTED, "number")}
    path.write_text(json.dumps(row | {"id": "hats"}))
    with pytest.raises(DataError, match="no passage hats"):
        list(written_statements(path, shelves))


@pytest.mark.parametrize(
    ("shops", "statements"), [(SHOPS, STATEMENTS), (UNSEEN_SHOPS, UNSEEN_STATEMENTS)]
)
def test_what_is_shipped_is_written_to_passages_that_there_are(
    shops: Path, statements: Path
) -> None:
    names = {path.stem for path in statements.glob("*.jsonl")}
    held = {shop.name: {i for i, _, _ in shop.passages} for shop in shops_below(shops)}
    assert names
    assert names <= held.keys()
    for path in statements.glob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert {row["id"] for row in rows} <= held[path.stem]
        assert all(row["supported"] and row["contradicted"] and row["unstated"] for row in rows)


def test_training_learns_a_toy_shop_and_calibration_says_how_sure_to_be(
    shop: Shop, encoder: Encoder, tmp_path: Path, engines: Path
) -> None:
    from finetune.lora import save_headed

    save_headed(network(ReadingNet, rank=8), tmp_path / "start")
    row = {
        "id": "boots",
        "supported": ["Boots come back within 21 days if they are unworn."],
        "contradicted": [["Boots come back within 12 days.", "number"]],
        "unstated": [["Hats are washed by hand.", "other-topic"]],
    }
    (tmp_path / "statements").mkdir()
    (tmp_path / "statements" / "toy.jsonl").write_text(json.dumps(row))
    lessons = Lessons.of([shop], encoder, tmp_path / "statements", tmp_path, None)
    train_verifier(tmp_path / "out", lessons, tmp_path / "start", PairRecipe(40, 8, 3e-3))
    verifier = Verifier(tmp_path / "out", engines)
    held = list(written_statements(tmp_path / "statements" / "toy.jsonl", Shelves(shop, encoder)))
    least = calibrate_verifier(tmp_path / "out", verifier, held)
    assert least > 0.6
    scores = verifier_scores(verifier, held, 0.6)
    assert (scores["caught"], scores["refused"]) == (1.0, 0.0)
    opened = Verifier(tmp_path / "out", engines)
    assert opened.least == least
    _, false, other = opened.judge([s.texts for s in held])
    assert opened.objection(false) == "the passage says otherwise"
    assert opened.objection(other) == "the passage does not say so"
    assert opened.objection(Verdict(least, 1 - least, 0)) == ""


def test_nothing_written_is_refused(shop: Shop, encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no statements"):
        Lessons.of([shop], encoder, tmp_path, tmp_path, None)
