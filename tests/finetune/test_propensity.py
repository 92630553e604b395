"""Training of what says whether a customer buys again, on a toy shop."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from typer.testing import CliRunner

import finetune.fit as loop
from finetune.__main__ import app
from finetune.errors import DataError, RecipeError
from finetune.fit import training_folder
from finetune.propensity import Choice, Trained, choices_of, simplest, train_propensity
from finetune.propensity_data import (
    Table,
    moments_of,
    read_contacts,
    read_customers,
    read_products,
    scale_of,
    table_of,
)
from finetune.propensity_models import Folds, Tried, attempt, dumped, grid
from finetune.propensity_report import report_of
from finetune.propensity_scores import calibration, difference, reliability, scores
from finetune.propensity_search import OptunaSearch
from finetune.propensity_settings import PropensityRecipe
from finetune.settings import RECIPES, load_recipe
from finetune.tracking import tracked
from knowledge.propensity.model import Model
from knowledge.propensity.scorers import Inputs
from knowledge.propensity.types import HORIZON_DAYS
from tests.finetune.propensity_toys import DAYS, toy_customers, toy_recipe, toy_rows
from tests.finetune.toys import write_lines

CUSTOMERS = toy_customers()
VECTORS = {f"p{n}": np.random.default_rng(n).normal(size=6).astype(np.float32) for n in range(20)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    out = tmp_path_factory.mktemp("propensity") / "model"
    return out, train_propensity(out, CUSTOMERS, toy_recipe(), VECTORS)


def same_weights(first: Path, second: Path) -> bool:
    name = "model.safetensors"
    return (first / name).read_bytes() == (second / name).read_bytes()


# The rows.


def test_no_label_is_seen_by_two_of_training_choosing_and_measuring() -> None:
    moments = moments_of(CUSTOMERS, toy_recipe())
    assert max(moments.train) + HORIZON_DAYS <= moments.validation
    assert max(moments.refit) + HORIZON_DAYS <= moments.test[0]
    assert moments.validation + HORIZON_DAYS <= moments.test[0]
    last = max(p.day for h in CUSTOMERS.values() for p in h.purchases)
    assert moments.test[-1] + HORIZON_DAYS <= np.floor(last) + 1


def test_later_orders_are_tested_on_every_thirty_days_and_learnt_from_not_at_all() -> None:
    until = 1000.0 + DAYS - 75
    moments = moments_of(CUSTOMERS, toy_recipe(), until)
    assert moments.test == (until, until + HORIZON_DAYS)
    known = {n: h.before(until) for n, h in CUSTOMERS.items()}
    scale = scale_of(CUSTOMERS, moments.validation)
    now, then = (table_of(c, moments.refit, scale, {}, 90.0) for c in (CUSTOMERS, known))
    np.testing.assert_array_equal(now.features, then.features)
    np.testing.assert_array_equal(now.labels, then.labels)


def test_too_short_a_past_is_told() -> None:
    short = {n: h.before(1080.0) for n, h in CUSTOMERS.items()}
    with pytest.raises(DataError, match="must span 150 days"):
        moments_of(short, toy_recipe())
    with pytest.raises(DataError, match="no order"):
        moments_of({}, toy_recipe())


def test_nobody_is_judged_by_a_model_that_has_learnt_from_them(
    trained: tuple[Path, Trained],
) -> None:
    folds = trained[1].lesson.folds(toy_recipe(folds=3))
    judged = np.zeros(len(folds.held), dtype=int)
    for _, learnt, held, which in folds.parts():
        assert not set(learnt.customers) & set(held.customers)
        assert learnt.moments.max() + HORIZON_DAYS <= held.moments.min()
        judged += which
    assert (judged == 1).all()


def test_baskets_products_and_conversations_are_read(tmp_path: Path) -> None:
    baskets = write_lines(tmp_path / "baskets.jsonl", [
        {"customer": 7, "time": "2026-01-02T10:00", "country": "GB", "items": [["p1", 2]],
         "returned": "2026-01-09"},
        {"customer": 7, "time": "2026-01-02T18:00", "items": [["p2", 1, 4.5]]},
    ])  # fmt: skip
    products = write_lines(tmp_path / "p.jsonl", [{"id": "p1", "title": "Mug", "price": 3.0}])
    contacts = write_lines(tmp_path / "c.jsonl", [
        {"customer": 7, "time": "2026-01-05T09:00", "complaint": True}
    ])  # fmt: skip
    found = read_customers([baskets], read_products(products), contacts)["7"]
    assert len(found.purchases) == 1, "the orders of a day are one"
    assert found.purchases[0].value == 10.5
    assert found.events[0].returned
    assert found.contacts[0].complaint


@pytest.mark.parametrize(
    "row", [{"customer": 1}, {"customer": 1, "time": "soon", "items": []},
            {"customer": 1, "time": "2026-01-02", "items": [["unknown", 1]]}],
)  # fmt: skip
def test_a_basket_that_cannot_be_read_is_named(tmp_path: Path, row: dict[str, Any]) -> None:
    path = write_lines(tmp_path / "b.jsonl", [row])
    with pytest.raises(DataError, match=re.escape(str(path))):
        read_customers([path], {})
    with pytest.raises(DataError, match="conversation"):
        read_contacts(write_lines(tmp_path / "c.jsonl", [{"customer": 1}]))


# Models.


def test_all_kinds_find_the_regulars_and_what_ships_is_best_or_simpler(
    trained: tuple[Path, Trained],
) -> None:
    manifest = trained[1].model.manifest
    assert set(manifest.scores_of) == {"logistic", "boosting", "network", "blend"}
    for name, found in manifest.scores_of.items():
        assert found["pr_auc"] > found["positives"] + 0.2, name
    shipped = "blend" if len(manifest.parts) > 1 else next(iter(manifest.parts))
    best = max(score for name, score in manifest.chosen_by.items() if name != "blend")
    assert manifest.chosen_by[shipped] > best - 0.0011
    assert manifest.scores == manifest.scores_of[shipped]


def test_the_folder_says_what_was_measured(trained: tuple[Path, Trained]) -> None:
    out, result = trained
    rows = result.lesson.test
    np.testing.assert_allclose(
        Model.read(out).probabilities(rows.inputs), result.model.probabilities(rows.inputs)
    )
    assert {p.name for p in out.iterdir()} == {"manifest.json", "model.safetensors"}


def test_boosted_trees_say_the_same_without_scikit_learn(trained: tuple[Path, Trained]) -> None:
    rows = trained[1].lesson.refit
    model = HistGradientBoostingClassifier(max_iter=12, min_samples_leaf=5, random_state=0)
    model.fit(rows.features, rows.labels)
    forest = dumped(model, rows)
    wanted = np.ravel(model.decision_function(rows.features))
    np.testing.assert_allclose(forest.margins(rows.inputs), wanted, atol=1e-9)
    one = Inputs(rows.features[:1], rows.tastes[:1])
    beyond = wanted[0] - forest.forest.expected
    assert forest.contributions(one).sum() == pytest.approx(beyond)


def test_an_interrupted_run_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = toy_recipe(kinds=("network",)), tmp_path / "cut"
    train_propensity(tmp_path / "whole", CUSTOMERS, recipe, VECTORS)
    saved = loop._save

    def cut(*given: Any) -> None:
        saved(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_save", cut)
    for _ in range(3):  # each goes on from the checkpoint of the one before
        with pytest.raises(KeyboardInterrupt):
            train_propensity(out, CUSTOMERS, recipe, VECTORS, resume=True)
    monkeypatch.setattr(loop, "_save", saved)
    train_propensity(out, CUSTOMERS, recipe, VECTORS, resume=True)
    assert same_weights(out, tmp_path / "whole")


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    recipe = toy_recipe(kinds=("logistic",))
    folder = training_folder(tmp_path / "model")
    folder.mkdir()
    (folder / "run.json").write_text("{}", "utf-8")
    with pytest.raises(RecipeError, match="another recipe, data or base"):
        train_propensity(tmp_path / "model", CUSTOMERS, recipe, {}, resume=True)


def test_what_was_tried_already_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = toy_recipe(kinds=("logistic",), logistic_c=(0.1, 1.0)), tmp_path / "model"
    tried: list[Any] = []

    def counted(kind: Any, settings: Any, *given: Any) -> Tried:
        if len(tried) == 1:
            tried.append("cut off")
            raise KeyboardInterrupt
        tried.append(settings["c"])
        return attempt(kind, settings, *given)

    monkeypatch.setattr("finetune.propensity.attempt", counted)
    with pytest.raises(KeyboardInterrupt):
        train_propensity(out, CUSTOMERS, recipe, {}, resume=True)
    train_propensity(out, CUSTOMERS, recipe, {}, resume=True)
    assert tried == [0.1, "cut off", 1.0]


def test_a_search_tries_more_than_the_grid(trained: tuple[Path, Trained], tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    recipe = toy_recipe(kinds=("logistic", "boosting"))
    out = tmp_path / "model"
    found = train_propensity(out, CUSTOMERS, recipe, {}, search=OptunaSearch(2, 0))
    names = {p.name.split("-")[0] for p in training_folder(out).glob("*.json")}
    assert names == {"logistic", "boosting"}
    assert len(list(training_folder(out).glob("*.json"))) == 6, "a grid of one and two trials each"
    grids = trained[1].model.manifest.chosen_by
    assert found.model.manifest.chosen_by["logistic"] >= grids["logistic"]


def test_the_simplest_of_what_cannot_be_told_apart_ships() -> None:
    labels = np.arange(200) % 3 == 0
    rng = np.random.default_rng(0)
    held = Table(
        np.zeros((200, 1)), np.zeros((200, 0), np.float32), labels, np.arange(200), np.zeros(200)
    )
    good = labels + rng.normal(size=200) * 0.5
    alike = good + rng.normal(size=200) * 1e-3
    worse = labels + rng.normal(size=200) * 2.0
    tie = [Choice({"boosting": 1.0}, good), Choice({"logistic": 1.0}, alike)]
    assert simplest(tie, held, toy_recipe()).name == "logistic"
    clear = [Choice({"boosting": 1.0}, good), Choice({"logistic": 1.0}, worse)]
    assert simplest(clear, held, toy_recipe()).name == "boosting"
    added = Choice({"logistic": 0.5, "boosting": 0.5}, good + 1e-3 * labels)
    assert simplest([*clear, added], held, toy_recipe()).name == "boosting", "hardly ahead"
    ahead = Choice({"logistic": 0.5, "boosting": 0.5}, good + labels)
    assert simplest([*clear, ahead], held, toy_recipe()).name == "blend"
    tried = {k: Tried(k, {}, m, 0, 0.0) for k, m in (("logistic", worse), ("boosting", good))}
    blends = [c for c in choices_of(tried, toy_recipe()) if c.name == "blend"]  # type: ignore[arg-type]
    assert {tuple(c.parts.values()) for c in blends} == {(0.25, 0.75), (0.5, 0.5), (0.75, 0.25)}


# Scores.


def test_scores_are_those_one_counts_by_hand() -> None:
    said, bought = np.array([0.9, 0.6, 0.4, 0.1]), np.array([True, False, True, False])
    found = scores(said, bought, np.arange(4), 0.5, 50, 0)
    assert (found["n"], found["positives"], found["accuracy"]) == (4, 0.5, 0.5)
    assert (found["precision"], found["recall"], found["f1"]) == (0.5, 0.5, 0.5)
    assert found["pr_auc"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    low, high = found["intervals"]["pr_auc"]
    assert low < found["pr_auc"] <= high
    assert reliability(said, bought)[0] == (0.1, 0.0, 1)


def test_intervals_are_wider_where_rows_are_of_the_same_customers() -> None:
    rng = np.random.default_rng(1)
    said = np.repeat(rng.uniform(size=60), 10)
    bought = np.repeat(rng.uniform(size=60) < said[::10], 10)
    apart, together = (
        scores(said, bought, who, 0.5, 200, 0)["intervals"]["pr_auc"]
        for who in (np.arange(600), np.repeat(np.arange(60), 10))
    )
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


def test_calibration_makes_sure_margins_as_modest_as_they_are_right() -> None:
    rng = np.random.default_rng(2)
    true = rng.normal(size=5000)
    bought = rng.uniform(size=5000) < 1 / (1 + np.exp(-true))
    slope, shift = calibration(4 * true + 2, bought)
    assert slope == pytest.approx(0.25, abs=0.03)
    assert shift == pytest.approx(-0.5, abs=0.1)
    gap, low, high = difference(true, -true, bought, np.arange(5000), 50, 0)
    assert 0 < low < gap < high


# The report, the recipe, the command line.


def test_the_page_has_plots_and_asks_nobody_for_anything(
    trained: tuple[Path, Trained], tmp_path: Path
) -> None:
    _, result = trained
    report = report_of(result.model, result.lesson.test, dict(result.model.manifest.scores), 0)
    report.write_page(tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text("utf-8")
    assert html.count("<svg") == 2
    assert not re.search(r"https?://|src=|@import|url\(|<script", html)
    assert "recency" in html
    assert all(name not in html for name in CUSTOMERS)


def test_every_field_of_the_recipe_says_what_it_is_and_the_file_is_read() -> None:
    fields = PropensityRecipe.model_fields
    assert all(field.description for field in fields.values())
    recipe = load_recipe(RECIPES / "propensity.yaml", PropensityRecipe)
    assert len(grid("boosting", recipe)) > len(grid("logistic", recipe))
    with pytest.raises(ValueError, match="leaving_below"):
        toy_recipe(leaving_below=0.6)


def test_a_project_to_log_to_needs_its_packages(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="pip install wandb"), tracked("shop", tmp_path):
        pass
    with tracked("", tmp_path):
        pass


def test_train_measure_promote_and_roll_back_from_the_command_line(tmp_path: Path) -> None:
    baskets = write_lines(tmp_path / "baskets.jsonl", toy_rows(CUSTOMERS))
    recipe = tmp_path / "recipe.yaml"
    changes = toy_recipe(kinds=("logistic", "boosting")).model_dump(mode="json")
    recipe.write_text(json.dumps(changes), "utf-8")
    home, out, page = tmp_path / "home", tmp_path / "model", tmp_path / "page.html"

    def run(*words: object) -> dict[str, Any]:
        given = ["--quiet", *map(str, words), "--home", str(home), "--json"]
        result = CliRunner().invoke(app, given, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    made = run("propensity", baskets, "--out", out, "--recipe", recipe, "--page", page)
    assert made["pr_auc"] > made["positives"]
    assert page.is_file()
    measured = run("evaluate-propensity", out, baskets)
    assert measured["pr_auc"] == made["pr_auc"]
    assert measured["ece"] == made["ece"]
    current = run("promote-propensity", out)["current"]
    assert (home / "propensity" / current / "manifest.json").is_file()
    assert run("rollback-propensity") == {"current": None}
    again = CliRunner().invoke(app, ["rollback-propensity", "--home", str(home)])
    assert again.exit_code == 1


def test_folds_of_one_class_are_told(trained: tuple[Path, Trained]) -> None:
    rows = trained[1].lesson.refit
    with pytest.raises(DataError, match="everybody buys again"):
        Folds.of(rows.where(rows.labels), rows, 2, 0)
