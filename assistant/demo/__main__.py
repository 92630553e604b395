"""Write the demo shop's generated records: products, customers, orders, dialogues.

python -m assistant.demo --out DIR | --home HOME
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
from assistant.demo.orders import generate_shop
from assistant.demo.records import customer_record, order_records, variant_records
from assistant.records.sqlite import FILE, SqliteRecords


def write(path: Path, records: Iterable[Any]) -> int:
    """Write dataclass records as JSON Lines; returns how many."""
    lines = [json.dumps(asdict(r), ensure_ascii=False, default=date.isoformat) for r in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def main(
    out: Annotated[Path | None, typer.Option(help="Folder for the JSON Lines files.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Home whose assistant shall look the orders up.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes another shop's past.")] = 20261123,
) -> None:
    """Write products.jsonl, customers.jsonl, orders.jsonl and dialogues.jsonl to a folder, or give
    a home the customers and orders."""
    if not (out or home):
        raise typer.BadParameter("say where to: --out FOLDER, --home HOME, or both")
    products, shop = load_catalogue(), generate_shop(seed)
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
            "customers": shop.customers,
            "orders": shop.orders,
            "dialogues": generate_dialogues(shop, products, seed=seed),
        }
        for name, rows in records.items():
            typer.echo(f"{name}: {write(out / f'{name}.jsonl', rows)}", err=True)


if __name__ == "__main__":
    typer.run(main)
