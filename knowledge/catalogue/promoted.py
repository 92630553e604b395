"""The shop's own product rerankers (home/product-reranker), and what earns promotion."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from knowledge.errors import RerankerError
from knowledge.minilm import adapter_digest
from knowledge.promoted import MANIFEST, PromotedModels

log = logging.getLogger(__name__)
SHIPPED = Path(__file__).parents[1] / "weights" / "product-reranker"


@dataclass(frozen=True)
class Manifest:
    """How a product reranker came about: of so many graded products of so many searches; `weights`
    is the digest of its adapter and head, `ahead` by how much NDCG@10 of searches that were held
    out is above that of the shipped one: the mean, and its 95% interval."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    created: str
    weights: str
    searches: int
    graded: int
    scores: dict[str, Any]
    ahead: tuple[float, float, float] | None = None


_MANIFEST = TypeAdapter(Manifest)


def product_rerankers(home: Path) -> PromotedModels[Manifest]:
    """Those of a home."""
    return PromotedModels(
        home / "product-reranker", "product reranker", read_manifest, _check_gate, RerankerError
    )


def served_reranker(home: Path) -> Path:
    """Folder of the promoted one, or of the one that is shipped; a damaged one is logged, and the
    shipped one serves."""
    try:
        folder = product_rerankers(home).current()
        if folder:
            read_manifest(folder)
        return folder or SHIPPED
    except RerankerError as error:
        log.error("products are searched with the shipped reranker: %s", error)
        return SHIPPED


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put it into the folder, which is whole from then on."""
    partial = folder / f"{MANIFEST}.partial"
    partial.write_bytes(_MANIFEST.dump_json(manifest, indent=1))
    partial.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """Of a whole, unchanged folder. Raises RerankerError."""
    try:
        manifest = _MANIFEST.validate_json((folder / MANIFEST).read_bytes())
        weights = adapter_digest(folder)
    except (OSError, ValidationError) as error:
        raise RerankerError(
            f"{folder} holds no whole product reranker ({error}); train one with"
            " `python -m finetune product-reranker`"
        ) from error
    if weights != manifest.weights:
        raise RerankerError(f"the weights in {folder} are not those of its manifest; train it anew")
    return manifest


def _check_gate(manifest: Manifest) -> None:
    """Raise RerankerError unless it is surely better than the one that is shipped."""
    if manifest.ahead is None:
        raise RerankerError("it was not measured on searches that were held out; train it again")
    mean, low, high = manifest.ahead
    if not low > 0:
        raise RerankerError(
            "it may be no better than the one that is shipped: NDCG@10 on searches that it had not"
            f" seen {mean:+.4f} [{low:+.4f}, {high:+.4f}]. Grade more searches"
        )
