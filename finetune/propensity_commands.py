"""Commands of propensity models: train, measure, promote, roll back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.settings import Settings, load_settings
from finetune.command_line import DEFAULT_HOME, Home, Json, Resume, clear_errors, show
from finetune.errors import DataError
from finetune.promotion_commands import add_promotion
from finetune.settings import RECIPES, load_recipe
from knowledge.propensity.types import History, day_of

if TYPE_CHECKING:
    from finetune.propensity_settings import PropensityRecipe
    from knowledge.promoted import PromotedModels
    from knowledge.propensity.taste import Vectors

propensities = typer.Typer()
_MOST_ORDERS = 100_000  # of one customer, in the home's records
Baskets = Annotated[
    list[Path] | None,
    typer.Argument(help="JSON Lines of {customer, time, items}; without, the orders of HOME."),
]
Products = Annotated[Path | None, typer.Option(help="JSON Lines of {id, title, price}.")]
Contacts = Annotated[Path | None, typer.Option(help="JSON Lines of {customer, time, complaint}.")]
Since = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="First day of the test; else the last 30 days are it."),
]
Page = Annotated[Path | None, typer.Option(help="HTML page: scores, reliability, influences.")]


@dataclass(frozen=True, slots=True)
class Source:
    """Customers' pasts, and the titles of what they bought."""

    customers: Mapping[str, History]
    titles: Mapping[str, str]


@propensities.command()
def propensity(
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    baskets: Baskets = None,
    products: Products = None,
    contacts: Contacts = None,
    recipe: Annotated[
        Path, typer.Option(help="YAML file, such as recipes/propensity.yaml.")
    ] = RECIPES / "propensity.yaml",
    search: Annotated[
        int, typer.Option(min=0, help="Try so many settings more of each kind (Optuna).")
    ] = 0,
    since: Since = None,
    page: Page = None,
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Train what says whether a customer buys again within 30 days."""
    from finetune.propensity import train_propensity
    from finetune.propensity_report import report_of
    from finetune.propensity_search import OptunaSearch
    from finetune.propensity_settings import PropensityRecipe

    with clear_errors():
        settings = load_settings(home=home)
        chosen = load_recipe(recipe, PropensityRecipe)
        source = _source(settings, baskets or [], products, contacts)
        trained = train_propensity(
            out,
            source.customers,
            chosen,
            _vectors(settings, source, chosen),
            known_until=day_of(since) if since else None,
            search=OptunaSearch(search, chosen.seed) if search else None,
            resume=resume,
        )
        manifest, test = trained.model.manifest, trained.lesson.test
        if page:
            report = report_of(trained.model, test, dict(manifest.scores), chosen.seed)
            report.write_page(page)
        result = {"out": str(out), "parts": manifest.parts, "validation": manifest.chosen_by}
        show(result | dict(manifest.scores), as_json)


@propensities.command("evaluate-propensity")
def evaluate_propensity(
    folder: Annotated[Path, typer.Argument(help="Folder made by `propensity`.")],
    baskets: Baskets = None,
    products: Products = None,
    contacts: Contacts = None,
    since: Since = None,
    page: Page = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Measure a model on the customers of the last 30 days, or of those from --since on."""
    from finetune.propensity import measure
    from finetune.propensity_data import moments_of, table_of
    from finetune.propensity_report import report_of
    from finetune.propensity_settings import PropensityRecipe
    from knowledge.propensity.model import Model

    with clear_errors():
        settings = load_settings(home=home)
        model = Model.read(folder)
        recipe = PropensityRecipe.model_validate(model.manifest.recipe)
        source = _source(settings, baskets or [], products, contacts)
        moments = moments_of(source.customers, recipe, day_of(since) if since else None)
        vectors = _vectors(settings, source, recipe) if model.manifest.taste_width else {}
        test = table_of(
            source.customers, moments.test, model.manifest.scale, vectors, recipe.half_life_days
        )
        found = measure(model, test, recipe)
        if page:
            report_of(model, test, found, recipe.seed).write_page(page)
        show(found, as_json)


def _promoted(home: Path) -> PromotedModels[Any]:
    from knowledge.propensity.promoted import propensity_models

    return propensity_models(home)


add_promotion(
    propensities, "propensity", _promoted,
    promote_help="Show a model's outlooks to the staff of HOME, if it tells buyers from others.",
    rollback_help="Show those of the model promoted before, or none.",
)  # fmt: skip


def _source(
    settings: Settings, baskets: list[Path], products: Path | None, contacts: Path | None
) -> Source:
    """The files, or the orders and conversations of the home. Raises DataError."""
    from finetune.propensity_data import read_customers, read_products

    if not baskets:
        return _of_home(settings, contacts)
    sold = read_products(products) if products else {}
    titles = {name: product.title for name, product in sold.items()}
    return Source(read_customers(baskets, sold, contacts), titles)


def _of_home(settings: Settings, contacts: Path | None) -> Source:
    """Customers who have opted out are not learnt from either."""
    from assistant.conversations import Conversations
    from assistant.customer_history import contacts_of, history_from, titles_of
    from assistant.records.sqlite import FILE, SqliteRecords
    from finetune.propensity_data import read_contacts

    file = settings.home / FILE
    if not file.is_file():
        raise DataError(f"there is no {file}: name files of baskets, exported from the shop")
    records, store = SqliteRecords(file), Conversations.of(settings)
    written = read_contacts(contacts) if contacts else {}
    customers: dict[str, History] = {}
    titles: dict[str, str] = {}
    try:
        for name in records.everybody():
            if name in settings.propensity.opted_out:
                continue
            orders = records.orders(name, _MOST_ORDERS)
            said = [*contacts_of(store, name), *written.get(name, ())]
            customers[name] = history_from(orders, said)
            titles |= titles_of(orders)
    finally:
        store.close()
    return Source(customers, titles)


def _vectors(settings: Settings, source: Source, recipe: PropensityRecipe) -> Vectors:
    """The frozen encoder's vectors of all titles, where a network reads them."""
    from finetune.reader_commands import embedded_encoder

    if "network" not in recipe.kinds or not source.titles:
        return {}
    names: list[str] = sorted(source.titles)
    encoder: Any = embedded_encoder(settings, bulk=True)
    vectors = encoder.embed([source.titles[name] for name in names])
    return dict(zip(names, vectors, strict=True))
