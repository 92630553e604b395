"""What operators have tuned in their room: home/tuned.json, a layer over all other settings.

It holds what each question reads of the settings, under their names there. Somebody has tried these
values, compared them and saved them, so they hold, whatever the environment says, until the file is
gone: "Back to the shop's own settings" in the room deletes it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.errors import SettingsError

if TYPE_CHECKING:
    from assistant.settings import Settings

FILE = "tuned.json"  # in the home
_REPAIR = "mend it, or delete the file to go back to the shop's own settings"


class Tuned(BaseModel):
    """Values tuned; None is what the shop's own settings say. `Settings` tells what each means and
    what is too little; what is too much here would keep customers waiting."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    answer_threshold: float | None = None
    clarify_threshold: float | None = None
    max_quote_words: int | None = Field(None, le=500)
    candidates: int | None = Field(None, le=500)
    rerank_passages: int | None = Field(None, le=20)

    @classmethod
    def of(cls, settings: Settings) -> Tuned:
        """All the values as settings have them."""
        return cls.model_construct(
            answer_threshold=settings.answer_threshold,
            clarify_threshold=settings.clarify_threshold,
            max_quote_words=settings.max_quote_words,
            candidates=settings.knowledge.candidates,
            rerank_passages=settings.knowledge.rerank_passages,
        )

    @classmethod
    def checked(cls, values: Any, where: str) -> Tuned:
        """From its values by name. Raises SettingsError that begins with where they stand."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(f"{where}: {problems(error)}") from error

    @classmethod
    def read(cls, home: Path) -> Tuned:
        """Those of a home; none where there is no file. Raises SettingsError."""
        path = home / FILE
        try:
            return cls.checked(json.loads(path.read_text(encoding="utf-8")), str(path))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, SettingsError) as error:
            told = str(error) if isinstance(error, SettingsError) else f"{path}: {error}"
            raise SettingsError(f"{told}; {_REPAIR}") from error

    def keep(self, home: Path) -> None:
        """Write them at once, or delete the file where nothing is tuned. Raises OSError."""
        path = home / FILE
        if not self.values():
            path.unlink(missing_ok=True)
            return
        partial = path.with_name(f"{FILE}.{os.getpid()}.partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(self.values(), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def values(self) -> dict[str, float]:
        """The values by name, without those that are not tuned."""
        return self.model_dump(exclude_none=True)

    def less(self, other: Tuned) -> Tuned:
        """The values that differ from another's."""
        theirs = other.values()
        same = {name: None for name, value in self.values().items() if theirs.get(name) == value}
        return self.model_copy(update=same)


def problems(error: ValidationError) -> str:
    """What is wrong with values, each by its key, in one line."""
    return "; ".join(_problem(e) for e in error.errors())


def _problem(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "settings"
    if error["type"] == "extra_forbidden":
        return f"unknown setting {key!r}"
    return f"{key}: {error['msg']}"
