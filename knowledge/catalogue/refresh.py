"""Bring the catalogue to what a file of products holds: a new version, published in one step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowledge.catalogue.fields import FIELDS, embedded_text, key_of
from knowledge.catalogue.reading import read_products
from knowledge.catalogue.store import CatalogueStore, write_version
from knowledge.catalogue.types import Product
from knowledge.encoder import Encoder
from knowledge.errors import EmptyKnowledge, SourceError
from knowledge.types import Progress, Rejection
from knowledge.versions import CatalogueVersions

_EMBED_STEP = 256


@dataclass(frozen=True, slots=True)
class CatalogueReport:
    """What a refresh of the catalogue did; counts are of products."""

    version: str
    added: int
    changed: int
    removed: int
    unchanged: int
    embedded: int
    rejected: tuple[Rejection, ...]
    seconds: float


def refresh_catalogue(
    versions: CatalogueVersions,
    encoder: Encoder,
    source: Path,
    *,
    max_bytes: int,
    keep: int,
    progress: Progress,
    server: str = "",
) -> CatalogueReport:
    """Publish what a file holds now; only texts that are new are embedded, and nothing is published
    where nothing has changed. `keep` versions are kept for rollback; with a `server` (of Chroma)
    vectors are searched there.

    Raises SourceError when the file cannot be read or no line of it is a product, VersionError when
    another refresh is running.
    """
    started = time.monotonic()
    read = read_products(source, max_bytes)
    if not read.products:
        why = f": {read.rejected[0].reason}" if read.rejected else ""
        raise SourceError(f"{source} holds no product{why}")
    with versions.writing():
        before = _published(versions)
        try:
            held = {p.key: p for p in before.products} if before else {}
            new = {p.key: p for p in read.products}
            changed = sum(key in held and held[key] != p for key, p in new.items())
            added, removed = len(new.keys() - held.keys()), len(held.keys() - new.keys())
            embedded = 0
            name = before.folder.name if before else ""
            if before is None or added or removed or changed or not _is_current(before, encoder):
                vectors, embedded = _vectors(read.products, before, encoder, progress)
                name = versions.new_name()
                manifest = {
                    "version": name,
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "source": str(source.resolve()),
                    "encoder": encoder.name,
                    "products": len(new),
                }
                folder = versions.folder / name
                write_version(folder, read.products, vectors, manifest, before, server)
                versions.publish(name)
                versions.prune(keep)
        finally:
            if before:
                before.close()
    unchanged = len(new) - added - changed
    seconds = round(time.monotonic() - started, 3)
    return CatalogueReport(
        name, added, changed, removed, unchanged, embedded, read.rejected, seconds
    )


def _published(versions: CatalogueVersions) -> CatalogueStore | None:
    try:
        return CatalogueStore(versions.current_folder())
    except EmptyKnowledge:
        return None


def _is_current(store: CatalogueStore, encoder: Encoder) -> bool:
    """Whether a version's vectors are those that would be made today."""
    made = store.manifest
    return bool(made["encoder"] == encoder.name and made["fields"] == FIELDS)


def _vectors(
    products: Sequence[Product],
    before: CatalogueStore | None,
    encoder: Encoder,
    progress: Progress,
) -> tuple[NDArray[np.float32], int]:
    """A row a product, and how many texts were embedded for them."""
    known = before.embedded() if before and before.manifest["encoder"] == encoder.name else {}
    texts = {key_of(text): text for text in map(embedded_text, products)}
    new = [key for key in texts if key not in known]
    made: dict[str, NDArray[np.float32]] = {}
    for start in range(0, len(new), _EMBED_STEP):
        step = new[start : start + _EMBED_STEP]
        made |= zip(step, encoder.embed([texts[key] for key in step]), strict=True)
        progress("embed", len(made), len(new))
    keys = (key_of(embedded_text(p)) for p in products)
    rows = [made[k] if k in made else before.vectors[known[k]] for k in keys]  # type: ignore[union-attr]
    return np.stack(rows), len(new)
