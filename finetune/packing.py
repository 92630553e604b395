"""Several examples in one sequence of fixed length, so that nothing is padded and a GPU can run one
compiled shape.

No example reads another: positions begin anew with each, and transformers masks by them where it is
given no mask. Best-fit decreasing, as in "Fewer truncations improve language modeling", arXiv
2404.10830.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from finetune.examples import IGNORED, Encoded

Row = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Pack:
    """int32 (size,) each: tokens, labels (IGNORED where nothing is learned) and positions."""

    ids: Row
    labels: Row
    positions: Row


def packed(rows: Sequence[Encoded], size: int, pad_id: int) -> list[Pack]:
    """Rows of at most `size` tokens in as few sequences as best-fit decreasing finds."""
    rooms: list[tuple[int, int]] = []  # (tokens left, sequence), ascending
    chosen: list[list[int]] = []
    for n in sorted(range(len(rows)), key=lambda n: -len(rows[n].ids)):
        length = len(rows[n].ids)
        place = bisect_left(rooms, (length, -1))
        left, sequence = rooms.pop(place) if place < len(rooms) else (size, len(chosen))
        if sequence == len(chosen):
            chosen.append([])
        chosen[sequence].append(n)
        if left > length:
            insort(rooms, (left - length, sequence))
    return [_pack([rows[n] for n in sequence], size, pad_id) for sequence in chosen]


def _pack(rows: Sequence[Encoded], size: int, pad_id: int) -> Pack:
    ids = np.full(size, pad_id, dtype=np.int32)
    labels = np.full(size, IGNORED, dtype=np.int32)
    positions = np.arange(size, dtype=np.int32)
    start = 0
    for row in rows:
        end = start + len(row.ids)
        ids[start:end] = row.ids
        labels[start + row.prompt_tokens : end] = row.ids[row.prompt_tokens :]
        positions[start:] -= positions[start]
        start = end
    positions[start:] -= positions[start] if start < size else 0
    return Pack(ids, labels, positions)


def collate_packs(batch: Sequence[Pack]) -> dict[str, Any]:
    """int64 (batch, size) each; without a mask, see above."""
    return {
        "input_ids": torch.from_numpy(np.stack([p.ids for p in batch])).long(),
        "labels": torch.from_numpy(np.stack([p.labels for p in batch])).long(),
        "position_ids": torch.from_numpy(np.stack([p.positions for p in batch])).long(),
    }
