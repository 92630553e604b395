"""Commands that train and measure the recommender."""

# The training modules are imported where they are used: torch takes seconds.

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.settings import load_settings
from finetune.command_line import DEFAULT_HOME, Home, Json, Resume, clear_errors, show
from finetune.errors import DataError
from finetune.promotion_commands import add_promotion
from finetune.settings import RECIPES, load_recipe

if TYPE_CHECKING:
    from finetune.recommender_data import Sales
    from knowledge.promoted import PromotedModels

recommenders = typer.Typer()
Baskets = Annotated[
    list[Path], typer.Argument(help="JSON Lines of {customer, time, items}, or the demo's orders.")
]
Products = Annotated[Path, typer.Option(help="JSON Lines of {id, title, category?, price?}.")]
Until = Annotated[str, typer.Option(help="First day not to know, as 2026-11-01; empty: know all.")]


@recommenders.command()
def recommender(
    baskets: Baskets,
    products: Products,
    out: Annotated[Path, typer.Option(help="Folder for the recommender and report.html.")],
    recipe: Annotated[Path, typer.Option(help="YAML file.")] = RECIPES / "recommender.yaml",
    until: Until = "",
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Train what recommends: a text tower, counts of neighbours, and a ranker that weighs both."""
    from finetune.recommender import train_recommender
    from finetune.recommender_settings import RecommenderRecipe

    with clear_errors():
        settings = load_settings(home=home)
        chosen = load_recipe(recipe, RecommenderRecipe)
        sales = _sales(baskets, products, until)
        manifest = train_recommender(out, sales, chosen, settings.engines, resume=resume)
        told = asdict(manifest)
        show({"out": str(out)} | {k: told[k] for k in ("until", "customers", "visits", "goods",
             "data_sha256", "scores")}, as_json)  # fmt: skip


@recommenders.command("evaluate-recommender")
def evaluate_recommender(
    folder: Annotated[Path, typer.Argument(help="Folder made by `recommender`.")],
    baskets: Baskets,
    products: Products,
    days: Annotated[int, typer.Option(min=1, help="Days in which a next visit counts.")] = 90,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Measure a recommender on each customer's next visit after the days that it knows; what was
    bought before is read from the baskets as well. The scores go into its manifest."""
    from finetune.recommender_evaluation import evaluate_folder

    with clear_errors():
        settings = load_settings(home=home)
        sales = _sales(baskets, products, "")
        scores = evaluate_folder(folder, sales, settings.engines, days)
        show(scores, as_json)


def _promoted(home: Path) -> PromotedModels[Any]:
    from knowledge.recommend.promoted import recommenders as promoted

    return promoted(home)


add_promotion(
    recommenders, "recommender", _promoted,
    promote_help="Recommend to the customers of HOME by it, if it is ahead of what needs no"
    " training.",
    rollback_help="Recommend by the one promoted before, or not at all.",
)  # fmt: skip


def _sales(baskets: list[Path], products: Path, until: str) -> Sales:
    from finetune.recommender_data import Sales, read_goods, read_visits

    try:
        day = date.fromisoformat(until).toordinal() if until else None
    except ValueError as error:
        raise DataError(f"--until {until} is no day, such as 2026-11-01") from error
    return Sales.of(read_goods(products), read_visits(baskets), day)
