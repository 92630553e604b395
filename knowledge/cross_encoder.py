"""A reader: does this text answer the question, and where?

MiniLM with a LoRA adapter and heads (a few MB, that is what is shipped). That of the reranker reads
several passages a turn, and was calibrated as it runs; that of the inspector reads documents by
the thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from knowledge.engines import in_length_order
from knowledge.pair_engine import PairEngine

if TYPE_CHECKING:
    from knowledge.heads import Headed

MAX_TOKENS = 160  # as in training
MAX_ANSWER_TOKENS = 40
OUTPUTS = ["relevance", "start", "end"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader makes of a text.

    `relevance` is the logit that it answers; `pointed` is by how much (in nats) the best answer
    span beats "no answer here"; `span` is that span in the text, in characters.
    """

    relevance: float
    pointed: float
    span: tuple[int, int]


class CrossEncoder:
    """Reads texts for questions; `bulk` is for documents by the thousand.

    Raises EncoderError when the folder holds no reader.
    """

    def __init__(
        self, folder: Path, engines: Path, threads: int = 2, *, bulk: bool = False
    ) -> None:
        self._engine = PairEngine(
            folder, engines, _network, OUTPUTS, threads=threads, max_tokens=MAX_TOKENS, bulk=bulk
        )
        self.name = self._engine.name

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        """One reading a text, in order."""
        return self.read_pairs([(question, text) for text in texts])

    def read_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        """One reading a (question, text), in order."""
        return in_length_order(
            [len(question) + len(text) for question, text in pairs],
            lambda rows: self._read([pairs[r] for r in rows]),
        )

    def _read(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        return [
            Reading(float(relevance), *best_span(start, end, tokens.type_ids, tokens.offsets))
            for tokens, (relevance, start, end) in self._engine.run(pairs)
        ]


def _network(backbone: Any) -> Headed:
    from knowledge.reading_net import ReadingNet  # torch takes seconds

    return ReadingNet(backbone)


def best_span(
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    type_ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
) -> tuple[float, tuple[int, int]]:
    """(logit of the best span over that of no answer, the span in characters of the text)."""
    tokens = enumerate(zip(type_ids, offsets, strict=True))
    inside = [n for n, (kind, (a, b)) in tokens if kind and b > a]
    if not inside:
        return -30.0, (0, 0)
    first, count = inside[0], len(inside)
    sums = start[first : first + count, None] + end[None, first : first + count]
    allowed = np.triu(np.ones_like(sums)) - np.triu(np.ones_like(sums), MAX_ANSWER_TOKENS)
    sums = np.where(allowed > 0, sums, -np.inf)
    i, j = divmod(int(sums.argmax()), count)
    margin = float(sums[i, j] - start[0] - end[0])
    return margin, (offsets[first + i][0], offsets[first + j][1])
