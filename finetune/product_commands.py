"""Commands that train and measure the reranker of product search."""

# The training modules are imported where they are used: torch takes seconds.

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from assistant.settings import load_settings
from finetune.command_line import DEFAULT_HOME, Home, Json, Resume, clear_errors, show
from finetune.product_labels import read_searches, read_shelf
from finetune.promotion_commands import add_promotion
from knowledge.catalogue.promoted import SHIPPED, product_rerankers

product_searches = typer.Typer()
Labels = Annotated[
    list[Path], typer.Argument(help="JSON Lines of {query, product_id, relevance 0-3, language}.")
]
Products = Annotated[list[Path], typer.Option(help="Catalogues that were graded, JSON Lines.")]


@product_searches.command("product-reranker")
def product_reranker(
    labels: Labels,
    products: Products,
    out: Annotated[Path, typer.Option(help="Folder for the adapter.")],
    start: Annotated[Path, typer.Option(help="The adapter to go on from.")] = SHIPPED,
    held: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of searches that it is measured on.")
    ] = 0.2,
    epochs: Annotated[int, typer.Option(min=1)] = 4,
    rate: Annotated[float, typer.Option(min=0)] = 3e-4,
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Train what reads a search beside the products found, and measure it beside the one that is
    shipped on searches that are held out."""
    from finetune.pair_training import PairRecipe
    from finetune.product_reranker import held_out, measured, train_product_reranker

    with clear_errors():
        settings = load_settings(home=home)
        shelf = read_shelf(products)
        learnt, kept = held_out(read_searches(labels, shelf), held)
        recipe = PairRecipe(epochs, rate=rate)
        train_product_reranker(out, learnt, shelf, start, recipe, resume=resume)
        manifest = measured(out, learnt, kept, settings.engines)
        show({"out": str(out)} | asdict(manifest), as_json)


@product_searches.command("evaluate-product-reranker")
def evaluate_product_reranker(
    folder: Annotated[Path, typer.Argument(help="Folder made by `product-reranker`.")],
    labels: Labels,
    products: Products,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Measure one on graded searches: NDCG@10 of what was graded, in its order."""
    from finetune.product_reranker import evaluate_product_reranker as evaluate
    from knowledge.catalogue.reranker import ProductReranker

    with clear_errors():
        settings = load_settings(home=home)
        searches = read_searches(labels, read_shelf(products))
        found = ProductReranker(folder, settings.engines, settings.knowledge.threads)
        show(evaluate(found, searches), as_json)


add_promotion(
    product_searches, "product-reranker", product_rerankers,
    promote_help="Search the products of HOME with it, if it is surely better than the one that is"
    " shipped; an assistant that runs takes it up at its next start.",
    rollback_help="Search with the one promoted before, or the one that is shipped.",
)  # fmt: skip
