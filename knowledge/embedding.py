"""How passages are embedded by the thousand: in this process, or by workers (ray_embedding.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from knowledge.encoder import Encoder, Vectors


class Embedding(Protocol):
    """Embeds the texts of a refresh, step by step, as `encoder` would."""

    encoder: Encoder

    def embed(self, steps: Iterable[Sequence[str]]) -> Iterator[Vectors]:
        """Of each step what `encoder.embed` gives, bit for bit, in order; what is not asked for any
        more is not computed. Raises EncoderError."""
        ...


class InProcess:
    """One step after another, here."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def embed(self, steps: Iterable[Sequence[str]]) -> Iterator[Vectors]:
        """See Embedding."""
        return map(self.encoder.embed, steps)
