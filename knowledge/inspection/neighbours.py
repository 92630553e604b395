"""Which passages, and which documents, are worth putting beside each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from knowledge.types import Chunk

_BLOCK = 128  # rows of cosines held at a time
_AT_FIRST = 16  # times as many as are kept: a document's own passages are among its nearest


def comparable(a: Chunk, b: Chunk) -> bool:
    """Whether one customer could be told either: another document of the same language and
    audience, in force at the same time."""
    return (
        a.document_id != b.document_id
        and a.language == b.language
        and a.for_staff == b.for_staff
        and not (a.valid_until and b.valid_from and a.valid_until < b.valid_from)
        and not (b.valid_until and a.valid_from and b.valid_until < a.valid_from)
    )


def near_pairs(
    chunks: Sequence[Chunk],
    vectors: NDArray[np.float32],
    new: Collection[int],
    least: float,
    most: int,
) -> list[tuple[int, int]]:
    """Pairs of comparable chunks of which one is new, as rows, nearest first.

    For each new row its `most` nearest, from a cosine of `least` on; vectors has a row a chunk.
    """
    scopes = np.array([hash((c.language, c.for_staff)) for c in chunks])
    rows = sorted(new)
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        cosines = vectors[block] @ vectors.T
        cosines[scopes[block][:, None] != scopes] = -np.inf
        for place, row in enumerate(block):
            for near in _nearest_first(cosines[place], least, _AT_FIRST * most):
                kept = list(islice((n for n in near if comparable(chunks[row], chunks[n])), most))
                if len(kept) == most:
                    break
            found |= {(min(row, n), max(row, n)): float(cosines[place, n]) for n in kept}
    return sorted(found, key=lambda pair: -found[pair])


def _nearest_first(
    cosines: NDArray[np.float32], least: float, at_first: int
) -> Iterator[list[int]]:
    """The rows from a cosine of `least` on, nearest first: a few, and all if more are needed."""
    if at_first < len(cosines):
        few = np.argpartition(-cosines, at_first)[:at_first]
        few = few[cosines[few] >= least]
        yield few[np.argsort(-cosines[few])].tolist()
        if len(few) < at_first:
            return
    near = np.flatnonzero(cosines >= least)
    yield near[np.argsort(-cosines[near])].tolist()


def document_vectors(
    chunks: Sequence[Chunk], vectors: NDArray[np.float32]
) -> tuple[list[str], NDArray[np.float32]]:
    """(ids, their vectors): a document's is the mean of its passages', of length one."""
    ids = list(dict.fromkeys(c.document_id for c in chunks))
    place = {i: n for n, i in enumerate(ids)}
    sums = np.zeros((len(ids), vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, [place[c.document_id] for c in chunks], vectors)
    return ids, sums / np.linalg.norm(sums, axis=1, keepdims=True).clip(min=1e-9)
