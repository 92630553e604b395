"""Product search on real queries with graded judgements, beside BM25 and plain MiniLM with Chroma.

    python -m benchmarks.products [--judgements FILE] [--home FOLDER] [--show]
    python -m benchmarks.products --speed 50000 [--home FOLDER]

Icecat's electronics (../data/icecat_search: 19,406 products). NDCG@10 (Järvelin and Kekäläinen,
2002) with gains of 2^relevance - 1, its 95% bootstrap interval over the queries, and that of the
difference from the better baseline (bar: +5 points): once with products that nobody has judged
counted as irrelevant, and once with them left out (`condensed`: Sakai, "Alternatives to bpref",
SIGIR 2007), for what was judged are another search engine's results, 29 a query. `bm25` counts the
words of title, brand, description and attributes; `plain` is all-MiniLM-L6-v2 as it comes on the
same text, by exact search, which is at least what Chroma's index finds. `ours` is the order of the
shop's search, `unread` that without the reranker, and `shown` what a customer is shown of it: each
title once, and nothing that the words do not mean. `--speed` times searches of so many products,
with the encoder: the median and the slowest of 95% (bar: 60 ms, 300 ms with the reranker). A
`--home` keeps what was embedded; `--reranker` measures another one than is shipped.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.settings import Settings, load_settings
from benchmarks.passages import data_folder
from benchmarks.retrieval import interval
from finetune.product_labels import BEST, ndcg
from knowledge.catalogue.promoted import SHIPPED
from knowledge.catalogue.refresh import refresh_catalogue
from knowledge.catalogue.reranker import ProductReranker
from knowledge.catalogue.search import Catalogue
from knowledge.encoder import MiniLM, load_encoder
from knowledge.formats import read_json_lines
from knowledge.lexical import LexicalIndex
from knowledge.minilm import minilm_folder
from knowledge.terminal import progress_bar
from knowledge.terms import Terms
from knowledge.versions import CatalogueVersions

_MAX_BYTES = 500_000_000
_DEEP = 100  # products of a result, from which unjudged ones may be left out
_SEED, _DRAWS = 1, 10_000
_CENTS = 100
Row = Mapping[str, Any]
Search = Callable[[str], list[str]]  # a query to product ids, best first


def product_rows(folder: Path) -> list[dict[str, Any]]:
    """The products as `python -m knowledge catalogue` takes them."""
    return [
        {
            "id": row["id"],
            "title": row["title"],
            "brand": row["brand"],
            "price": row["price"] / _CENTS if row["price"] else None,
            "currency": "EUR",
            "description": row["description"],
            "attributes": row["attributes"],
            "language": "en",
        }
        for row in read_json_lines(folder / "products.jsonl.gz", _MAX_BYTES)
    ]


def judgements(path: Path) -> dict[str, dict[str, float]]:
    """Relevance (0 to 3) by product, for each query."""
    judged: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read_json_lines(path, _MAX_BYTES):
        judged[row["query"]][row["product_id"]] = row["relevance"]
    return dict(judged)


def _ndcg(found: Sequence[str], judged: Mapping[str, float]) -> float:
    return ndcg([judged.get(name, 0.0) for name in found], judged.values())


def text_of(row: Row) -> str:
    """All that is said of a product."""
    said = (f"{name.replace('_', ' ')} {value}" for name, value in row["attributes"].items())
    return "\n".join((row["title"], row["brand"] or "", row["description"] or "", *said))


def searches(rows: Sequence[Row], catalogue: Catalogue, settings: Settings) -> dict[str, Search]:
    """The ways that are compared."""
    ids = [row["id"] for row in rows]
    texts = [text_of(row) for row in rows]
    lexical = LexicalIndex(Terms.of(texts))
    plain = MiniLM(minilm_folder(), settings.engines, bulk=True)
    vectors = _kept(settings.home / "plain.npy", lambda: plain.embed(texts))

    def bm25(query: str) -> list[str]:
        return [ids[row] for row, _ in lexical.best(query, _DEEP)]

    def dense(query: str) -> list[str]:
        cosines = vectors @ plain.embed([query])[0]
        return [ids[row] for row in np.argsort(-cosines)[:_DEEP]]

    def shown(query: str) -> list[str]:
        found = catalogue.find(catalogue.parse(query, "en"), "en", _DEEP)
        return [offer.product.id for offer in found.offers]

    ways = {"bm25": bm25, "plain": dense, "shown": shown}
    return ways | {"unread": _ranking(unread(catalogue)), "ours": _ranking(catalogue)}


def _ranking(catalogue: Catalogue) -> Search:
    def ranked(query: str) -> list[str]:
        wanted = catalogue.parse(query, "en")
        return [product.id for product in catalogue.ranked(wanted, "en", _DEEP)]

    return ranked


def unread(catalogue: Catalogue) -> Catalogue:
    """The same without a reranker."""
    return Catalogue(catalogue.versions, catalogue.encoder)


def _kept(path: Path, make: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    if path.is_file():
        held: NDArray[np.float32] = np.load(path)
        return held
    made = make()
    np.save(path, made)
    return made


def published(rows: Sequence[Row], settings: Settings, reranker: Path) -> Catalogue:
    """A catalogue of these products in the settings' home."""
    knowledge = settings.knowledge
    encoder = load_encoder(knowledge.encoder, settings.engines, knowledge.threads)
    source = settings.home / "products.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with progress_bar() as progress:
        refresh_catalogue(
            CatalogueVersions(settings.home), encoder, source,
            max_bytes=_MAX_BYTES, keep=1, progress=progress,
        )  # fmt: skip
    reads = ProductReranker(reranker, settings.engines, knowledge.threads)
    return Catalogue(CatalogueVersions(settings.home), encoder, reads)


