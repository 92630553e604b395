"""Searches with graded products, to learn from and to measure by.

`finetune/products/` has what was written and graded for this project: searches of the demo shop in
English and Chinese, and of the electronics in Icecat's open catalogue (../data/icecat_search), none
of which is among the searches that product search is measured on.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetune.errors import DataError
from finetune.reranker_data import read_records
from knowledge.catalogue.reading import read_products
from knowledge.catalogue.reranker import gist
from knowledge.catalogue.types import Product
from knowledge.segment import content_words

MOST_RELEVANT = 3.0
BEST = 10
_MAX_BYTES = 500_000_000


class Label(BaseModel):
    """A line of a file of labels: how well a product suits a search, 0 (something else) to 3."""

    model_config = ConfigDict(frozen=True)

    query: str = Field(min_length=1)
    product_id: str
    relevance: float = Field(ge=0, le=MOST_RELEVANT)
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody searched for, and how well each judged product suits it."""

    query: str
    language: str
    judged: tuple[tuple[Product, float], ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A row to learn from: a search, a product as the network reads it, and the grade as the gain
    that NDCG gives it, 0 to 1."""

    query: str
    text: str
    gain: float

    @property
    def texts(self) -> tuple[str, str]:
        """What the network is given."""
        return self.query, self.text


def read_shelf(paths: Sequence[Path]) -> dict[str, Product]:
    """The products of catalogue files, by their keys. Raises SourceError."""
    return {p.key: p for path in paths for p in read_products(path, _MAX_BYTES).products}


def read_searches(paths: Sequence[Path], shelf: Mapping[str, Product]) -> list[Search]:
    """The searches of files of labels, in order. Raises DataError for a line that is none, or that
    names a product which there is not."""
    found: dict[tuple[str, str], dict[str, tuple[Product, float]]] = {}
    for path in paths:
        for number, record in enumerate(read_records(path), 1):
            try:
                label = Label.model_validate(record)
                product = shelf[f"{label.product_id}@{label.language}"]
            except ValidationError as error:
                told = error.errors()[0]
                where = ".".join(map(str, told["loc"]))
                raise DataError(f"{path}, line {number}: {where}: {told['msg']}") from error
            except KeyError as error:
                raise DataError(
                    f"{path}, line {number}: no product {error.args[0]}; name the catalogue that"
                    " was graded with --products"
                ) from error
            judged = found.setdefault((label.language, label.query), {})
            judged[product.key] = product, label.relevance
    return [Search(q, language, tuple(j.values())) for (language, q), j in found.items()]


def rows_of(
    searches: Sequence[Search], shelf: Mapping[str, Product], others: int, rng: random.Random
) -> Iterator[Judged]:
    """What was judged, and `others` products of the same language for each search, drawn anew,
    which hardly suit."""
    by_language: dict[str, list[Product]] = {}
    for product in shelf.values():
        by_language.setdefault(product.language, []).append(product)
    for search in searches:
        asked = set(content_words(search.query))
        for product, grade in search.judged:
            yield Judged(search.query, gist(product, asked), gain(grade))
        seen = {product.key for product, _ in search.judged}
        for product in rng.sample(by_language[search.language], others):
            # What has a word of the search may well suit: nobody said.
            if product.key not in seen and not asked & set(content_words(product.title)):
                yield Judged(search.query, gist(product, asked), 0.0)


def gain(grade: float) -> float:
    """Of a grade in NDCG (Burges et al., "Learning to rank using gradient descent", ICML 2005), as
    a share of the best one's: a network that foretells it orders by expected gain."""
    return float((2**grade - 1) / (2**MOST_RELEVANT - 1))


def ndcg(grades: Sequence[float], judged: Iterable[float]) -> float:
    """Of the grades of what was found, best first, beside the best order of all that was judged; 0
    where nothing of that suits."""
    ideal = dcg(sorted(judged, reverse=True))
    return dcg(grades) / ideal if ideal else 0.0


def dcg(grades: Sequence[float]) -> float:
    """Discounted cumulated gain of the first ten grades, best first (Järvelin and Kekäläinen,
    "Cumulated gain-based evaluation of IR techniques", TOIS 2002; gains of 2^grade - 1)."""
    return sum((2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(grades[:BEST]))
