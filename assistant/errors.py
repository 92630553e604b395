"""Errors of the assistant.

AssistantError
├── SettingsError      a setting is unknown, malformed or contradicts another
├── GenerationError    the language model failed; the composer takes over
├── StoreError         the conversation store cannot be used
├── InputError         a request or file cannot be read
├── RecordsError       customers and orders cannot be read
│   └── ChangeRefusedError  an order may not be changed so
├── TurnStopped        the customer pressed Stop
└── DialError          the golden questions do not support a promise
"""


class AssistantError(Exception):
    """Root of this package's errors; the message says what repairs it."""


class SettingsError(AssistantError):
    """A setting is unknown, malformed or contradicts another."""


class GenerationError(AssistantError):
    """The language model could not produce a draft."""


class StoreError(AssistantError):
    """The conversation store cannot be opened or written."""


class InputError(AssistantError):
    """A request or an input file cannot be read."""


class RecordsError(AssistantError):
    """The system that keeps customers and orders cannot be asked, or answers nonsense."""


class ChangeRefusedError(RecordsError):
    """An order may not be changed so; `reason` is an Objection (see records/changes.py)."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the order may not be changed so: {reason}")
        self.reason = reason


class TurnStopped(AssistantError):
    """The customer pressed Stop; what listens to a turn raises it, and the turn ends early."""


class DialError(AssistantError):
    """The golden questions do not support the share of wrong answers that was asked for."""