def compare(
    rows: Sequence[Row], catalogue: Catalogue, path: Path, settings: Settings, show: bool
) -> None:
    """Print NDCG@10 of each way, and how far ours is ahead."""
    judged = judgements(path)
    ways = searches(rows, catalogue, settings)
    found = {way: {query: search(query) for query in judged} for way, search in ways.items()}
    scores = {}
    for kind in ("all", "condensed"):
        for way in ways:
            scores[way] = [
                _ndcg([n for n in found[way][q] if kind == "all" or n in judged[q]], judged[q])
                for q in judged
            ]
            low, high = interval(scores[way], [0.0] * len(judged))
            print(f"{kind:9} {way:6} NDCG@10 {np.mean(scores[way]):.3f} [{low:.3f}, {high:.3f}]")
        better = max(("bm25", "plain"), key=lambda way: np.mean(scores[way]))
        low, high = interval(scores["ours"], scores[better])
        ahead = np.mean(scores["ours"]) - np.mean(scores[better])
        print(
            f"  ahead of {better}: {ahead:+.3f} [{low:+.3f}, {high:+.3f}] of {len(judged)} queries"
        )
    if show:
        for n, query in enumerate(judged):
            print(f"  {query:34}", *(f"{way} {scores[way][n]:.2f} " for way in ways))


def enlarged(rows: Sequence[Row], count: int) -> Iterator[dict[str, Any]]:
    """So many products: the same again under other names and prices."""
    for n in range(count):
        row, again = rows[n % len(rows)], n // len(rows)
        title = f"{row['title']} series {again}" if again else row["title"]
        price = row["price"] and row["price"] * (1 + 0.1 * again)
        yield {**row, "id": f"{row['id']}-{again}", "title": title, "price": price}


def speed(catalogue: Catalogue, queries: Sequence[str]) -> None:
    """Print how long a search takes, without the reranker and with it, after some to warm up."""
    for name, shop in (("unread", unread(catalogue)), ("ours", catalogue)):
        times = []
        for query in (*queries[:3], *queries):
            # One more is asked for each time: none is remembered from the warm-up.
            started = time.perf_counter()
            shop.find(shop.parse(query, "en"), "en", BEST + len(times))
            times.append(1000 * (time.perf_counter() - started))
        p50, p95 = np.quantile(times[3:], (0.5, 0.95))
        told = f"{len(shop.shelf('en'))} products, {len(queries)} searches"
        print(f"{name:6} {told}: p50 {p50:.1f} ms, p95 {p95:.1f} ms")


def main() -> None:
    """Compare, or time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--judgements", type=Path, help="another file of judgements")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--reranker", type=Path, default=SHIPPED)
    parser.add_argument("--speed", type=int, metavar="PRODUCTS")
    parser.add_argument("--show", action="store_true", help="each query's scores")
    arguments = parser.parse_args()
    folder = data_folder() / "data" / "icecat_search"
    path = arguments.judgements or folder / "judgements_dev.jsonl.gz"
    rows = product_rows(folder)
    with tempfile.TemporaryDirectory() as work:
        home = arguments.home or Path(work)
        home.mkdir(parents=True, exist_ok=True)
        settings = load_settings(home=home, environment={})
        shelf = list(enlarged(rows, arguments.speed)) if arguments.speed else rows
        catalogue = published(shelf, settings, arguments.reranker)
        if arguments.speed:
            speed(catalogue, list(judgements(path)))
        else:
            compare(rows, catalogue, path, settings, arguments.show)


if __name__ == "__main__":
    sys.exit(main())
