"""The switch with which people stop the language model: while it is off, replies are quoted.

A file in the home, looked at before a model writes and before each of its sentences is shown, so a
running server obeys within a sentence, whichever process has set it. DPD switched its assistant off
as a whole in 2024; quoting goes on here.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from assistant.errors import StoreError

FILE = "model-paused.json"  # in the home; its presence is the switch


@dataclass(frozen=True, slots=True)
class Pause:
    """Who stopped the model, since when (seconds since 1970; 0: not known), and why, if they said
    so."""

    who: str
    since: float
    why: str = ""


class ModelSwitch:
    """The switch of a home."""

    def __init__(self, home: Path) -> None:
        self.file = home / FILE

    def is_off(self) -> bool:
        """Whether the model must not write now."""
        return self.file.exists()

    def pause(self) -> Pause | None:
        """Who stopped the model; None while it may write. A file that anybody else put there stops
        it, too."""
        try:
            return Pause(**json.loads(self.file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            return Pause("", 0.0)

    def turn_off(self, who: str, why: str = "") -> bool:
        """Stop the model; False where it was stopped before. Raises StoreError."""
        if self.is_off():
            return False
        row = json.dumps(asdict(Pause(who, time.time(), why)), ensure_ascii=False)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(row, encoding="utf-8")
        except OSError as error:
            if not self.is_off():  # on a full disk it is there, empty, and that is enough
                raise StoreError(f"{self.file} cannot be written: {error.strerror}") from error
        return True

    def turn_on(self) -> bool:
        """Let the model write again; False where it was not stopped. Raises StoreError."""
        try:
            self.file.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"{self.file} cannot be removed: {error.strerror}") from error
        return True
