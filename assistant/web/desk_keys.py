"""The keys of the agents' page: the help sheet lists these, and the script obeys that list."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """A key by what it writes (the browser's `event.key`, so every layout has it), and what it
    does: `desk_key_DOES` of the text files, and an action of the script."""

    does: str
    key: str
    ctrl: bool = False  # or Command, on a Mac

    @property
    def shown(self) -> str:
        """The key as it is written in the help."""
        name = {"Escape": "Esc"}.get(self.key, self.key)
        name = name.upper() if len(name) == 1 else name
        return f"Ctrl+{name}" if self.ctrl else name


KEYS = (
    Key("next", "j"),
    Key("previous", "k"),
    Key("open", "Enter"),
    Key("take", "t"),
    Key("reply", "r"),
    Key("note", "n"),
    Key("canned", "/"),
    Key("search", "k", ctrl=True),
    Key("help", "?"),
    Key("close", "Escape"),
)
