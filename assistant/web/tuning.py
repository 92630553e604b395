"""Tune what each question reads of the settings, while customers are served.

A trial shares everything with the served assistant but these values. Saving swaps the assistant of
the chat service: a turn goes by one set of values from its first stage to its last. Other processes
are told, and read what was saved.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from assistant.build import retuned
from assistant.dial import TRIALS, Dial, kept, promise_of, threshold_of
from assistant.errors import SettingsError
from assistant.live import Kind
from assistant.pipeline import Assistant
from assistant.service import ChatService
from assistant.settings import Settings
from assistant.tuned import Tuned
from knowledge.versions import Versions

log = logging.getLogger(__name__)
# A dial was found under these: with others its threshold would promise too much.
PROMISED = ("max_quote_words", "candidates", "rerank_passages")


class DialForbids(SettingsError):
    """The dial in force was found under the values that would change."""


class Tuner:
    """The settings that the served assistant goes by, and changing them."""

    def __init__(self, service: ChatService) -> None:
        self.service = service
        self._lock = threading.Lock()
        service.live.hear(self._heard)

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self.service.assistant.settings

    def dial(self) -> Dial | None:
        """The dial of the served version, where a share of wrong answers is promised: the answer
        threshold is its, whatever the settings say."""
        promise = promise_of(self.settings)
        return kept(self._served(), *promise) if promise else None

    def threshold(self, settings: Settings) -> float:
        """The relevance from which is answered under settings."""
        return threshold_of(settings, self._served())

    def _served(self) -> Path:
        versions = Versions(self.settings.home)
        return versions.folder / versions.served()

    def trial(self, values: Tuned) -> Assistant:
        """The served assistant under other values (with none, as it is), quoting. Raises
        SettingsError when they do not go together."""
        trial = retuned(self.service.assistant, self._tried(values))
        trial.generator = trial.composer  # a language model's words differ by chance
        return trial

    def save(self, values: Tuned, who: str) -> str:
        """Keep values from the next turn on, and after a restart; returns what changes.

        Raises DialForbids, SettingsError and OSError; nothing has changed then.
        """
        return self._go_by(lambda: self._tried(values), who, "search_save")

    def reset(self, who: str) -> str:
        """Go back to the shop's own settings; returns what changes. Raises as `save` does."""
        return self._go_by(lambda: self.settings.own, who, "search_reset")

    def _tried(self, values: Tuned) -> Settings:
        """The settings in force with these values in the place of theirs."""
        tuned = Tuned.of(self.settings).model_copy(update=values.values())
        return self.settings.tuned_by(tuned)

    def _go_by(self, chosen: Callable[[], Settings], who: str, what: str) -> str:
        with self._lock:
            before, settings = self.settings, chosen()
            changed = Tuned.of(settings).less(Tuned.of(before)).values()
            promised = not changed.keys().isdisjoint(PROMISED)
            if promised and self.dial():
                raise DialForbids(", ".join(changed.keys() & set(PROMISED)))
            Tuned.of(settings).less(Tuned.of(settings.own)).keep(settings.home)
            self.service.assistant = retuned(self.service.assistant, settings)
            if promised:
                _forget_trials(settings)
            old = Tuned.of(before).values()
            told = ", ".join(f"{name} {old[name]:g} → {new:g}" for name, new in changed.items())
            self.service.conversations.log(who, what, told)
        self.service.live.tell("tuned", "")
        return told

    def _heard(self, kind: Kind, _: str) -> None:
        """Go by what is saved, whoever has saved it."""
        if kind != "tuned":
            return
        with self._lock:
            try:
                saved = self.settings.tuned_by(Tuned.read(self.settings.home))
            except SettingsError as error:
                log.error("what was tuned is not followed: %s", error)
                return
            if Tuned.of(saved) != Tuned.of(self.settings):
                self.service.assistant = retuned(self.service.assistant, saved)


def _forget_trials(settings: Settings) -> None:
    """A promise that is made later must not rest on what was tried under other values."""
    for trials in Versions(settings.home).folder.glob(f"*/{TRIALS}"):
        trials.unlink(missing_ok=True)
