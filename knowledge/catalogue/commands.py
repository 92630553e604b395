"""Commands on the shop's products: read them in, and look what is found of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from knowledge.build import open_product_reranker
from knowledge.catalogue.reading import to_row
from knowledge.catalogue.refresh import CatalogueReport, refresh_catalogue
from knowledge.catalogue.search import Catalogue
from knowledge.command_line import one_line_errors
from knowledge.encoder import load_encoder
from knowledge.errors import KnowledgeError, SourceError
from knowledge.language import Detector
from knowledge.settings import KnowledgeSettings
from knowledge.terminal import progress_bar
from knowledge.versions import CatalogueVersions

Home = Annotated[Path | None, typer.Option(help="Folder that holds all state.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
_MOST_REJECTED = 10  # of those printed for people


class Place(NamedTuple):
    """A home, where its engines are, and how it is set."""

    home: Path
    engines: Path
    settings: KnowledgeSettings


clear_errors = partial(
    one_line_errors, KnowledgeError, interrupted="interrupted; the published products are unchanged"
)


def catalogue_app(place_of: Callable[[Path | None], Place]) -> typer.Typer:
    """The commands; `place_of` finds what goes with a home that is given, or not, as a flag."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

    @app.command()
    def catalogue(
        source: Annotated[
            Path | None, typer.Argument(help="JSON Lines, a product each; also .gz and .zst.")
        ] = None,
        home: Home = None,
        rollback: Annotated[bool, typer.Option(help="Back to the version before.")] = False,
        as_json: Json = False,
    ) -> None:
        """Bring the catalogue to the products that a file holds now, and publish it."""
        with clear_errors():
            place = place_of(home)
            versions = CatalogueVersions(place.home)
            if rollback:
                name = versions.rollback()
                _emit({"version": name}) if as_json else typer.echo(f"{name} is published")
                return
            if source is None:
                raise SourceError("name a file of products, or give --rollback")
            settings = place.settings
            with progress_bar() as show:
                report = refresh_catalogue(
                    versions,
                    load_encoder(settings.encoder, place.engines, settings.threads, bulk=True),
                    source,
                    max_bytes=settings.max_file_bytes,
                    keep=settings.keep_versions,
                    progress=show,
                    server=settings.chroma,
                )
            _emit(asdict(report)) if as_json else _print_report(report)

    @app.command()
    def products(
        text: str,
        k: Annotated[int, typer.Option("-k", min=1, max=100)] = 5,
        language: Annotated[str, typer.Option(help="Of the text; else it is detected.")] = "",
        home: Home = None,
        as_json: Json = False,
    ) -> None:
        """Show what is read of a question for products, and what is found."""
        with clear_errors():
            place = place_of(home)
            encoder = load_encoder(place.settings.encoder, place.engines, place.settings.threads)
            reranker = open_product_reranker(place.home, place.engines, place.settings)
            shop = Catalogue(CatalogueVersions(place.home), encoder, reranker)
            language = language or Detector().detect(text).language
            found = shop.find(shop.parse(text, language), language, k)
            row: dict[str, Any] = {
                "query": text,
                "language": language,
                "constraints": [str(c) for c in found.wanted.constraints],
                "text": found.wanted.text,
                "given_up": [str(c) for c in found.given_up],
                "fit": found.fit,
                "products": [to_row(o.product) for o in found.offers],
                "more": found.more,
            }
            if as_json:
                _emit(row)
                return
            typer.echo(f"{', '.join(row['constraints']) or 'no constraints'} | {row['text']}")
            if found.given_up:
                typer.echo(f"given up: {', '.join(row['given_up'])}")
            for product in (offer.product for offer in found.offers):
                price = f"{product.price} {product.currency}"
                typer.echo(f"{price:>12}  {product.id}  {product.title} {product.colour}")

    return app


def _emit(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def _print_report(report: CatalogueReport) -> None:
    typer.echo(
        f"{report.version} published: {report.added} added, {report.changed} changed, "
        f"{report.removed} removed, {report.unchanged} unchanged products; "
        f"{report.embedded} texts embedded; {report.seconds:.1f} s"
    )
    for rejection in report.rejected[:_MOST_REJECTED]:
        typer.echo(f"  rejected {rejection.source}: {rejection.reason}")
    if len(report.rejected) > _MOST_REJECTED:
        typer.echo(f"  {len(report.rejected) - _MOST_REJECTED} more; --json shows them")
