"""The reader that all looks share, and how a passage is put to it.

It is the reader of `knowledge.cross_encoder` with an adapter of its own (`python -m finetune
inspector`): a question names a task and a subject, the span that it points at is what the finding
quotes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from knowledge.cross_encoder import Reading
from knowledge.segment import is_cjk, split_sentences
from knowledge.types import Chunk

_SHORT = 12  # characters; "Two weeks." says nothing without what stands before it


class PairReader(Protocol):
    """Reads (question, text) pairs; equal `name` means equal readings."""

    name: str

    def read_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        """One reading a pair, in order."""
        ...


def statements(text: str) -> list[str]:
    """The sentences of a text that state something, a question joined to what follows it."""
    found: list[str] = []
    held = ""
    for line in text.splitlines():
        for sentence in split_sentences(line.strip(" #*->")):
            whole = f"{held}{'' if is_cjk(held) else ' '}{sentence}".strip()
            if sentence.endswith(("?", "？", ":", "：")) or len(whole) < _SHORT:
                held = whole
                continue
            found.append(whole)
            held = ""
    return [*found, held] if held else found


def titled(chunk: Chunk, text: str) -> str:
    """A piece of a chunk under its title path, on one line."""
    return " - ".join(chunk.title_path) + ": " + " ".join(text.split())
