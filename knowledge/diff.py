"""What differs between two versions: documents, their passages, and the words in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from knowledge.store import read_chunks, read_documents
from knowledge.types import Chunk, Document

Kind = Literal["added", "changed", "removed"]
# A word, a Chinese or Japanese character, a number, a sign, or space.
_TOKENS = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff]|\d+(?:[.,:]\d+)*|[^\W\d_]+|\S")
_FIELDS = ("title", "url", "language", "audience", "valid_from", "valid_until")


@dataclass(frozen=True, slots=True)
class Edit:
    """A stretch of words that stayed ("same"), went ("removed") or came ("added")."""

    kind: Literal["same", "removed", "added"]
    text: str


@dataclass(frozen=True, slots=True)
class PassageChange:
    """A passage that was added, changed or removed, with its words."""

    kind: Kind
    title: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A document that was added, changed or removed.

    `fields` are (name, before, after) of what it says about itself, `passages` those that differ.
    """

    kind: Kind
    id: str
    title: str
    fields: tuple[tuple[str, str, str], ...]
    passages: tuple[PassageChange, ...]


def compare(before: Path | None, after: Path) -> list[DocumentChange]:
    """Changes from one version's folder to another's; with none before, all is added."""
    old = {d.id: d for d in read_documents(before)} if before else {}
    new = {d.id: d for d in read_documents(after)}
    old_chunks = _by_document(read_chunks(before)) if before else {}
    new_chunks = _by_document(read_chunks(after))
    changes = [
        _change(old.get(i), new.get(i), old_chunks.get(i, ()), new_chunks.get(i, ()))
        for i in {**new, **old}
    ]
    return [c for c in changes if c]


def _by_document(chunks: Sequence[Chunk]) -> Mapping[str, Sequence[Chunk]]:
    found: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        found.setdefault(chunk.document_id, []).append(chunk)
    return found


def _change(
    old: Document | None, new: Document | None, before: Sequence[Chunk], after: Sequence[Chunk]
) -> DocumentChange | None:
    shown = new or old
    assert shown
    fields: tuple[tuple[str, str, str], ...] = ()
    if old and new:
        values = ((f, getattr(old, f), getattr(new, f)) for f in _FIELDS)
        fields = tuple((f, str(was or ""), str(now or "")) for f, was, now in values if was != now)
    passages = tuple(_passages(before, after))
    if old and new and not fields and not passages:
        return None
    kind: Kind = "changed" if old and new else "added" if new else "removed"
    return DocumentChange(kind, shown.id, shown.title, fields, passages)


def _passages(before: Sequence[Chunk], after: Sequence[Chunk]) -> Iterator[PassageChange]:
    """Passages aligned by their text: one put in at the top does not change all that follow."""
    old, new = [c.indexed_text for c in before], [c.indexed_text for c in after]
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for was, now in _paired(before[i:j], after[k:m]):
            if was and now:
                yield PassageChange("changed", _title(now), word_edits(was.text, now.text))
            elif now:
                yield PassageChange("added", _title(now), (Edit("added", now.text),))
            elif was:
                yield PassageChange("removed", _title(was), (Edit("removed", was.text),))


def _paired(
    before: Sequence[Chunk], after: Sequence[Chunk]
) -> Iterator[tuple[Chunk | None, Chunk | None]]:
    """Passages under the same headings, then the others in their order."""
    rest = list(before)
    unpaired: list[Chunk] = []
    for chunk in after:
        twin = next((c for c in rest if c.title_path == chunk.title_path), None)
        if twin:
            rest.remove(twin)
            yield twin, chunk
        else:
            unpaired.append(chunk)
    yield from zip_longest(rest, unpaired)


def _title(chunk: Chunk) -> str:
    return " › ".join(chunk.title_path)


def word_edits(before: str, after: str) -> tuple[Edit, ...]:
    """The edits that lead from one text to the other, word by word."""
    old, new = _TOKENS.findall(before), _TOKENS.findall(after)
    edits: list[Edit] = []
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            edits.append(Edit("same", "".join(old[i:j])))
            continue
        if i < j:
            edits.append(Edit("removed", "".join(old[i:j])))
        if k < m:
            edits.append(Edit("added", "".join(new[k:m])))
    return tuple(edits)
