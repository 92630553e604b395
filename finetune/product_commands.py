"""Commands that train and measure the reranker of product search."""

# The training modules are imported where they are used: torch takes seconds.

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assistant.settings import load_settings
from finetune.command_line import DEFAULT_HOME, Home, Json, Resume, clear_errors, show
from finetune.product_labels import read_searches, read_shelf
from finetune.reader_commands import RERANKER

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
    start: Annotated[Path, typer.Option(help="The adapter to go on from.")] = RERANKER,
    epochs: Annotated[int, typer.Option(min=1)] = 4,
    rate: Annotated[float, typer.Option(min=0)] = 3e-4,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Train what reads a search beside the products found."""
    from finetune.pair_training import PairRecipe
    from finetune.product_reranker import train_product_reranker

    with clear_errors():
        shelf = read_shelf(products)
        searches = read_searches(labels, shelf)
        recipe = PairRecipe(epochs, rate=rate)
        train_product_reranker(out, searches, shelf, start, recipe, resume=resume)
        graded = sum(len(search.judged) for search in searches)
        show({"out": str(out), "searches": len(searches), "graded": graded}, as_json)


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
