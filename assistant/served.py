"""The language model that is served: it follows the promoted adapter without a restart.

What is newly pointed to is loaded beside what answers, and takes over between two replies; a reply
that is being written ends on the model that began it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assistant.errors import GenerationError
from assistant.generation import Drafts, Generator
from assistant.types import Evidence, GeneratorName, Question
from finetune.registry import Canary, FinetuneError, Registry

log = logging.getLogger(__name__)


class Model(Generator, Protocol):
    """A generator that holds a model."""

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(eq=False)
class _Loaded:
    """A model, and how many replies are being written with it."""

    model: Model
    replies: int = 0
    retired: bool = False


class ServedModel:
    """Writes with the promoted adapter, and with the canary in the conversations that fall to it.

    `load` makes the model of an adapter's folder, or of the bare base, and may raise
    GenerationError: at first that is raised, later `problem` says it and what answers goes on. An
    adapter that does not fit the base, by `fits`, is not served; `problem` says that, too.
    """

    name: GeneratorName = "lm"

    def __init__(
        self,
        registry: Registry,
        load: Callable[[Path | None], Model],
        fits: Callable[[Path], bool] = lambda _: True,
    ) -> None:
        self.registry = registry
        self._fits = fits
        self.current = ""  # name of the adapter that answers; "": the bare base
        self.canary: Canary | None = None
        self.problem = ""
        self._load = load
        self._loaded: dict[str, _Loaded] = {}
        self._heeding, self._lock = threading.Lock(), threading.Lock()
        self._follow()

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
        """See Generator. Memory that runs out, in whatever library, is a GenerationError too."""
        with self._held(question.conversation_id) as model:
            try:
                yield from model.generate(question, evidence)
            except (MemoryError, RuntimeError) as error:  # torch and CTranslate2 raise the latter
                raise GenerationError(f"the language model failed: {error!r}") from error

    def take_back(self) -> None:
        """Give a canary that the registry has no more, no conversations either. Raises
        AdapterError."""
        with self._lock:
            if self.canary and self.registry.canary() != self.canary:
                self.canary = None

    def heed(self) -> None:
        """Serve what the registry points to, if that is not served already."""
        try:
            self.take_back()
            with self._heeding:
                self._follow()
        except (GenerationError, FinetuneError) as error:
            if str(error) != self.problem:
                log.error("still serving %s: %s", self.current or "the base alone", error)
            self.problem = str(error)

    def close(self) -> None:
        """Let go of all models."""
        with self._lock:
            for name in list(self._loaded):
                self._retire(name)

    def _follow(self) -> None:
        """Raises GenerationError, FinetuneError."""
        folder, canary = self.registry.current(), self.registry.canary()
        problem = ""
        if folder and not self._fits(folder):
            problem, folder = f"{folder.name} was trained on another base", None
            log.warning("%s; the base alone is served", problem)
        current = folder.name if folder else ""
        wanted = {current: folder}
        if canary:
            wanted[canary.name] = self.registry.folder / canary.name
        missing = {name: _Loaded(self._load(wanted[name])) for name in wanted.keys() - self._loaded}
        with self._lock:
            self._loaded |= missing
            self.current, self.canary, self.problem = current, canary, problem
            for name in self._loaded.keys() - wanted:
                self._retire(name)
        if missing:
            log.info("serving %s", ", ".join(sorted(name or "the base alone" for name in wanted)))

    @contextmanager
    def _held(self, conversation_id: str) -> Iterator[Model]:
        with self._lock:
            canary = self.canary
            falls = canary is not None and canary.takes(conversation_id)
            held = self._loaded[canary.name if canary and falls else self.current]
            held.replies += 1
        try:
            yield held.model
        finally:
            with self._lock:
                held.replies -= 1
                if held.retired and not held.replies:
                    held.model.close()

    def _retire(self, name: str) -> None:
        """Let go of a model when its last reply is written; the lock is held."""
        held = self._loaded.pop(name)
        held.retired = True
        if not held.replies:
            held.model.close()
