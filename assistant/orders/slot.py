"""What a slot of a change is: something that it takes beside its order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from assistant.orders.task_store import Task
from assistant.records.changes import Case

CHOICES = 3


@dataclass(frozen=True, slots=True)
class Ask:
    """A question for what is missing, and choices to press."""

    text: str
    choices: tuple[str, ...] = ()


class Slot(Protocol):
    """Something that a change takes."""

    name: str

    def is_open(self, task: Task, case: Case) -> bool:
        """Whether it is needed and not known yet."""
        ...

    def read(self, task: Task, case: Case, text: str, language: str) -> Task:
        """The task with what a message says of it; as it was where it says nothing."""
        ...

    def ask(self, task: Task, case: Case, language: str) -> Ask:
        """How it is asked for."""
        ...
