"""What turns the tokens of a prompt into those of a reply, for several conversations at once."""

from __future__ import annotations

import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tokenizers.decoders import DecodeStream

from assistant.engine import Pieces, Sampling, Wanted
from assistant.errors import GenerationError
from assistant.patience import Patience
from assistant.usage import Usage
from assistant.vocabulary import Vocabulary

log = logging.getLogger(__name__)

MOST_WAITING = 64


@dataclass(eq=False)
class Request:
    """One reply: what is asked for, and its tokens as they come.

    `ends` are the tokens that end a reply, `deadline` is on the monotonic clock; `patience` may
    end before it.
    """

    ids: Sequence[int]
    ends: frozenset[int]
    limit: int
    deadline: float
    sampling: Sampling | None = None
    patience: Patience = field(default_factory=Patience)
    _said: int = field(default=0, init=False)
    _first: float = field(default=0.0, init=False)
    _last: float = field(default=0.0, init=False)
    _left: threading.Event = field(default_factory=threading.Event, init=False)
    _tokens: queue.SimpleQueue[int | BaseException | None] = field(
        default_factory=queue.SimpleQueue, init=False
    )

    @classmethod
    def of(cls, wanted: Wanted, vocabulary: Vocabulary) -> Request:
        """The reply that is asked for, as tokens."""
        return cls(
            vocabulary.ids(wanted.prompt), wanted.ends, wanted.limit, wanted.deadline,
            wanted.sampling, wanted.patience,
        )  # fmt: skip

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for more."""
        is_over = self.patience.is_over or time.monotonic() >= self.deadline
        return not self._left.is_set() and not is_over

    def push(self, token: int) -> bool:
        """Take the next token; False when the reply has ended with it, or nobody waits."""
        if token in self.ends or not self.wanted:
            return False
        self._said += 1
        self._last = time.monotonic()
        self._first = self._first or self._last
        self._tokens.put(token)
        return self._said < self.limit

    def finish(self, error: BaseException | None = None) -> None:
        """Say that no token follows, and why, where that is an error."""
        self._tokens.put(error)

    @property
    def usage(self) -> Usage:
        """What was read and written by now."""
        return Usage(1, len(self.ids), self._said, self._last - self._first)

    def leave(self) -> None:
        """Wait no more."""
        self._left.set()

    def tokens(self) -> Iterator[int]:
        """The tokens. Raises GenerationError when decoding failed or was not done in time."""
        while True:
            try:
                token = self._tokens.get(timeout=max(0.0, self.deadline - time.monotonic()))
            except queue.Empty:
                raise GenerationError("the language model did not answer in time") from None
            if isinstance(token, int):
                yield token
            elif token is not None:
                raise GenerationError(f"the language model failed: {token}") from token
            elif self.patience.is_over or time.monotonic() >= self.deadline:
                raise GenerationError("the language model did not finish in time")
            else:
                return


class TokenEngine(ABC):
    """An engine that decodes requests in threads of its own, those that go together side by
    side."""

    name: str
    vocabulary: Vocabulary
    positions: int
    workers = 1

    def __init__(self) -> None:
        self._waiting: deque[Request] = deque()
        self._changed = threading.Condition()
        self._started = False
        self._closed = False

    def write(self, wanted: Wanted) -> Pieces:
        """See Engine. What is closed ends within a token."""
        request = Request.of(wanted, self.vocabulary)
        self.submit(request)
        stream = DecodeStream(skip_special_tokens=True)
        try:
            for token in request.tokens():
                yield stream.step(self.vocabulary.tokenizer, token) or ""
        finally:
            request.leave()
            wanted.tally.add(request.usage)

    def submit(self, request: Request) -> None:
        """Have a request decoded. Raises GenerationError when too many wait already."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                raise GenerationError("too many wait for the language model")
            if not self._started:
                self._started = True
                for _ in range(self.workers):
                    threading.Thread(target=self._work, name=self.name, daemon=True).start()
            self._waiting.append(request)
            self._changed.notify()

    def close(self) -> None:
        """See Engine. The threads end when nothing waits: they hold the model."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Requests that no worker has taken yet."""
        return len(self._waiting)

    @abstractmethod
    def decode(self, requests: Sequence[Request]) -> None:
        """Push the tokens of requests that go together, until each has enough."""

    def goes_with(self, first: Request, other: Request) -> bool:
        """Whether two requests can be decoded side by side; by default each is alone."""
        return False

    def _work(self) -> None:
        while batch := self._next():
            error = self._decoded(batch)
            for request in batch:
                request.finish(error)
            del batch, error  # nothing of them is held while nobody asks

    def _decoded(self, batch: Sequence[Request]) -> BaseException | None:
        """What went wrong, without the frames that hold what filled the memory."""
        try:
            self.decode(batch)
        except BaseException as error:  # out of memory included: who waits must hear of it
            log.warning("decoding failed: %r", error)
            self.shed()
            return error.with_traceback(None)
        return None

    def shed(self) -> None:  # noqa: B027
        """Let go of what is kept only to be faster; memory may be short."""

    def _next(self) -> list[Request]:
        """The request that has waited longest, and others that go with it; none when closed."""
        with self._changed:
            while True:
                while self._waiting:
                    first = self._waiting.popleft()
                    if not first.wanted:
                        first.finish()
                        continue
                    others = [r for r in self._waiting if r.wanted and self.goes_with(first, r)]
                    for request in others:
                        with suppress(ValueError):
                            self._waiting.remove(request)
                    return [first, *others]
                if self._closed:
                    return []
                self._changed.wait()


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
