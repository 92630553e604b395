"""Write the demo shop's generated records: products, customers, orders, dialogues; `goods.jsonl`
is its catalogue as `python -m knowledge catalogue` reads it.

python -m assistant.demo --out DIR | --home HOME | --goods FILE
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant.demo.catalogue import load_catalogue
from assistant.demo.dialogues import generate_dialogues
from assistant.demo.goods import goods
from assistant.demo.orders import generate_shop
from assistant.demo.records import customer_record, order_records, variant_records
from assistant.records.sqlite import FILE, SqliteRecords


def write(path: Path, records: Iterable[Any]) -> int:
    """Write records, dataclasses or dicts, as JSON Lines; returns how many."""
    rows = (r if isinstance(r, dict) else asdict(r) for r in records)
    lines = [json.dumps(row, ensure_ascii=False, default=date.isoformat) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def main(
    out: Annotated[Path | None, typer.Option(help="Folder for the JSON Lines files.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Home whose assistant shall look the orders up.")
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option("--goods", help="File for the catalogue alone.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes another shop's past.")] = 20261123,
) -> None:
    """Write products.jsonl, goods.jsonl, customers.jsonl, orders.jsonl and dialogues.jsonl to a
    folder, give a home the customers and orders, or write the catalogue."""
    if not (out or home or catalogue):
        raise typer.BadParameter("say where to: --out FOLDER, --home HOME, --goods FILE")
    products = load_catalogue()
    if catalogue:
        catalogue.parent.mkdir(parents=True, exist_ok=True)
        write(catalogue, goods(products))
    if not (out or home):
        return
    shop = generate_shop(seed)
    if home:
        orders = order_records(shop, {product.id: product for product in products})
        SqliteRecords.create(
            home / FILE, map(customer_record, shop.customers), orders,
            variant_records(products, "GBP"),
        )  # fmt: skip
    if out:
        out.mkdir(parents=True, exist_ok=True)
        records = {
            "products": products,
            "goods": goods(products),
            "customers": shop.customers,
            "orders": shop.orders,
            "dialogues": generate_dialogues(shop, products, seed=seed),
        }
        for name, rows in records.items():
            typer.echo(f"{name}: {write(out / f'{name}.jsonl', rows)}", err=True)


if __name__ == "__main__":
    typer.run(main)
