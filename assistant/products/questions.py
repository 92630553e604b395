"""Questions about one product, answered from its attributes and description: the statement that
answers is read out, or none."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from assistant import phrases
from assistant.products.telling import SOURCE, name_of, price_of, stock_of
from assistant.safety import gives_orders
from assistant.skills import Fetched
from assistant.types import Evidence, Question
from knowledge.catalogue.search import Catalogue
from knowledge.catalogue.types import Product
from knowledge.rerank import Reader, as_read, what_is_asked
from knowledge.segment import split_sentences, word_spans

# The reader learnt from sentences of policies, and each statement is shown to it by itself: among
# twelve others "Weight: 340 g" is not seen. From SURE (a logit) its word is taken; below, the
# statement whose vector is nearest to the question without the product's name goes first, from NEAR
# (a cosine), and then what the reader holds likelier than not (`benchmarks.product_questions`).
_SURE, _LIKELY, _NEAR = 1.0, 0.0, 0.5


class ProductQuestions:
    """Reads a product's statements for a question."""

    def __init__(self, catalogue: Catalogue, reader: Reader) -> None:
        self.catalogue = catalogue
        self.reader = reader

    def fetch(self, question: Question, asked: str, product: Product) -> Fetched | None:
        """The statement of the product's text that answers what was asked, as evidence; None where
        there is none."""
        text = text_of(product, question.language)
        statements = [s for line in text.splitlines() for s in split_sentences(line)]
        if gives_orders(text) or not statements:
            return None
        quote, relevance = self._answer(asked, product, statements)
        if not quote:
            return None
        evidence = Evidence(
            id=f"product:{product.id}", kind="passage", source=SOURCE,
            title=name_of(product, question.language), text=text, language=product.language,
            relevance=relevance, quote=quote, url=product.url, pointed=quote,
        )  # fmt: skip
        return Fetched((evidence,), version=self.catalogue.version)

    def _answer(self, asked: str, product: Product, statements: Sequence[str]) -> tuple[str, float]:
        """(the statement that answers, how sure that is from 0 to 1); ("", 0.0) for none."""
        texts = [as_read((product.title,), statement) for statement in statements]
        read = [r.relevance for r in self.reader.read(what_is_asked(asked), texts)]
        best = max(range(len(read)), key=lambda n: read[n])
        if read[best] < _SURE:
            vectors = self.catalogue.encoder.embed([_without_name(asked, product), *statements])
            cosines = vectors[1:] @ vectors[0]
            nearest = int(cosines.argmax())
            if cosines[nearest] >= _NEAR:
                return statements[nearest], float(cosines[nearest])
        if read[best] < _LIKELY:
            return "", 0.0
        return statements[best], 1 / (1 + math.exp(-read[best]))


def _without_name(asked: str, product: Product) -> str:
    """A question without the words of the product's title: all its statements are about that."""
    title = product.title
    for word in (title, *(title[a:b] for a, b in word_spans(title))):
        asked = re.sub(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", " ", asked, flags=re.I)
    return asked


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
