"""Passages held back from customers, and those an operator has let in, with the reason.

root/quarantine.jsonl   what the last refresh held back: passage, text's key, why
root/allowed.jsonl      what was let in: text's key, by whom, when, with what reason

What is let in is a text, not a place: when the passage changes, it is looked at anew.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from knowledge.errors import SourceError
from knowledge.types import Chunk, Finding, document_of


@dataclass(frozen=True, slots=True)
class Held:
    """A passage held back: its id, the key of its text, and why."""

    passage: str
    key: str
    detail: str
    source: str = ""
    quote: str = ""

    @property
    def finding(self) -> Finding:
        """The finding that held it back."""
        quotes = (self.quote,) if self.quote else ()
        sources = (self.source,) if self.source else ()
        return Finding("injected", "blocking", sources, self.detail, (self.passage,), quotes)


class Quarantine:
    """The quarantine of a home's knowledge base."""

    def __init__(self, root: Path) -> None:
        self._held = root / "quarantine.jsonl"
        self._allowed = root / "allowed.jsonl"

    def held(self) -> list[Held]:
        """What the last refresh held back."""
        return [Held(**row) for row in _rows(self._held)]

    def allowed(self) -> frozenset[str]:
        """The keys of the texts that an operator has let in."""
        return frozenset(row["key"] for row in _rows(self._allowed))

    def keep(self, found: Sequence[Finding], chunks: Sequence[Chunk]) -> None:
        """Remember what is held back, in the place of what was."""
        keys = {chunk.id: chunk.embedding_key for chunk in chunks}
        rows = [
            Held(p, keys[p], f.detail, "".join(f.sources[:1]), "".join(f.quotes[:1]))
            for f in found
            for p in f.passages
        ]
        _write(self._held, [asdict(row) for row in rows])

    def allow(self, passage: str, reason: str, who: str = "") -> None:
        """Let a passage in from the next refresh on. Raises SourceError when it is not held back
        or there is no reason."""
        if not reason.strip():
            raise SourceError("say why the passage may be shown to customers")
        held = next((h for h in self.held() if h.passage == passage), None)
        if held is None:
            raise SourceError(f"no passage {passage!r} is held back; refresh, and see the findings")
        row = {
            "key": held.key,
            "passage": passage,
            "who": who,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "reason": reason.strip(),
        }
        _write(self._allowed, [*_rows(self._allowed), row])

    def forget(self, documents: Collection[str]) -> None:
        """Forget the passages of documents that are purged."""
        for path in (self._held, self._allowed):
            rows = _rows(path)
            kept = [r for r in rows if document_of(r["passage"]) not in documents]
            if len(kept) < len(rows):
                _write(path, kept)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    partial = path.with_suffix(".partial")
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
