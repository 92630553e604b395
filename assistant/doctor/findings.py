"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from assistant.settings import Settings

Status = Literal["ok", "warning", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at. `broken`: the server does not start, or customers get nothing;
    `warning`: it works, and somebody should decide whether it is meant. `repair` says what to do
    about it, and is empty where all is well."""

    status: Status
    detail: str
    repair: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A finding with the name of its check."""

    check: str
    status: Status
    detail: str
    repair: str


class Check(Protocol):
    """Looks at one part of an installation, and changes nothing."""

    @property
    def name(self) -> str:
        """One word."""
        ...

    def look(self, settings: Settings) -> Iterator[Finding]:
        """At least one finding. What is raised counts as broken."""
        ...


def ok(detail: str) -> Finding:
    """All is well."""
    return Finding("ok", detail)


def warning(detail: str, repair: str) -> Finding:
    """It works, and may not be meant."""
    return Finding("warning", detail, repair)


def broken(detail: str, repair: str) -> Finding:
    """It does not work."""
    return Finding("broken", detail, repair)


def examine(settings: Settings, checks: Iterable[Check]) -> Iterator[Row]:
    """What each check finds; one that fails hides nothing of what the others find."""
    for check in checks:
        try:
            for found in check.look(settings):
                yield Row(check.name, found.status, found.detail, found.repair)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            repair = "read the message; it says what is missing or damaged"
            yield Row(check.name, "broken", f"it could not be looked at: {reason}", repair)
