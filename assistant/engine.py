"""The engine seam: a prompt to the text of its reply, in this process or on a server."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from assistant.patience import Patience
from assistant.usage import Tally
from assistant.vocabulary import Vocabulary

# Text in pieces; closed, it ends the generation.
Pieces: TypeAlias = Generator[str, None, None]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draw from the likeliest tokens instead of taking the first."""

    temperature: float = 0.7
    top_k: int = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A reply that is asked for.

    It ends with the text `end`, or one of the tokens `ends`, or after `limit` tokens; `deadline` is
    on the monotonic clock, and `patience` may end before it. What it took is added to `tally`,
    however it ends.
    """

    prompt: str
    end: str
    ends: frozenset[int]
    limit: int
    deadline: float
    sampling: Sampling | None = None
    patience: Patience = field(default_factory=Patience)
    tally: Tally = field(default_factory=Tally)


class Engine(Protocol):
    """Writes replies, several at a time.

    `vocabulary` is the model's, and `positions` is how many tokens prompt and reply may have
    together.
    """

    name: str
    vocabulary: Vocabulary
    positions: int

    def write(self, wanted: Wanted) -> Pieces:
        """The reply as it comes, without special tokens; what follows `end` may come as well.

        Raises GenerationError when it fails or is not done in time; what came before stands.
        """
        ...

    def close(self) -> None:
        """Let go of the model when nothing is being written."""
        ...
