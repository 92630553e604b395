"""Find products: constraints filter, words rank; where nothing is left, what is asked is loosened a
step at a time, and what was given up is told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from knowledge.catalogue.parsing import parse
from knowledge.catalogue.readings import Readings
from knowledge.catalogue.reranker import Suits
from knowledge.catalogue.shelf import Mask, Shelf
from knowledge.catalogue.store import CatalogueStore
from knowledge.catalogue.types import Constraint, Field, Product, Wanted
from knowledge.encoder import Encoder
from knowledge.rerank import MIN_KNOWN_SHARE
from knowledge.segment import STOPWORDS, words
from knowledge.versions import Pointer

log = logging.getLogger(__name__)

# What is given up first where nothing meets everything: what can be waited for, then taste, then
# money; what would not fit, or was refused, later; what kind of thing it is, last. Ours.
_GIVEN_UP: tuple[Field, ...] = (
    "stock",
    "colour",
    "most",
    "least",
    "brand",
    "size",
    "word",
    "category",
)
# From which cosine, or share of its name that was said, a product is what is meant, and from which
# it may be shown as the nearest there is. Fitted on questions to the demo shop in both languages.
_SURE_COSINE, _NEAR_COSINE = 0.55, 0.5
_SURE_NAMING, _LEAST_COSINE = 0.6, 0.42
_SOLD_OUT = 0.75  # what the rank of a product that is sold out counts for
_CODED = 0.99  # of a text with numbers, the share that a product has that is meant
_ALIKE = 0.6  # of the best rank, from which products are put in order of price
_CHECKED, _DENIED = 30, 0.5  # so many are read for words that they deny, and what those count for
# What the reranker's word counts for beside the rank by words and meaning; from which relevance a
# product is what is meant, and from which it may be shown as the nearest there is.
_BY_READING, _SURE_READING, _NEAR_READING = 0.75, 0.5, 0.2
_REMEMBERED = 256  # searches; one turn asks for the same twice

Fit = Literal["sure", "near", "none"]
Group = tuple[Constraint, ...]
_FITS: tuple[Fit, ...] = ("sure", "near")


@dataclass(frozen=True, slots=True)
class Offer:
    """A product that was found, and the other colours that it comes in."""

    product: Product
    colours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, best first. `given_up` are the constraints that had to be, `fit` says
    whether the offers are what the words mean, or only the nearest; `more` how many others there
    are. `unsaid` are words of the message that other products' texts have, and none of these."""

    wanted: Wanted
    offers: tuple[Offer, ...] = ()
    given_up: tuple[Constraint, ...] = ()
    fit: Fit = "none"
    more: int = 0
    unsaid: tuple[str, ...] = ()


class Catalogue:
    """Searches the published products, and follows the pointer when it moves. Without a reranker
    words and meaning alone say what suits."""

    def __init__(self, versions: Pointer, encoder: Encoder, reranker: Suits | None = None) -> None:
        self.versions = versions
        self.encoder = encoder
        self.reranker = reranker
        self._remembered = lru_cache(_REMEMBERED)(self._found)
        self._shelves: dict[str, Shelf] = {}
        self._store: CatalogueStore | None = None
        self._loading = threading.Lock()

    @property
    def version(self) -> str:
        """Name of the version that is searched, or nothing before the first search."""
        return self._store.folder.name if self._store else ""

    def parse(self, text: str, language: str) -> Wanted:
        """What a message asks for, by the names of the products. Raises EmptyKnowledge."""
        return parse(text, language, self.shelf(language).names)

    def find(self, wanted: Wanted, language: str, count: int = 5) -> Found:
        """The count products that suit best, each in one colour. Raises EmptyKnowledge."""
        return self._remembered(self.shelf(language), wanted, count)

    def ranked(self, wanted: Wanted, language: str, count: int) -> tuple[Product, ...]:
        """The count best of the products that meet every constraint, whether the words mean them or
        not, and each by itself: as rankings are compared. Raises EmptyKnowledge."""
        return _Search(self.shelf(language), wanted, self.encoder, self.reranker).ranked(count)

    def _found(self, shelf: Shelf, wanted: Wanted, count: int) -> Found:
        return _Search(shelf, wanted, self.encoder, self.reranker).found(count)

    def shelf(self, language: str) -> Shelf:
        """The products in a language; where there are none, those of the language that has most.
        A version that was published since is loaded first. Raises EmptyKnowledge."""
        folder = self.versions.current_folder()
        if self._store is None or self._store.folder != folder:
            with self._loading:
                if self._store is None or self._store.folder != folder:
                    self._load(CatalogueStore(folder))
        shelves = self._shelves
        return shelves.get(language) or max(shelves.values(), key=len)

    def _load(self, store: CatalogueStore) -> None:
        shelves = {language: Shelf(store, language) for language in store.rows}
        before, self._shelves, self._store = self._store, shelves, store
        self._remembered.cache_clear()  # it holds the shelves of before
        if before:
            before.close()

    def close(self) -> None:
        """Let go of the version's files."""
        if self._store:
            self._store.close()


