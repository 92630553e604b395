"""One version of the products on disk: a collection, vectors and terms for each language."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from knowledge.catalogue.fields import FIELDS, embedded_text, key_of, searched_text
from knowledge.catalogue.reading import product_of, to_row
from knowledge.catalogue.types import Product
from knowledge.errors import VersionError
from knowledge.segment import TOKENS
from knowledge.store import LEXICAL, MANIFEST, VECTORS
from knowledge.terms import Terms
from knowledge.vector_index import INDEX_ERRORS, INDEXING, Placed, VectorIndex, write_index

PRODUCTS = "products.jsonl"


def collection_of(language: str) -> str:
    """Name of the Chroma collection that holds a language's products."""
    return f"products-{language}"


def write_version(
    folder: Path,
    products: Sequence[Product],
    vectors: NDArray[np.float32],
    manifest: dict[str, Any],
    before: CatalogueStore | None,
    server: str = "",
) -> None:
    """Write a version, one row of vectors a product, and its manifest last. Of `before` is taken
    over what has not changed; with a `server` the index is made there. Raises VersionError when
    Chroma does not hold what was stored."""
    folder.mkdir(parents=True)
    with (folder / PRODUCTS).open("wb") as file:
        rows = (orjson.dumps(to_row(p), option=orjson.OPT_APPEND_NEWLINE) for p in products)
        file.writelines(rows)
    np.save(folder / VECTORS, vectors)
    wanted = placed(products, vectors)
    same = before is not None and before.manifest["indexing"] == INDEXING
    if before and same and not server:
        write_index(folder, wanted, placed(before.products, before.vectors), before.folder)
    else:
        write_index(folder, wanted, {}, None, server)
    for language, rows_held in rows_by_language(products).items():
        texts = [searched_text(products[row]) for row in rows_held]
        _terms(language, texts, before).save(folder / LEXICAL / collection_of(language))
    os.sync()  # a version that survives a power cut is whole
    partial = folder / f"{MANIFEST}.partial"
    made = {"tokens": TOKENS, "indexing": INDEXING, "fields": FIELDS}
    partial.write_text(json.dumps(manifest | made, indent=1))
    partial.replace(folder / MANIFEST)


def placed(products: Sequence[Product], vectors: NDArray[np.float32]) -> dict[str, Placed]:
    """What each language's collection holds, by its name."""
    return {
        collection_of(language): Placed([products[row].key for row in rows], vectors[rows])
        for language, rows in rows_by_language(products).items()
    }


def rows_by_language(products: Sequence[Product]) -> dict[str, list[int]]:
    """The rows of each language's products, in order."""
    rows: dict[str, list[int]] = {}
    for row, product in enumerate(products):
        rows.setdefault(product.language, []).append(row)
    return dict(sorted(rows.items()))


def _terms(language: str, texts: Sequence[str], before: CatalogueStore | None) -> Terms:
    """The terms of texts; those of texts that `before` holds are taken over."""
    if before is None or before.manifest["tokens"] != TOKENS or language not in before.rows:
        return Terms.of(texts)
    held = [searched_text(before.products[row]) for row in before.rows[language]]
    row_of = {key_of(text): n for n, text in enumerate(held)}
    kept = [row_of.get(key_of(text)) for text in texts]
    new = [text for text, row in zip(texts, kept, strict=True) if row is None]
    return before.terms(language).updated(kept, new)


class CatalogueStore:
    """An immutable version, opened for reading. Raises VersionError when it is incomplete."""

    def __init__(self, folder: Path) -> None:
        if not (folder / MANIFEST).is_file():
            raise VersionError(f"version {folder.name} is incomplete; read the products again")
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        self._index = VectorIndex(folder)

    @cached_property
    def products(self) -> list[Product]:
        """The products of all languages."""
        with (self.folder / PRODUCTS).open("rb") as file:
            return [product_of(orjson.loads(line)) for line in file]

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Their vectors, a row a product."""
        vectors: NDArray[np.float32] = np.load(self.folder / VECTORS)
        return vectors

    @cached_property
    def rows(self) -> dict[str, list[int]]:
        """The rows of each language."""
        return rows_by_language(self.products)

    def embedded(self) -> dict[str, int]:
        """The row of each text that was embedded, by its key."""
        return {key_of(embedded_text(p)): row for row, p in enumerate(self.products)}

    def terms(self, language: str) -> Terms:
        """The terms of a language's products, in the order of its rows."""
        folder = self.folder / LEXICAL / collection_of(language)
        if self.manifest["tokens"] == TOKENS and self.manifest["fields"] == FIELDS:
            return Terms.load(folder)
        return Terms.of([searched_text(self.products[row]) for row in self.rows[language]])

    def nearest(
        self, language: str, vector: NDArray[np.float32], count: int
    ) -> list[tuple[str, float]]:
        """(key, cosine) of the count products nearest to vector, by Chroma's index; exactly while
        its server is away."""
        rows = self.rows[language]
        try:
            return self._index.nearest(collection_of(language), vector, min(count, len(rows)))
        except INDEX_ERRORS:
            cosines = self.vectors[rows] @ vector
            first = np.argsort(-cosines, kind="stable")[:count]
            return [(self.products[rows[i]].key, float(cosines[i])) for i in first]

    def close(self) -> None:
        """Let go of Chroma's files."""
        self._index.close()
