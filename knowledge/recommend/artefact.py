"""A trained recommender: its folder, and what it makes of a customer.

The folder holds counts and weights, and nothing of any one customer. Its manifest names every file
with its sha256, and is written last, so its presence means that the folder is whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse

from knowledge.digests import file_digest
from knowledge.errors import RecommenderError
from knowledge.minilm import MINILM_SHA256
from knowledge.recommend.features import Context, features
from knowledge.recommend.ranking import RANKER, Ranker
from knowledge.recommend.statistics import MATRICES, Statistics
from knowledge.recommend.tower import TextTower
from knowledge.recommend.types import Floats, Good, Past, index_of

MANIFEST, GOODS, STATISTICS, VECTORS, TOWER = (
    "manifest.json", "goods.json", "statistics.safetensors", "vectors.safetensors", "tower",
)  # fmt: skip
_DENSE = ("customers", "again", "first_sold", "factors")


@dataclass(frozen=True)
class Manifest:
    """How a recommender came about; `until` is the first day that it does not know."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    until: str
    base_sha256: str
    data_sha256: str
    files: dict[str, str]
    recipe: dict[str, Any]
    customers: int
    visits: int
    goods: int
    created: str
    scores: dict[str, Any] = field(default_factory=dict)


_MANIFEST = TypeAdapter(Manifest)


@dataclass(frozen=True, slots=True)
class Model:
    """Goods in rows, what is known of them, and the ranker; `tower` embeds goods that are new."""

    goods: tuple[Good, ...]
    context: Context
    ranker: Ranker
    tower: TextTower | None = None
    manifest: Manifest | None = None

    @classmethod
    def of(
        cls,
        goods: Sequence[Good],
        statistics: Statistics,
        vectors: Floats,
        ranker: Ranker,
        tower: TextTower | None = None,
    ) -> Model:
        """Of parts in the same rows."""
        context = Context.of(statistics, vectors, log_prices(goods))
        return cls(tuple(goods), context, ranker, tower)

    def scores(self, past: Past, day: int) -> Floats:
        """(goods,) for a customer on a day; higher is likelier to be bought next."""
        return self.ranker.scores(next(features(self.context, [past], day)))

    def with_goods(self, others: Sequence[Good]) -> Model:
        """With goods that came into the shop after training, which are known by their texts."""
        index = index_of(self.goods)
        new = [good for good in others if good.id not in index]
        if not new or self.tower is None:
            return self
        goods = (*self.goods, *new)
        vectors = np.concatenate([self.context.vectors, self.tower.embed([g.text for g in new])])
        statistics = self.context.statistics.widened(len(goods))
        made = Model.of(goods, statistics, vectors, self.ranker, self.tower)
        return replace(made, manifest=self.manifest)

    def save(self, folder: Path) -> None:
        """Write all but the tower and the manifest."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [asdict(good) for good in self.goods]
        (folder / GOODS).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
        statistics = self.context.statistics
        tensors = {name: getattr(statistics, name) for name in _DENSE}
        tensors["cut"] = np.array([statistics.cut])
        for name in MATRICES:
            matrix = getattr(statistics, name)
            tensors |= {f"{name}.{part}": getattr(matrix, part)
                        for part in ("data", "indices", "indptr")}  # fmt: skip
        save_file(tensors, folder / STATISTICS)
        save_file({"vectors": self.context.vectors.astype(np.float16)}, folder / VECTORS)
        self.ranker.save(folder / RANKER)

    @classmethod
    def load(cls, folder: Path, engines: Path, threads: int = 2) -> Model:
        """A whole, unchanged folder. Raises RecommenderError when it is neither."""
        manifest = whole_manifest(folder)
        try:
            goods = [Good(**row) for row in json.loads((folder / GOODS).read_text("utf-8"))]
            vectors = load_file(folder / VECTORS)["vectors"].astype(np.float32)
            statistics = _statistics(load_file(folder / STATISTICS), len(goods))
        except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
            raise RecommenderError(f"{folder} is damaged: {error}; train it anew") from error
        tower = TextTower(folder / TOWER if (folder / TOWER).is_dir() else None, engines, threads)
        made = cls.of(goods, statistics, vectors, Ranker.load(folder / RANKER), tower)
        return replace(made, manifest=manifest)


def _statistics(tensors: dict[str, Any], count: int) -> Statistics:
    held: dict[str, Any] = {name: tensors[name] for name in _DENSE}
    for name in MATRICES:
        parts = tuple(tensors[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
        held[name] = sparse.csr_matrix(parts, shape=(count, count))
    return Statistics(int(tensors["cut"][0]), **held)


def log_prices(goods: Sequence[Good]) -> Floats:
    """float32 (goods,): natural logarithms; those of goods without a price are the mean."""
    known = np.array([good.price > 0 for good in goods])
    logs = np.log([good.price if good.price > 0 else 1.0 for good in goods])
    mean = logs[known].mean() if known.any() else 0.0
    return np.where(known, logs, mean).astype(np.float32)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put it into the folder, with the digests of the files that are there."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    told = {p.relative_to(folder).as_posix(): file_digest(p) for p in files}
    whole = replace(manifest, base_sha256=MINILM_SHA256, files=told)
    partial = folder / f"{MANIFEST}.partial"
    partial.write_bytes(_MANIFEST.dump_json(whole, indent=1))
    partial.replace(folder / MANIFEST)


def whole_manifest(folder: Path) -> Manifest:
    """Of a folder whose files are as they were written. Raises RecommenderError."""
    manifest = read_manifest(folder)
    for name, digest in manifest.files.items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise RecommenderError(f"{folder / name} is not what the manifest says; train anew")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Of a whole folder. Raises RecommenderError."""
    try:
        return _MANIFEST.validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise RecommenderError(
            f"{folder} holds no recommender; train one with `python -m finetune recommender`"
        ) from error
    except (OSError, ValidationError) as error:
        raise RecommenderError(f"{folder / MANIFEST} cannot be read: {error}") from error