class _Search:
    """One search of a shelf."""

    def __init__(
        self, shelf: Shelf, wanted: Wanted, encoder: Encoder, reranker: Suits | None
    ) -> None:
        self.shelf = shelf
        self.wanted = wanted
        named = (c.value for c in wanted.of("category", "brand") if not c.negated)
        text = " ".join(filter(None, (wanted.text, *named)))
        self.scores = shelf.scores(text, encoder.embed([text])[0]) if text else None
        can_read = encoder.known_share(text, shelf.language) >= MIN_KNOWN_SHARE
        self.readings = Readings(shelf, text, reranker if can_read else None)
        self.left = shelf.in_stock(self._sizes())
        self.masks = {group: self._meeting(group) for group in _groups(wanted)}

    def found(self, count: int) -> Found:
        """What suits; the fewest constraints are given up, and only then the words taken less
        strictly."""
        if not self.masks and self.scores is None:
            return Found(self.wanted)
        for fit in _FITS:
            for kept in _fewer(tuple(self.masks), self.scores is not None):
                suiting = self._met(kept)
                if not any(c.field == "category" and not c.negated for g in kept for c in g):
                    suiting = suiting & self._meant(fit)
                if suiting.any():
                    given_up = tuple(c for g in self.masks if g not in kept for c in g)
                    return self._told(self._ordered(suiting, given_up), given_up, fit, count)
        return Found(self.wanted)

    def ranked(self, count: int) -> tuple[Product, ...]:
        """See Catalogue."""
        rows = self._ordered(self._met(tuple(self.masks)), ())
        return tuple(self.shelf.products[row] for row in rows[:count].tolist())

    def _met(self, kept: Sequence[Group]) -> Mask:
        """The products that meet the constraints, of which the best are read."""
        met = self._all(kept)
        if self.scores is not None:
            self.readings.read(met, self.scores.rank, self.scores.cosine)
        return met

    def _told(
        self, rows: NDArray[np.int64], given_up: Sequence[Constraint], fit: Fit, count: int
    ) -> Found:
        """What is told of the rows found: the first of each title."""
        first: dict[tuple[str, str], int] = {}
        for row in rows.tolist():
            product = self.shelf.products[row]
            first.setdefault((product.title, product.brand), row)
        shown = list(first.values())[:count]
        unsaid = tuple(
            word for word in self._said() if not any(self.shelf.says(row, word) for row in shown)
        )
        offers = tuple(map(self._offer, shown))
        return Found(self.wanted, offers, tuple(given_up), fit, len(first) - len(shown), unsaid)

    def _said(self) -> list[str]:
        """The words of the message that the products' texts have."""
        said = dict.fromkeys(w for w in words(self.wanted.text) if w not in STOPWORDS)
        return [word for word in said if len(word) > 1 and self.shelf.knows(word)]

    def _sizes(self) -> list[str]:
        """The sizes asked for that there are."""
        asked = (c.value for c in self.wanted.of("size") if not c.negated)
        return [size for size in asked if self.shelf.names.size(size)]

    def _meeting(self, group: Group) -> Mask:
        return self.left if group[0].field == "stock" else self.shelf.meeting(group)

    def _all(self, kept: Sequence[Group]) -> Mask:
        met: Mask = np.ones(len(self.shelf), bool)
        for group in kept:
            met = met & self.masks[group]
        return met

    def _meant(self, fit: Fit) -> Mask:
        """The products that the words mean, or come near."""
        scores, read = self.scores, self.readings.relevance
        if scores is None:
            return np.ones(len(self.shelf), bool)
        if fit == "near":
            return np.where(np.isnan(read), scores.cosine >= _NEAR_COSINE, read >= _NEAR_READING)
        meant = (scores.naming >= _SURE_NAMING) & (scores.cosine >= _LEAST_COSINE)
        meant |= scores.cosine >= _SURE_COSINE
        seen = (scores.cosine >= _LEAST_COSINE) | (scores.coverage >= _SURE_NAMING)
        meant = np.where(np.isnan(read), meant, seen & (read >= _SURE_READING))
        if any(map(str.isdigit, self.wanted.text)):  # a code says nothing to the networks
            meant |= scores.coverage > _CODED
        return meant

    def _ordered(self, suiting: Mask, given_up: Sequence[Constraint]) -> NDArray[np.int64]:
        """The rows that suit, best first."""
        rows = np.flatnonzero(suiting)
        rank = np.ones(len(self.shelf)) if self.scores is None else self.scores.rank
        rank = rank + _BY_READING * np.nan_to_num(self.readings.relevance)
        rank = np.where(self.left, rank, _SOLD_OUT * rank)[rows]
        best = np.argsort(-rank, kind="stable")
        rows, rank = self._without_denials(rows[best], rank[best])
        if order := self._order(given_up):
            if self.wanted.text:
                rows, rank = rows[alike := rank >= _ALIKE * rank.max()], rank[alike]
            prices = self.shelf.prices[rows] * (1 if order == "cheapest" else -1)
            return rows[np.lexsort((-rank, prices))]
        return rows

    def _without_denials(
        self, rows: NDArray[np.int64], rank: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
        """Rows and ranks; what says "not waterproof" counts less where that was asked for."""
        asked = self._said()
        for n, row in enumerate(rows[:_CHECKED].tolist()):
            rank[n] *= _DENIED ** sum(self.shelf.denies(row, word) for word in asked)
        best = np.argsort(-rank, kind="stable")
        return rows[best], rank[best]

    def _order(self, given_up: Sequence[Constraint]) -> str:
        """By price where that was asked, or a limit could not be kept: the nearest to it first."""
        asked = self.wanted.of("order")
        limits = {c.field for c in given_up}
        told = "cheapest" if "most" in limits else "dearest" if "least" in limits else ""
        return asked[0].value if asked else told

    def _offer(self, row: int) -> Offer:
        product = self.shelf.products[row]
        others = (self.shelf.products[r] for r in self.shelf.alike(row) if self.left[r])
        named = dict.fromkeys(p.colour for p in others if p.colour != product.colour)
        return Offer(product, tuple(filter(None, named)))


def _groups(wanted: Wanted) -> list[Group]:
    """Constraints that are met or given up together: of one field, wanted or not."""
    groups: dict[tuple[Field, bool], Group] = {}
    for c in wanted.constraints:
        if c.field != "order":
            groups[c.field, c.negated] = (*groups.get((c.field, c.negated), ()), c)
    # What was refused is kept longer than what would only be liked.
    return sorted(
        groups.values(), key=lambda g: _GIVEN_UP.index("word" if g[0].negated else g[0].field)
    )


def _fewer(groups: Sequence[Group], has_words: bool) -> Iterator[Sequence[Group]]:
    """The groups, then all but one, and so on; the first ones are given up first. Something is
    always kept to search by."""
    for dropped in range(len(groups) + has_words):
        for gone in combinations(groups, dropped):
            yield [g for g in groups if g not in gone]
