"""Read what is searched for beside each product found, and say how well the product suits.

MiniLM with a LoRA adapter that learnt from graded searches (`python -m finetune product-reranker`):
it tells a laptop from a bag for laptops, which words and vectors do not.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge.catalogue.names import levels
from knowledge.catalogue.types import Product
from knowledge.engines import in_length_order
from knowledge.pair_engine import PairEngine
from knowledge.segment import content_words

if TYPE_CHECKING:
    from knowledge.heads import Headed

MAX_TOKENS = 64  # as in training
OUTPUTS = ["relevance"]
_MOST_CHARACTERS = 240
_MOST_SAID = 3  # statements about a product that are read beside what it is


class Suits(Protocol):
    """Says how well products suit a search."""

    def suits(self, search: str, products: Sequence[Product]) -> NDArray[np.float32]:
        """(products,) from 0, something else, to 1, exactly this."""
        ...


class ProductReranker:
    """The network in a folder. `bulk` is for products by the thousand. Raises EncoderError when
    the folder holds none."""

    def __init__(
        self, folder: Path, engines: Path, threads: int = 2, *, bulk: bool = False
    ) -> None:
        self._engine = PairEngine(
            folder, engines, _network, OUTPUTS, threads=threads, max_tokens=MAX_TOKENS, bulk=bulk
        )
        self.name = self._engine.name

    def suits(self, search: str, products: Sequence[Product]) -> NDArray[np.float32]:
        """See Suits."""
        asked = set(content_words(search))
        texts = [gist(product, asked) for product in products]
        new = list(dict.fromkeys(texts))
        read = in_length_order(
            list(map(len, new)), lambda rows: self._read([(search, new[row]) for row in rows])
        )
        of_text = dict(zip(new, read, strict=True))
        logits = np.array([of_text[text] for text in texts], np.float32)
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)

    def _read(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [float(relevance) for _, (relevance,) in self._engine.run(pairs)]


def gist(product: Product, asked: Set[str]) -> str:
    """What a product is, and of what is said of it first what has words that are asked for."""
    known = (*levels(product.category)[-2:], product.brand, product.colour)
    title = product.title.casefold()
    names = [name for name in known if name and name.casefold() not in title]
    said = [
        *filter(None, product.description.splitlines()),
        *(f"{name.replace('_', ' ')} {value}" for name, value in product.attributes),
    ]
    spoken = sorted(said, key=lambda text: -len(asked & set(content_words(text))))[:_MOST_SAID]
    return ". ".join((product.title, *names, *spoken))[:_MOST_CHARACTERS]


def _network(backbone: Any) -> Headed:
    from knowledge.relevance_net import RelevanceNet  # torch takes seconds

    return RelevanceNet(backbone)
