"""Questions about one product, answered from its own attributes and description: they are read,
weighed and checked like a passage of the shop's pages."""

from __future__ import annotations

from collections.abc import Callable

from assistant import phrases
from assistant.products.telling import name_of, price_of, stock_of
from assistant.safety import gives_orders
from assistant.skills import Fetched
from assistant.types import Evidence, Question
from knowledge.catalogue.search import Catalogue
from knowledge.catalogue.types import Product
from knowledge.rerank import (
    MIDDLING,
    WELL_READ,
    Calibration,
    Reader,
    as_read,
    numbers_in,
    sentence_at,
    what_is_asked,
)
from knowledge.segment import is_cjk

SOURCE = "catalogue"


class ProductQuestions:
    """Reads a product for a question; `threshold` is the relevance from which it is quoted."""

    def __init__(
        self,
        catalogue: Catalogue,
        reader: Reader,
        calibration: Calibration,
        threshold: Callable[[], float],
    ) -> None:
        self.catalogue = catalogue
        self.reader = reader
        self.calibration = calibration
        self.threshold = threshold

    def fetch(self, question: Question, asked: str, product: Product) -> Fetched | None:
        """The sentence of the product's text that answers what was asked, as evidence; None when
        none does surely enough."""
        text = text_of(product, question.language)
        if gives_orders(text):
            return None
        read = as_read((product.title,), text)
        (reading,) = self.reader.read(what_is_asked(asked), [read])
        features = self._features(asked, product, text, reading.relevance, reading.pointed)
        kind = "read" if product.language in WELL_READ else "foreign"
        relevance = self.calibration.relevance(kind, features)
        quote = sentence_at(text, read, reading.span)
        if relevance < self.threshold() or not quote:
            return None
        evidence = Evidence(
            id=f"product:{product.id}", kind="passage", source=SOURCE,
            title=name_of(product, question.language), text=text, language=product.language,
            relevance=relevance, quote=quote, url=product.url, pointed=quote,
        )  # fmt: skip
        return Fetched((evidence,), threshold=self.threshold(), version=self.catalogue.version)

    def _features(
        self, asked: str, product: Product, text: str, relevance: float, pointed: float
    ) -> tuple[float, ...]:
        """Values of knowledge.rerank.FEATURES; no other product competes with the one meant."""
        whole = f"{product.title}\n{text}"
        coverage, unknown = self.catalogue.shelf(product.language).covered(asked, whole)
        vectors = self.catalogue.encoder.embed([asked, whole])
        cosine, cjk = float(vectors[0] @ vectors[1]), float(is_cjk(asked))
        return (
            1.0, relevance, pointed, coverage, coverage - MIDDLING, cosine, cosine - MIDDLING, 1.0,
            unknown, float(bool(numbers_in(asked) - numbers_in(whole))), cjk, cjk * cosine,
        )  # fmt: skip


def text_of(product: Product, language: str) -> str:
    """All that the shop says of a product, a statement a line; what only figures say is put in
    words of the product's language, if the assistant speaks it, else of `language`."""
    spoken = product.language if product.language in phrases.languages() else language
    sizes = phrases.say("products_joint", spoken).join(size.name for size in product.sizes)
    facts = {
        "category": product.category, "brand": product.brand, "colour": product.colour,
        "sizes": sizes, "price": price_of(product, spoken), "stock": stock_of(product, (), spoken),
    }  # fmt: skip
    told = [(phrases.say(f"products_{name}", spoken), value) for name, value in facts.items()]
    own = [(name.replace("_", " "), value) for name, value in product.attributes]
    lines = [f"{name[:1].upper()}{name[1:]}: {value}" for name, value in (*own, *told) if value]
    return "\n".join(filter(None, (product.description, *lines)))
