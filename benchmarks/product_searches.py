"""What customers of the demo shop are shown when they search, and whether it is what they look for.

    python -m benchmarks.product_searches [--labels FILE] [--home HOME] [--show]

108 searches, half of them Chinese, that the product reranker did not learn from
(`finetune/products/demo-held.jsonl`), without the reranker and with it. Of searches for what the
shop sells: whether anything good (a grade of 2 or 3) is among the first five, which share of what
is shown is good, and whether it is told to be what was meant (`sure`); of searches for what it does
not sell, how often that is told all the same, and how often nothing is shown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from assistant.demo.catalogue import load_catalogue
from assistant.demo.goods import goods
from assistant.settings import load_settings
from benchmarks.products import published, unread
from benchmarks.serving import ROOT
from finetune.product_labels import Search, read_searches, read_shelf
from knowledge.catalogue.promoted import SHIPPED
from knowledge.catalogue.search import Catalogue

_LABELS = ROOT / "finetune" / "products" / "demo-held.jsonl"
_SHOWN, _GOOD = 5, 2


def scores(catalogue: Catalogue, searches: list[Search], show: bool) -> dict[str, float]:
    """The shares, by language."""
    found: dict[str, list[float]] = defaultdict(list)
    for search in searches:
        grades = {product.id: grade for product, grade in search.judged}
        result = catalogue.find(
            catalogue.parse(search.query, search.language), search.language, _SHOWN
        )
        good = [grades.get(offer.product.id, 0) >= _GOOD for offer in result.offers]
        is_sure, language = float(result.fit == "sure"), search.language
        if max(grades.values()) >= _GOOD:
            found[f"{language} sold: anything good"].append(float(any(good)))
            found[f"{language} sold: share of good"].append(float(np.mean(good or [0])))
            found[f"{language} sold: sure"].append(is_sure)
        else:
            found[f"{language} not sold: sure"].append(is_sure)
            found[f"{language} not sold: nothing shown"].append(float(not good))
        if show and not any(good):
            print(f"  {search.query}: {result.fit}", [o.product.title for o in result.offers[:3]])
    return {f"{name} (of {len(values)})": float(np.mean(values)) for name, values in found.items()}


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--labels", type=Path, default=_LABELS)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--reranker", type=Path, default=SHIPPED)
    parser.add_argument("--show", action="store_true", help="searches that find nothing good")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        home = arguments.home or Path(work)
        home.mkdir(parents=True, exist_ok=True)
        settings = load_settings(home=home, environment={})
        catalogue = published(list(goods(load_catalogue())), settings, arguments.reranker)
        shelf = read_shelf([home / "products.jsonl"])
        searches = read_searches([arguments.labels], shelf)
        without = scores(unread(catalogue), searches, show=False)
        with_it = scores(catalogue, searches, arguments.show)
    print(f"{'':36} unread  ours")
    for name in sorted(without):
        print(f"{name:36} {without[name]:6.3f} {with_it[name]:6.3f}")


if __name__ == "__main__":
    sys.exit(main())
