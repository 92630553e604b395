"""Training a recommender on a toy shop, with the real MiniLM."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor
from typer.testing import CliRunner

from finetune.__main__ import app
from finetune.errors import DataError, RecipeError
from finetune.recommender import REPORT, train_recommender
from finetune.recommender_data import Sales, asked_on, read_goods, read_visits
from finetune.recommender_evaluation import evaluate_folder
from finetune.recommender_ranker import RankerObjective
from finetune.recommender_scores import mean_with_interval, measure
from finetune.recommender_settings import RecommenderRecipe
from finetune.recommender_tower import Draws, TowerObjective
from finetune.settings import RECIPES, load_recipe
from knowledge.recommend.artefact import MANIFEST, read_manifest
from knowledge.recommend.promoted import recommenders
from knowledge.recommend.types import Visit, index_of
from tests.buying import GOODS, day, visits
from tests.finetune.toys import write_lines
from tests.knowledge.recommend.test_promoted import PROMOTABLE
from tests.knowledge.recommend.test_recommend import saved

CUT = day(170)
RECIPE = RecommenderRecipe(
    threads=1, checkpoint_steps=2, tower_steps=3, tower_batch=8, layers=1, rank=2,
    neighbours=6, shrinkage=1, horizon_days=40, cuts=2, cut_days=20, candidates=3, others=4,
    hidden=4, ranker_steps=40, ranker_batch=8, ranker_rate=0.02,
)  # fmt: skip


@pytest.fixture(autouse=True)
def in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """No export: the reference takes less time for so few titles."""

    def fail(*_: Any) -> None:
        raise RuntimeError("not exported in tests")

    monkeypatch.setattr("knowledge.recommend.tower.export_onnx", fail)


@pytest.fixture(scope="module")
def sales() -> Sales:
    return Sales.of(GOODS, visits(), CUT)


def test_what_is_like_what_they_buy_is_foretold(sales: Sales, tmp_path: Path):
    manifest = train_recommender(tmp_path / "out", sales, RECIPE, tmp_path)
    held_out = manifest.scores["held_out"]
    assert held_out["recommender"]["all"]["ndcg@10"] > held_out["popular"]["all"]["ndcg@10"] + 0.2
    ahead = manifest.scores["ahead"]["popular"]
    assert ahead["ndcg@10"] > 0.2
    assert ahead["ndcg@10_interval"][0] > 0.1
    assert manifest.until == "2026-06-20"
    assert set(manifest.files) >= {
        "goods.json",
        "ranker.safetensors",
        "tower/adapter_model.safetensors",
    }
    assert "customer" not in (tmp_path / "out" / "goods.json").read_text()
    page = (tmp_path / "out" / REPORT).read_text()
    assert "<polyline" in page
    assert "recall@20, short" in page or "ndcg@10, all" in page
    found = evaluate_folder(tmp_path / "out", Sales.of(GOODS, visits()), tmp_path, 60)
    assert found["all"]["recall@20"] > 0.9
    assert read_manifest(tmp_path / "out").scores["evaluated"] == found


@pytest.mark.parametrize("objective", [TowerObjective, RankerObjective])
def test_a_run_that_was_cut_off_goes_on_and_ends_alike(
    sales: Sales, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: type[Any]
):
    whole = train_recommender(tmp_path / "whole", sales, RECIPE, tmp_path)
    losses = objective.losses

    def cut(self: Any, step: int) -> Mapping[str, Tensor]:
        if step == 2:
            raise KeyboardInterrupt
        return losses(self, step)

    monkeypatch.setattr(objective, "losses", cut)
    with pytest.raises(KeyboardInterrupt):
        train_recommender(tmp_path / "cut", sales, RECIPE, tmp_path)
    monkeypatch.setattr(objective, "losses", losses)
    assert not (tmp_path / "cut" / MANIFEST).exists()
    resumed = train_recommender(tmp_path / "cut", sales, RECIPE, tmp_path, resume=True)
    assert resumed.scores == whole.scores
    names = ("ranker.safetensors", "tower/adapter_model.safetensors", "report.html")
    assert [resumed.files[n] for n in names] == [whole.files[n] for n in names]


def test_a_finished_run_is_left_as_it_is_and_another_is_refused(sales: Sales, tmp_path: Path):
    recipe = RECIPE.model_copy(update={"tower_steps": 0, "ranker_steps": 2})
    first = train_recommender(tmp_path / "out", sales, recipe, tmp_path)
    assert train_recommender(tmp_path / "out", sales, recipe, tmp_path, resume=True) == first
    other = recipe.model_copy(update={"hidden": 3})
    with pytest.raises(RecipeError, match="without --resume"):
        train_recommender(tmp_path / "out", sales, other, tmp_path, resume=True)


def test_the_tower_learns_what_is_bought_together(sales: Sales):
    recipe = RECIPE.model_copy(update={"tower_batch": 24})
    objective = TowerObjective(GOODS, sales.held, recipe)
    drawn = objective.draws.draw(0)
    optimizer = torch.optim.AdamW(objective.groups())
    before = float(objective.loss(drawn))
    for _ in range(4):
        optimizer.zero_grad()
        objective.loss(drawn).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert float(objective.loss(drawn)) < before


def test_the_tower_in_training_embeds_as_the_one_served(sales: Sales, tmp_path: Path):
    from knowledge.recommend.tower import TextTower

    objective = TowerObjective(GOODS, sales.held, RECIPE)
    with torch.no_grad():
        trained = objective.vectors(torch.arange(len(GOODS))).numpy()
    served = TextTower(None, tmp_path, 1).embed([good.text for good in GOODS])
    np.testing.assert_allclose(trained, served, atol=1e-4)  # a new adapter changes nothing yet


def test_what_a_customer_also_bought_is_no_negative(sales: Sales):
    objective = TowerObjective(GOODS, sales.held, RECIPE)
    drawn = objective.draws.draw(1)
    masked = objective._also_bought(drawn)
    for row, customer in enumerate(drawn.customers):
        owned = set(list(sales.held.values())[customer].owned.tolist())
        for column, target in enumerate(drawn.targets):
            assert masked[row, column] == (row != column and int(target) in owned)


def test_goods_are_drawn_as_often_as_is_corrected_for(sales: Sales):
    draws = Draws(sales.held, len(GOODS), RECIPE.model_copy(update={"tower_batch": 4000}))
    drawn = np.bincount(draws.draw(0).targets, minlength=len(GOODS)) / 4000
    np.testing.assert_allclose(drawn, np.exp(draws.log_drawn), atol=0.02)


def test_what_was_bought_on_the_day_itself_is_not_known(sales: Sales):
    (each,) = asked_on({"a": sales.held["c0"]}, sales.held["c0"].days[2], 1)
    assert each.past.days == sales.held["c0"].days[:2]
    assert each.bought.tolist() == sales.held["c0"].rows[2].tolist()


def test_recall_and_ndcg_of_a_known_order():
    found = measure([np.array([4, 1, 2]), np.array([0])], [np.array([1, 9]), np.zeros(0, np.int64)])
    assert found.recall[0] == 0.5
    assert found.ndcg[0] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert np.isnan(found.recall[1])
    mean, low, high = mean_with_interval(np.array([0.0, 1.0, 1.0, np.nan]))
    assert mean == pytest.approx(2 / 3)
    assert 0 <= low < mean < high <= 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"customer": 1, "time": "yesterday", "items": [["a", 1]]}, "no basket"),
        ({"customer": 1, "items": [["a", 1]]}, "no basket"),
        ({"customer": 1, "time": "2026-01-01", "items": ["a"]}, "no basket"),
    ],
)
def test_a_row_that_is_no_basket_is_named(tmp_path: Path, row: dict[str, Any], reason: str):
    path = write_lines(tmp_path / "b.jsonl", [row])
    with pytest.raises(DataError, match=rf"b\.jsonl:1.*{reason}"):
        read_visits([path])


def test_orders_that_were_cancelled_are_no_purchases(tmp_path: Path):
    order = {"customer_id": "C-1", "placed_at": "2026-01-02T10:00", "state": "delivered",
             "lines": [{"product_id": "tea-1"}]}  # fmt: skip
    path = write_lines(tmp_path / "o.jsonl", [order, order | {"state": "cancelled"}])
    assert [(v.customer, v.items) for v in read_visits([path])] == [("C-1", ("tea-1",))]


def test_sales_without_a_known_good_are_refused():
    with pytest.raises(DataError, match="--products"):
        Sales.of(GOODS, [Visit("a", CUT, ("gone",))])


def test_customers_who_never_come_back_teach_nothing(tmp_path: Path):
    once = [replace(v, customer=f"{v.customer}-{v.day}") for v in visits()]
    recipe = RECIPE.model_copy(update={"tower_steps": 0})
    with pytest.raises(DataError, match="horizon_days"):
        train_recommender(tmp_path / "out", Sales.of(GOODS, once, CUT), recipe, tmp_path)


@pytest.mark.parametrize("name", ["recommender.yaml", "recommender-demo.yaml"])
def test_recipes_name_every_field_and_each_has_a_description(name: str):
    recipe = load_recipe(RECIPES / name, RecommenderRecipe)
    assert recipe.warmup_share > 0
    assert all(field.description for field in RecommenderRecipe.model_fields.values())


def test_an_unknown_key_of_a_recipe_is_named(tmp_path: Path):
    (tmp_path / "r.yaml").write_text("towers: 3\n")
    with pytest.raises(RecipeError, match="towers"):
        load_recipe(tmp_path / "r.yaml", RecommenderRecipe)


def test_the_commands_train_and_measure(tmp_path: Path):
    goods = [{"id": g.id, "title": g.title, "price": g.price} for g in GOODS]
    write_lines(tmp_path / "goods.jsonl", goods)
    baskets = [
        {"customer": v.customer, "time": date_of(v), "items": [[i, 1] for i in v.items]}
        for v in visits()
    ]
    write_lines(tmp_path / "baskets.jsonl", baskets)
    assert index_of(read_goods(tmp_path / "goods.jsonl")) == index_of(GOODS)
    recipe = RECIPE.model_dump() | {"tower_steps": 0, "ranker_steps": 3}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    given = ["--products", tmp_path / "goods.jsonl", "--home", tmp_path / "home", "--json"]
    made = call("recommender", tmp_path / "baskets.jsonl", "--out", tmp_path / "out", "--recipe",
                tmp_path / "r.yaml", "--until", "2026-06-20", *given)  # fmt: skip
    assert made["goods"] == len(GOODS)
    scores = call("evaluate-recommender", tmp_path / "out", tmp_path / "baskets.jsonl", *given)
    assert scores["all"]["n"] > 10
    given = [str(w) for w in ("promote-recommender", tmp_path / "out", "--home", tmp_path / "home")]
    refused = CliRunner().invoke(app, given)
    assert refused.exit_code == 1
    assert "no better than what needs no training" in refused.stderr


def test_the_commands_promote_and_roll_back(tmp_path: Path):
    saved(tmp_path / "mine", PROMOTABLE)
    home = tmp_path / "home"
    promoted = call("promote-recommender", tmp_path / "mine", "--home", home, "--json")
    assert recommenders(home).current() == home / "recommender" / promoted["current"]
    assert call("rollback-recommender", "--home", home, "--json") == {"current": None}


def call(*words: Any) -> dict[str, Any]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def date_of(visit: Visit) -> str:
    from datetime import date

    return f"{date.fromordinal(visit.day).isoformat()}T09:00"
