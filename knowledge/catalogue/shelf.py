"""The products of one language in memory: which ones meet a constraint, and how well each answers
some words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge.catalogue import colours
from knowledge.catalogue.fields import searched_text
from knowledge.catalogue.names import Names, levels, line_of, size_key
from knowledge.catalogue.store import CatalogueStore
from knowledge.catalogue.types import Constraint, Product
from knowledge.encoder import Vectors
from knowledge.lexical import LexicalIndex
from knowledge.segment import content_words, is_cjk, words
from knowledge.terms import Terms

Mask = NDArray[np.bool_]  # one a product
# More products are not scanned: 100,000 take 20 ms on a core; Chroma's index gives so many then.
EXACT_UP_TO = 100_000
_MOST_NEAR = 2_000
# How much the nearest by meaning counts beside the best by words; fitted, with the rest of the
# formula, on the shared queries of ../benchmarks/products.py.
_BY_MEANING = 0.25
_MOST_OF_TITLE = 0.7  # by rarity, from which a title counts as said
_MOST_CHECKED = 3_000  # products whose text is read for "without a hood"
_DENIED = r"(?:\b(?:no|not|without|free of|free from|none)\b|n't\b)\W+(?:\w+\W+){0,2}?"
_DENIED_ZH = r"(?:无|非|没有|不(?:带|含|是|能|会|可)?)"


class Scores(NamedTuple):
    """How well each product answers some words: `rank` orders them, `cosine` says how near what
    it is comes to the words, `coverage` which share of them, by rarity, its text has, and
    `naming` its names."""

    rank: NDArray[np.float32]
    cosine: NDArray[np.float32]
    coverage: NDArray[np.float32]
    naming: NDArray[np.float32]


class Shelf:
    """The products of one language of a version."""

    def __init__(self, store: CatalogueStore, language: str) -> None:
        self.language = language
        self._store = store
        rows = store.rows[language]
        self.products: Sequence[Product] = [store.products[row] for row in rows]
        self.names = Names.of(self.products)
        self._vectors = store.vectors[rows]
        self._row_of = {p.key: row for row, p in enumerate(self.products)}
        terms = store.terms(language)
        self._lexical, self._holding = LexicalIndex(terms), _Holding(terms)
        self._named = _Holding(Terms.of([_names_of(p) for p in self.products]))
        self.prices = np.array(
            [np.nan if p.price is None else float(p.price) for p in self.products]
        )
        self._members = _members(self.products)
        self._lines = _lines(self.products)
        self._called = _Holding(Terms.of(list(self._lines)))
        self._weights = np.array([self._weight(line) for line in self._lines])
        self._titled: dict[tuple[str, str], list[int]] = {}
        for row, product in enumerate(self.products):
            self._titled.setdefault((product.title, product.brand), []).append(row)
        self._left = np.array([p.stock != 0 for p in self.products])

    def alike(self, row: int) -> Sequence[int]:
        """The products of the same title and brand: the same in other colours."""
        product = self.products[row]
        return self._titled[product.title, product.brand]

    def product(self, product_id: str) -> Product | None:
        """The product of an id, if there is one."""
        row = self._row_of.get(f"{product_id}@{self.language}")
        return None if row is None else self.products[row]

    def called(self, text: str) -> list[Product]:
        """The products that a text calls by their title, but for what stands behind a comma in it;
        the first of each that is called so."""
        held = np.zeros(len(self._lines))
        for word in set(content_words(text)):
            held[self._called.rows(word)] += self._lexical.weight(word)
        whole = np.array([line in text for line in self._lines])
        hits = (held >= _MOST_OF_TITLE * self._weights) | whole
        best = np.where(hits, np.where(whole, self._weights, held), 0.0)
        if not hits.any():
            return []
        rows = list(self._lines.values())
        return [self.products[rows[n]] for n in np.flatnonzero(hits & (best >= best.max() - 1e-6))]

    def _weight(self, text: str) -> float:
        return sum(map(self._lexical.weight, set(content_words(text)))) or 1.0

    def __len__(self) -> int:
        return len(self.products)

    def meeting(self, alike: Sequence[Constraint]) -> Mask:
        """The products that meet constraints of one field: one of those that are wanted, and none
        of those that are not."""
        wanted = [self._meeting(c) for c in alike if not c.negated]
        unwanted = [self._meeting(c) for c in alike if c.negated]
        met: Mask = np.logical_or.reduce(wanted) if wanted else self._all()
        if unwanted:
            met = met & ~np.logical_or.reduce(unwanted)
        return met

    def in_stock(self, sizes: Iterable[str] = ()) -> Mask:
        """The products that are left, in one of the sizes if any are named; where the shop does
        not say, they are."""
        left = self._left
        for n, size in enumerate(sizes):
            left = np.zeros(len(self), bool) if not n else left
            name = self.names.size(size)
            for row in self._members["size"].get(size_key(size), ()):
                left[row] |= self.products[row].stock_of(name) != 0
        return left

    def scores(self, text: str, vector: Vectors) -> Scores:
        """How well each product answers a text and its vector."""
        asked = set(content_words(text))
        rarity = {word: self._lexical.weight(word) for word in asked}
        by_words = self._lexical.scores(self._with_compounds(text))
        coverage = self._holding.share(rarity)
        cosine = self._cosines(vector)
        lexical = by_words / max(float(by_words.max(initial=0.0)), 1e-6) * coverage
        meaning = np.clip(cosine, 0, None) / max(float(cosine.max(initial=0.0)), 1e-6)
        rank = lexical + np.float32(_BY_MEANING) * meaning
        return Scores(rank, cosine, coverage, self._named.share(rarity))

    def knows(self, phrase: str) -> bool:
        """Whether any product's text has all words of a phrase."""
        return bool(self._holding.all_of(phrase).any())

    def says(self, row: int, phrase: str) -> bool:
        """Whether a product's text has the words of a phrase, and not only to deny it."""
        denied = _DENIED_ZH if is_cjk(phrase) else _DENIED
        denial = re.compile(denied + re.escape(phrase), re.IGNORECASE)
        left = denial.sub(" ", searched_text(self.products[row]))
        return set(content_words(phrase)) <= set(content_words(left))

    def denies(self, row: int, phrase: str) -> bool:
        """Whether a product's text has the words only to deny it."""
        said = set(content_words(phrase)) <= set(content_words(searched_text(self.products[row])))
        return said and not self.says(row, phrase)

    def _meeting(self, constraint: Constraint) -> Mask:
        met = np.zeros(len(self), bool)
        match constraint.field:
            case "most":
                return self._priced(constraint, self.prices <= float(constraint.amount))
            case "least":
                return self._priced(constraint, self.prices >= float(constraint.amount))
            case "stock":
                return self.in_stock()
            case "colour":
                held = self._members["colour"]
                found = [rows for c, rows in held.items() if colours.suits(c, constraint.value)]
            case "word":
                return self._speaking_of(constraint.value)
            case "size":
                found = [self._members["size"].get(size_key(constraint.value), [])]
            case "brand" | "category":
                found = [self._members[constraint.field].get(constraint.value.casefold(), [])]
            case _:
                return self._all()
        for rows in found:
            met[rows] = True
        return met

    def _priced(self, limit: Constraint, within: Mask) -> Mask:
        """Of the products within a limit those whose price is in its currency, if it has one."""
        if not limit.currency:
            return within
        met = np.zeros(len(self), bool)
        met[self._members["currency"].get(limit.currency, [])] = True
        return met & within

    def _speaking_of(self, phrase: str) -> Mask:
        """The products whose text speaks of something, and does not only deny it; of very many
        those that have the words."""
        met = self._holding.all_of(phrase)
        rows = np.flatnonzero(met)
        if len(rows) <= _MOST_CHECKED:
            met[rows] = [self.says(row, phrase) for row in rows.tolist()]
        return met

    def _all(self) -> Mask:
        return np.ones(len(self), bool)

    def _cosines(self, vector: Vectors) -> NDArray[np.float32]:
        if len(self) <= EXACT_UP_TO:
            cosines: Vectors = self._vectors @ vector
            return cosines
        found = np.zeros(len(self), np.float32)
        for key, cosine in self._store.nearest(self.language, vector, _MOST_NEAR):
            found[self._row_of[key]] = cosine
        return found

    def _with_compounds(self, text: str) -> str:
        """The text, with the words that two of its words make together: "head set"."""
        said = words(text)
        pairs = (a + b for a, b in zip(said, said[1:], strict=False) if (a + b).isascii())
        known = (p for p in pairs if any(self._lexical.holding(w) for w in content_words(p)))
        return " ".join((text, *known))


