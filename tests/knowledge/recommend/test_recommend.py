"""Counts, features, the ranker and variety."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge.errors import RecommenderError
from knowledge.recommend.artefact import MANIFEST, Manifest, Model, write_manifest
from knowledge.recommend.diversity import diversified, variety
from knowledge.recommend.features import NAMES, Context, features
from knowledge.recommend.ranking import Ranker, best
from knowledge.recommend.statistics import Counting, Statistics, count_sales
from knowledge.recommend.types import Floats, Past, Visit, index_of, pasts
from tests.buying import GOODS, day, visits

INDEX = index_of(GOODS)
CUT = day(200)


def statistics(*bought: Visit, cut: int = CUT, least: int = 2) -> Statistics:
    return count_sales(pasts(bought, INDEX), len(GOODS), cut, Counting(5, 0.0, least))


def visit(customer: str, on: int, *items: str) -> Visit:
    return Visit(customer, day(on), items)


def vectors() -> Floats:
    """One direction a kind, and a little of each good's own."""
    found = np.zeros((len(GOODS), 3 + len(GOODS)), np.float32)
    for row, good in enumerate(GOODS):
        found[row, ["tea", "bike", "garden"].index(good.id.split("-")[0])] = 1
        found[row, 3 + row] = 0.3
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def ranker(**weights: float) -> Ranker:
    straight = np.array([weights.get(name, 0) for name in NAMES], np.float32)
    width = len(NAMES)
    zeros, ones = np.zeros(width, np.float32), np.ones(width, np.float32)
    return Ranker(zeros, ones, np.zeros((width, 1), np.float32), zeros[:1], zeros[:1], straight)


def row_of(context: Context, past: Past, good: str, name: str) -> float:
    (rows,) = features(context, [past], CUT)
    return float(rows[INDEX[good], NAMES.index(name)])


def test_visits_of_a_day_are_one_and_unknown_goods_are_left_out():
    past = Past.of(
        [visit("a", 3, "tea-1", "gone"), visit("a", 3, "tea-0"), visit("a", 1, "tea-0")], INDEX
    )
    assert past.days == (day(1), day(3))
    assert past.rows[1].tolist() == [0, 1]
    assert past.before(day(3)).owned.tolist() == [0]
    assert past.first_within(day(2), 5) is not None
    assert past.first_within(day(2), 1) is None


def test_nothing_from_the_cut_on_is_counted():
    known = statistics(visit("a", 10, "tea-0"), visit("b", 200, "tea-0", "tea-1"))
    assert known.customers[-1, INDEX["tea-0"]] == 1
    assert known.first_sold[INDEX["tea-1"]] == 0


def test_customers_are_counted_once_in_each_window():
    known = statistics(visit("a", 195, "tea-0"), visit("a", 199, "tea-0"), visit("b", 150, "tea-0"))
    assert known.customers[:, INDEX["tea-0"]].tolist() == [1, 1, 2, 2]


def test_what_too_few_bought_together_is_not_told():
    two = (visit("a", 1, "tea-0", "tea-1"), visit("b", 1, "tea-0", "tea-1"))
    assert statistics(*two, least=2).together[INDEX["tea-0"], INDEX["tea-1"]] == 2
    assert statistics(*two, least=3).together[INDEX["tea-0"], INDEX["tea-1"]] == 0


def test_a_cosine_is_by_customers_and_a_good_is_no_neighbour_of_itself():
    known = statistics(visit("a", 1, "tea-0"), visit("a", 9, "tea-1"), visit("b", 1, "tea-0"))
    assert known.similar[INDEX["tea-0"], INDEX["tea-1"]] == pytest.approx(1 / np.sqrt(2))
    assert known.similar_visits[INDEX["tea-0"], INDEX["tea-1"]] == 0
    assert known.similar.diagonal().sum() == 0


