"""Inspects documents before they are published: orders to the assistant, pages out of force,
contradictions, duplicates.

What has not changed is not read again: a finding about texts that are as they were is kept, and
only what is new is put beside the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from knowledge.encoder import Encoder, Vectors
from knowledge.inspection.contradictions import Contradictions
from knowledge.inspection.duplicates import Duplicates
from knowledge.inspection.expiry import Expiry
from knowledge.inspection.linear import LinearModel
from knowledge.inspection.orders import Orders, hidden_texts
from knowledge.inspection.reading import PairReader
from knowledge.inspection.screen import Screen
from knowledge.types import Chunk, Document, Finding, Progress, Seen, document_of, silent

# Raise it when documents are inspected differently, so that unchanged ones are looked at again.
_INSPECTING = 4
# Findings that stand as long as the texts they are about.
_OF_TEXTS = frozenset({"injected", "contradiction", "duplicate"})
# Files beside the reader's weights.
ORDERS, EXPIRY = "orders.safetensors", "expiry.safetensors"
CLAIMS, DUPLICATES, LIMITS = "claims.json", "duplicates.json", "limits.json"


class Inspector(Protocol):
    """Says what an operator should know about documents; equal `name` means equal findings."""

    name: str

    def orders(
        self, chunks: Iterable[Chunk], hidden: Sequence[Document], seen: Seen
    ) -> list[Finding]:
        """Findings, one a passage: it gives orders to the assistant, or its document hides some
        (`Document.hidden`); a blocking one holds the passage back, a notice does not."""
        ...

    def inspect(
        self,
        documents: Sequence[Document],
        chunks: Sequence[Chunk],
        vectors: Vectors,
        seen: Seen,
        today: date,
        progress: Progress = silent,
    ) -> list[Finding]:
        """All other findings; `vectors` has one row a chunk."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Logits of the reader from which a finding is reported.

    Below what is sure, orders and contradictions are notices: in a large shop so much is read that
    the doubtful are mostly wrong, and what is sure holds passages back, or is told to customers.
    """

    orders: float
    orders_sure: float
    expired: float
    contradiction: float
    contradiction_sure: float

    @classmethod
    def load(cls, path: Path) -> Limits:
        """From the JSON file that `finetune inspector` writes."""
        return cls(**json.loads(path.read_text()))


class Uninspected:
    """Finds nothing: for corpora that are measured, not served."""

    name = "uninspected"

    def orders(
        self, chunks: Iterable[Chunk], hidden: Sequence[Document], seen: Seen
    ) -> list[Finding]:
        """See Inspector."""
        return []

    def inspect(
        self,
        documents: Sequence[Document],
        chunks: Sequence[Chunk],
        vectors: Vectors,
        seen: Seen,
        today: date,
        progress: Progress = silent,
    ) -> list[Finding]:
        """See Inspector."""
        return []


class TrainedInspector:
    """The inspector that `finetune inspector` trains: rules find what may be, a reader decides."""

    def __init__(
        self, reader: PairReader, encoder: Encoder, beside: Path, most_comparisons: int
    ) -> None:
        """`beside` is the folder of the files that go with the reader."""
        limits = Limits.load(beside / LIMITS)
        digest = hashlib.sha256(f"{_INSPECTING} {encoder.name} {most_comparisons}".encode())
        for name in (ORDERS, EXPIRY, CLAIMS, DUPLICATES, LIMITS):
            digest.update((beside / name).read_bytes())
        self.name = f"{reader.name}-{digest.hexdigest()[:12]}"
        self._orders = Orders(
            reader, Screen.load(beside / ORDERS), limits.orders, limits.orders_sure
        )
        self._expiry = Expiry(reader, Screen.load(beside / EXPIRY), limits.expired)
        self._duplicates = Duplicates(LinearModel.load(beside / DUPLICATES), most_comparisons)
        self._contradictions = Contradictions(
            reader,
            LinearModel.load(beside / CLAIMS),
            limits.contradiction,
            limits.contradiction_sure,
            most_comparisons,
        )

    def orders(
        self, chunks: Iterable[Chunk], hidden: Sequence[Document], seen: Seen
    ) -> list[Finding]:
        """See Inspector."""
        return self._orders.find(chunks, hidden, seen)

    def inspect(
        self,
        documents: Sequence[Document],
        chunks: Sequence[Chunk],
        vectors: Vectors,
        seen: Seen,
        today: date,
        progress: Progress = silent,
    ) -> list[Finding]:
        """See Inspector."""
        # What is out of force can be told to nobody, and is not compared.
        rows = [n for n, c in enumerate(chunks) if not c.valid_until or c.valid_until >= today]
        told, told_vectors = [chunks[n] for n in rows], vectors[rows]
        new = [n for n, chunk in enumerate(told) if chunk.id not in seen.unchanged]
        changed = {told[n].document_id for n in new}
        kept = [
            f
            for f in seen.findings
            if f.kind in _OF_TEXTS
            and seen.unchanged.issuperset(f.passages)
            and not (f.kind == "duplicate" and changed.intersection(map(document_of, f.passages)))
        ]
        return [
            *hidden_texts(documents),
            *self._expiry.find(documents, chunks, seen, today),
            *kept,
            *self._duplicates.find(documents, told, told_vectors, new),
            *self._contradictions.find(told, told_vectors, new, seen, progress),
        ]
