"""Put the golden questions to the assistant as it is and under the values of a trial.

It works in a thread of its own while customers are answered, on the models that are loaded already,
and remembers the last run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from assistant.errors import AssistantError
from assistant.pipeline import Assistant
from assistant.replay import (
    AnswerChange,
    Answered,
    ReplayQuestion,
    answer_changes,
    answered,
    home_golden,
    is_right,
)
from assistant.tuned import Tuned
from assistant.types import Utterance
from assistant.web.tuning import Tuner
from knowledge.errors import KnowledgeError
from knowledge.versions import Versions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a run was made on: the served version, the values in force, and the questions."""

    version: str
    values: Tuned
    questions: tuple[ReplayQuestion, ...]


@dataclass(frozen=True, slots=True)
class GoldenRun:
    """A run of all golden questions under `values`; `done` of `total` replies are made.

    `judged` are the questions of which is known what answers them; `right` is how many of these are
    answered rightly under the values in force, and under those tried.
    """

    values: Tuned
    who: str
    started: float
    basis: Basis
    total: int
    done: int = 0
    ended: bool = False
    judged: int = 0
    right: tuple[int, int] = (0, 0)
    changes: tuple[AnswerChange, ...] = ()
    error: str = ""

    @property
    def tried(self) -> Tuned:
        """All values under which the questions were asked the second time."""
        return self.basis.values.model_copy(update=self.values.values())

    def count(self, verdict: str) -> int:
        """How many answers get better or worse, or ("") only other."""
        return sum(c.verdict == verdict for c in self.changes)


class GoldenTrial:
    """Runs one trial at a time."""

    def __init__(self, tuner: Tuner) -> None:
        self.tuner = tuner
        self.last: GoldenRun | None = None
        self._lock = threading.Lock()

    def basis(self) -> Basis:
        """What a run made now would be made on. Raises AssistantError for a damaged file."""
        settings = self.tuner.settings
        questions = tuple(home_golden(settings))
        return Basis(Versions(settings.home).served(), Tuned.of(settings), questions)

    def start(self, values: Tuned, who: str) -> bool:
        """Begin; False while another run is under way. Raises SettingsError for values that do not
        go together, and AssistantError when there is no golden question."""
        basis = self.basis()
        if not basis.questions:
            raise AssistantError("there are no golden questions")
        sides = self.tuner.trial(Tuned()), self.tuner.trial(values)
        with self._lock:
            if self.last and not self.last.ended:
                return False
            run = GoldenRun(values, who, time.time(), basis, 2 * len(basis.questions))
            self.last = run
        work = threading.Thread(target=self._work, args=(run, sides), daemon=True, name="golden")
        work.start()
        return True

    def allows(self, values: Tuned) -> bool:
        """Whether these values may be saved: what they do to all golden questions was seen, and
        nothing has changed since; or there is no golden question. Raises AssistantError."""
        basis, run = self.basis(), self.last
        if not basis.questions:
            return True
        whole = run is not None and run.ended and not run.error
        return whole and run is not None and (run.basis, run.values) == (basis, values)

    def _work(self, run: GoldenRun, sides: tuple[Assistant, Assistant]) -> None:
        try:
            before, after = (self._ask(run, sides, side) for side in (0, 1))
            self.last = _judged(run, before, after)
        except (AssistantError, KnowledgeError) as error:
            self.last = replace(run, ended=True, error=str(error))
        except Exception as error:
            log.exception("a trial of the golden questions failed")
            self.last = replace(run, ended=True, error=type(error).__name__)

    def _ask(
        self, run: GoldenRun, sides: tuple[Assistant, Assistant], side: Literal[0, 1]
    ) -> list[Answered]:
        found: list[Answered] = []
        questions = run.basis.questions
        for question in questions:
            found.append(answered(sides[side].respond(Utterance(question.text))))
            self.last = replace(run, done=side * len(questions) + len(found))
        return found


def _judged(run: GoldenRun, before: Sequence[Answered], after: Sequence[Answered]) -> GoldenRun:
    """The run with what came of it."""
    questions = run.basis.questions
    known = [n for n, q in enumerate(questions) if q.relevant or q.answerable is not None]
    was, now = (sum(is_right(questions[n], side[n]) for n in known) for side in (before, after))
    return replace(
        run,
        done=run.total,
        ended=True,
        judged=len(known),
        right=(was, now),
        changes=tuple(answer_changes(questions, before, after)),
    )