def test_own_purchases_count_less_the_older_they_are():
    context = Context.of(
        statistics(visit("a", 1, "tea-0")), vectors(), np.zeros(len(GOODS), np.float32)
    )
    late = Past.of([visit("a", 150, "tea-0"), visit("a", 190, "tea-1")], INDEX)
    assert (
        row_of(context, late, "tea-1", "own_decayed")
        > row_of(context, late, "tea-0", "own_decayed")
        > 0
    )
    assert row_of(context, late, "tea-0", "own_last") == 0
    assert row_of(context, late, "tea-1", "own_last") == 1


def test_a_good_that_was_never_sold_is_known_by_its_text():
    context = Context.of(
        statistics(visit("a", 1, "tea-0")), vectors(), np.zeros(len(GOODS), np.float32)
    )
    past = Past.of([visit("a", 1, "tea-0")], INDEX)
    assert row_of(context, past, "tea-5", "unsold") == 1
    assert row_of(context, past, "tea-5", "text") > row_of(context, past, "bike-5", "text") + 0.5


def test_customers_asked_together_get_what_they_get_alone():
    held = pasts(visits(), INDEX)
    context = Context.of(
        count_sales(held, len(GOODS), CUT), vectors(), np.zeros(len(GOODS), np.float32)
    )
    every = list(features(context, list(held.values()), CUT))
    for past, rows in zip(held.values(), every, strict=True):
        np.testing.assert_allclose(next(features(context, [past], CUT)), rows, rtol=1e-5, atol=1e-6)


def test_a_customer_without_a_past_gets_finite_features():
    context = Context.of(
        statistics(visit("a", 1, "tea-0")), vectors(), np.zeros(len(GOODS), np.float32)
    )
    assert np.isfinite(next(features(context, [Past()], CUT))).all()


def test_the_best_are_in_order_and_equals_in_that_of_their_rows():
    assert best(np.array([1, 3, 2, 3], np.float32), 3).tolist() == [1, 3, 2]
    assert best(np.array([1, 2], np.float32), 9).tolist() == [1, 0]


def test_variety_takes_other_kinds_earlier_and_none_keeps_the_order():
    order = np.arange(12)  # six of tea, then six of bikes
    assert diversified(order, vectors(), 4, 0.0).tolist() == [0, 1, 2, 3]
    varied = diversified(order, vectors(), 4, 0.6)
    assert varied[0] == 0
    assert {row // 6 for row in varied.tolist()} == {0, 1}
    assert variety(varied, vectors()) > variety(order[:4], vectors())


def saved(folder: Path, scores: dict[str, Any] | None = None) -> Model:
    """A recommender of the toy shop in a folder."""
    held = pasts(visits(), INDEX)
    model = Model.of(
        GOODS, count_sales(held, len(GOODS), CUT), vectors(), ranker(own_visits=1, text=1)
    )
    model.save(folder)
    told = Manifest("2026-07-20", "", "data", {}, {}, 36, 1, len(GOODS), "now", scores or {})
    write_manifest(folder, told)
    return model


def test_a_saved_model_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("knowledge.recommend.artefact.TextTower", lambda *_: None)
    model, past = saved(tmp_path), Past.of([visit("a", 150, "tea-0")], INDEX)
    loaded = Model.load(tmp_path, tmp_path)
    np.testing.assert_allclose(loaded.scores(past, CUT), model.scores(past, CUT), atol=2e-3)
    assert loaded.manifest is not None
    assert loaded.goods == GOODS


@pytest.mark.parametrize("name", ["statistics.safetensors", "goods.json", "ranker.safetensors"])
def test_a_changed_file_is_not_loaded(tmp_path: Path, name: str):
    saved(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b" ")
    with pytest.raises(RecommenderError, match=name):
        Model.load(tmp_path, tmp_path)


def test_a_folder_without_a_manifest_is_no_recommender(tmp_path: Path):
    saved(tmp_path)
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(RecommenderError, match="finetune recommender"):
        Model.load(tmp_path, tmp_path)


def test_a_ranker_of_other_features_is_refused(tmp_path: Path):
    zeros = np.zeros(3, np.float32)
    Ranker(zeros, zeros, np.zeros((3, 1), np.float32), zeros[:1], zeros[:1], zeros).save(
        tmp_path / "r"
    )
    with pytest.raises(RecommenderError, match="other features"):
        Ranker.load(tmp_path / "r")
