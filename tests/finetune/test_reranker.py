"""The reranker's pairs and its training, on toy shops with the real MiniLM."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from finetune.calibrate import JudgedRow, fit, fit_foreign, fit_order, outcomes
from finetune.lora import save_headed
from finetune.pair_training import PairRecipe, network, pair_tokenizer
from finetune.reranker import inputs_of, relevance_of, train_reader, withheld_score
from finetune.reranker_data import (
    Pair,
    find_span,
    read_shop,
    shop_of_documents,
    shop_pairs,
    windows_of,
    without_answer,
)
from knowledge.encoder import Encoder
from knowledge.reading_net import ReadingNet
from knowledge.rerank import FEATURES

TEXT = "Returns: Boots come back within 21 days. Socks stay with you. Postage costs GBP 3."


def test_an_answer_is_found_whatever_its_case_and_spacing() -> None:
    assert find_span(TEXT, ["within  21 DAYS"]) == (TEXT.index("within"), TEXT.index(" Socks") - 1)
    assert find_span(TEXT, ["30 days", ""]) is None


def test_the_nearest_miss_is_the_text_without_the_answering_sentence() -> None:
    span = find_span(TEXT, ["21 days"])
    assert span
    left = "Socks stay with you. Postage costs GBP 3."
    assert without_answer(TEXT, span) == left
    assert without_answer(TEXT, span, "Returns") == f"Returns: {left}"
    assert without_answer("Only 21 days.", (5, 12)) is None


def test_windows_hold_whole_sentences_under_the_title() -> None:
    text = " ".join(f"Rule number {n} is written here in nine words." for n in range(40))
    windows = windows_of("Rules", text, random.Random(1))
    assert len(windows) > 3
    assert all(w.startswith("Rules: ") and w.endswith(".") for w in windows)


def shop_file(folder: Path) -> Path:
    rows = [
        {"id": f"p{n}", "title": f"Returns {place}", "answered": [[f"time in {place}?", f"{n} days"]],
         "text": f"In {place} boots come back within {n} days. Nothing else is known.",
         "missed": [f"cost in {place}?"]}
        for n, place in ((11, "Spain"), (22, "Italy"), (33, "Malta"), (44, "Chile"), (55, "Kenya"),
                         (66, "Nepal"), (77, "Egypt"))
    ]  # fmt: skip
    path = folder / "toy.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in rows))
    return path


def test_a_shop_gives_right_chunks_with_their_place_and_only_misses_for_missed_questions(
    tmp_path: Path, encoder: Encoder
) -> None:
    pairs = list(shop_pairs(read_shop(shop_file(tmp_path)), encoder, rng=random.Random(2)))
    assert {p.text[p.span[0] : p.span[1]] for p in pairs if p.span} == {
        f"{n} days" for n in (11, 22, 33, 44, 55, 66, 77)
    }
    assert all(p.label == 0 for p in pairs if p.question.startswith("cost"))
    stripped = [p for p in pairs if not p.label and p.text.endswith("Nothing else is known.")]
    assert any("boots" not in p.text for p in stripped)


def test_a_chunk_that_is_never_asked_for_is_not_learnt_as_the_wrong_one(
    tmp_path: Path, encoder: Encoder
) -> None:
    shop = read_shop(shop_file(tmp_path))
    asked = replace(shop, questions=tuple(q for q in shop.questions[:6] if "Nepal" not in q.text))
    pairs = list(shop_pairs(asked, encoder, negatives=1, rng=random.Random(2)))
    whole = [p.text for p in pairs if not p.label and "boots" in p.text]
    assert len(whole) == len(asked.questions) == 5
    assert not any("Nepal" in text or "Egypt" in text for text in whole)


def test_documents_become_a_shop_without_the_expired_and_the_internal(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    yesterday = date.today() - timedelta(days=1)
    for name, extra in (("a", ""), ("b", f"valid_until: {yesterday}"), ("c", "audience: agents")):
        (folder / f"{name}.md").write_text(
            f"---\nid: {name}\nlanguage: en\n{extra}\n---\n# T\nBody."
        )
    questions = tmp_path / "en.jsonl"
    questions.write_text(
        "\n".join(
            json.dumps({"id": i, "answered": [[f"q {i}", "Body"]], "missed": []}) for i in "abc"
        )
    )
    shop = shop_of_documents("demo", folder, questions)
    assert [p[0] for p in shop.passages] == ["a"]
    assert [q.text for q in shop.questions] == ["q a"]


def test_the_tokens_of_an_answer_are_marked_and_no_answer_is_the_first_token() -> None:
    tokenizer = pair_tokenizer(160)
    span = find_span(TEXT, ["21 days"])
    pairs = [
        Pair("q?", TEXT, 1, span, "s"),
        Pair("q?", TEXT, 0, None, "s"),
        Pair("q?", TEXT, 1, None, "s"),
    ]
    inputs, places = inputs_of(tokenizer, pairs)
    first, last = places[0].tolist()
    assert tokenizer.decode(inputs["input_ids"][0, first : last + 1].tolist()) == "21 days"
    assert places[1].tolist() == [0, 0]
    assert places[2].tolist() == [-100, -100]


def test_training_learns_a_toy_shop_and_what_was_saved_reads_the_same(
    tmp_path: Path, encoder: Encoder
) -> None:
    shop = read_shop(shop_file(tmp_path))
    net = network(ReadingNet, rank=8)
    train_reader(
        net,
        lambda rng: list(shop_pairs(shop, encoder, rng=rng)),
        tmp_path / "out",
        PairRecipe(epochs=12, batch=8, rate=2e-3),
    )
    pairs = list(shop_pairs(shop, encoder, negatives=3))
    logits = relevance_of(net, pairs)
    assert withheld_score(pairs, logits)["first"] >= 0.8
    save_headed(net, tmp_path / "again")
    loaded = network(ReadingNet, tmp_path / "again")
    assert relevance_of(loaded, pairs) == pytest.approx(logits, abs=0.15)


def test_the_score_counts_right_answers_above_the_threshold_that_withholds() -> None:
    pairs = [Pair("a", "x", 1, None, "s", 0), Pair("a", "y", 0, None, "s", 0)]
    pairs += [Pair("b", "x", 1, None, "s", 1), Pair("b", "y", 0, None, "s", 1)]
    pairs += [Pair("c", "z", 0, None, "s", 2)]
    assert withheld_score(pairs, [3, 0, 1, 2, 1.5]) == {"right": 0.5, "first": 0.5}


def test_thresholds_trade_right_answers_for_withheld_ones() -> None:
    def row(question: str, answerable: bool, value: float, right: bool) -> JudgedRow:
        return JudgedRow(question, answerable, (1.0, value), right)

    rows = [row("a", True, 2, True), row("a", True, 1, False), row("b", True, 0.2, True)]
    rows += [row("c", True, 3, False), row("d", False, 0.3, False), row("e", False, -2, False)]
    found = outcomes(rows, [0.0, 1.0])
    assert found["0.50"] == {"right": 0.667, "wrong": 0.333, "withheld": 0.5}
    assert found["0.70"] == {"right": 0.333, "wrong": 0.333, "withheld": 1.0}


def test_the_order_is_fitted_to_put_the_right_candidate_of_a_question_first() -> None:
    rng = random.Random(4)
    rows = []
    for number in range(60):
        level = rng.random()  # questions differ more than their candidates do
        for right in (True, False, False):
            values = dict.fromkeys(FEATURES, 0.0) | {"bias": 1.0, "cjk": 1.0}
            values |= {"cosine": level + 0.1 * right, "bm25": rng.random(), "reader": rng.random()}
            rows.append(JudgedRow(f"q{number}", True, tuple(values.values()), right))
    weights = dict(zip(FEATURES, fit_order(rows, "prior"), strict=True))
    assert weights["cosine"] > 3 * weights["bm25"] >= 0
    assert weights["reader"] == weights["unknown"] == 0
    assert weights["cjk"] == pytest.approx(0, abs=1e-9)
    scores = [sum(w * f for w, f in zip(weights.values(), r.features, strict=True)) for r in rows]
    firsts = [scores[n] == max(scores[n : n + 3]) for n in range(0, len(rows), 3)]
    assert sum(firsts) > 50
    assert 20 < sum(s >= 0 for s, row in zip(scores, rows, strict=True) if row.right) < 40
    assert fit(rows, "prior")[FEATURES.index("reader")] == 0


def test_what_is_read_in_other_languages_is_trusted_as_far_as_it_is_right_there() -> None:
    rng = random.Random(5)

    def rows(name: str, count: int, reliable: float) -> list[JudgedRow]:
        made = []
        for number in range(count):
            right = rng.random() < 0.4
            told = right if rng.random() < reliable else not right
            values = dict.fromkeys(FEATURES, 0.0) | {"bias": 1.0, "reader": 2.0 * told - 1}
            values |= {"cosine_lead": rng.random() + 0.3 * right}
            made.append(JudgedRow(f"{name}{number}", True, tuple(values.values()), right))
        return made

    own, foreign = rows("a", 600, 0.95), rows("b", 200, 0.6)
    read = dict(zip(FEATURES, fit(own, "read"), strict=True))
    apart = dict(zip(FEATURES, fit_foreign(own, foreign), strict=True))
    assert 0 < apart["reader"] < read["reader"] / 2
    assert apart["cosine_lead"] > 0
