"""Fakes that implement the knowledge base's seams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from knowledge.encoder import Vectors
from knowledge.types import Chunk, Document, Finding, Progress, Seen, silent


class WordInspector:
    """Holds back what says "ignore" or "unrestricted", and reports documents with one title; keeps
    what it was shown."""

    name = "words"

    def __init__(self) -> None:
        self.read: list[str] = []
        self.seen: list[Seen] = []

    def orders(
        self, chunks: Iterable[Chunk], hidden: Sequence[Document], seen: Seen
    ) -> list[Finding]:
        held = list(chunks)
        self.read += [c.id for c in held]
        hiding = {d.id for d in hidden if "ignore" in d.hidden.casefold()}
        return [
            Finding("injected", "blocking", (c.source,), f"{c.id}: orders", (c.id,))
            for c in held
            if c.document_id in hiding
            or any(word in c.text.casefold() for word in ("ignore", "unrestricted"))
        ]

    def inspect(
        self,
        documents: Sequence[Document],
        chunks: Sequence[Chunk],
        vectors: Vectors,
        seen: Seen,
        today: date,
        progress: Progress = silent,
    ) -> list[Finding]:
        assert len(vectors) == len(chunks)
        self.seen.append(seen)
        return [f for f in seen.findings if seen.unchanged.issuperset(f.passages)] + [
            Finding("duplicate", "warning", (a.source, b.source), f"{a.id}, {b.id}", (a.id, b.id))
            for n, a in enumerate(chunks)
            for b in chunks[n + 1 :]
            if a.title_path == b.title_path and not seen.unchanged.issuperset((a.id, b.id))
        ]