class _Holding:
    """Which texts have a content word."""

    def __init__(self, terms: Terms) -> None:
        by_word = terms.words.tocsc()
        self._number = {word: n for n, word in enumerate(terms.vocabulary)}
        self._starts, self._rows, self._texts = by_word.indptr, by_word.indices, len(terms)

    def rows(self, word: str) -> NDArray[np.int32]:
        """The texts that have a word."""
        number = self._number.get(word)
        if number is None:
            return np.zeros(0, np.int32)
        rows: NDArray[np.int32] = self._rows[self._starts[number] : self._starts[number + 1]]
        return rows

    def share(self, rarity: Mapping[str, float]) -> NDArray[np.float32]:
        """Which share of the words, weighted by rarity, each text has, 0 to 1."""
        held = np.zeros(self._texts, np.float32)
        for word, weight in rarity.items():
            held[self.rows(word)] += weight
        return held / max(sum(rarity.values()), 1e-6)

    def all_of(self, phrase: str) -> Mask:
        """The texts that have all words of a phrase."""
        held = np.ones(self._texts, bool)
        for word in content_words(phrase) or [phrase]:
            has = np.zeros(self._texts, bool)
            has[self.rows(word)] = True
            held &= has
        return held


def _lines(products: Sequence[Product]) -> dict[str, int]:
    """The titles without their variants ("Family tent, 4 people"), and the first row of each."""
    found: dict[str, int] = {}
    for row, product in enumerate(products):
        found.setdefault(line_of(product.title), row)
    return found


def _names_of(product: Product) -> str:
    """What a product is called, and what it is."""
    return " ".join((product.title, *levels(product.category), product.brand))


def _members(products: Sequence[Product]) -> dict[str, dict[str, list[int]]]:
    """The rows of each brand, category, colour, currency and size."""
    held: dict[str, dict[str, list[int]]] = {
        name: {} for name in ("brand", "category", "colour", "currency", "size")
    }
    for row, p in enumerate(products):
        values = {
            "brand": [p.brand.casefold()],
            "category": [level.casefold() for level in levels(p.category)],
            "colour": [p.colour],
            "currency": [p.currency],
            "size": [size_key(s.name) for s in p.sizes],
        }
        for name, keys in values.items():
            for key in filter(None, keys):
                held[name].setdefault(key, []).append(row)
    return held
