"""What is tried out on a version before it is published: the questions that were asked before, and
how sure its answers must be for the share of wrong ones that the shop allows."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.dial import Dial, Trial, find_dial
from assistant.errors import DialError
from assistant.replay import (
    ReplayQuestion,
    answered,
    as_rows,
    home_golden,
    is_right,
    replay,
    replies_of,
)
from assistant.settings import Settings
from knowledge.types import Progress, Rehearsal, silent
from knowledge.versions import Versions

_NEARLY_NONE = 1e-6


def rehearse(settings: Settings, version: str, progress: Progress = silent) -> Rehearsal:
    """The answers that would change; where the shop allows a share of wrong answers, the version's
    dial is found and kept beside it, or a remark says why there is none."""
    remarks: tuple[str, ...] = ()
    if settings.most_wrong is not None:
        try:
            dial = dial_of(settings, version, settings.most_wrong, settings.confidence, progress)
            dial.keep(Versions(settings.home).folder_of(version))
        except DialError as error:
            remarks = (f"{error}. Until then answer_threshold holds.",)
    return Rehearsal(tuple(as_rows(replay(settings, version, progress))), remarks)


def dial_of(
    settings: Settings,
    version: str,
    most_wrong: float,
    confidence: float,
    progress: Progress = silent,
) -> Dial:
    """The dial of a version for a promise. Raises DialError when it cannot be kept."""
    questions = [q for q in home_golden(settings) if q.answerable is not None]
    return find_dial(trials_of(settings, version, questions, progress), most_wrong, confidence)


def trials_of(
    settings: Settings,
    version: str,
    questions: Sequence[ReplayQuestion],
    progress: Progress = silent,
) -> list[Trial]:
    """The questions put to a version that answers whatever it finds."""
    lax = settings.model_copy(
        update={
            "answer_threshold": _NEARLY_NONE,
            "clarify_threshold": _NEARLY_NONE,
            "most_wrong": None,
        }
    )
    replies = replies_of(lax, version, questions, lambda n: progress("dial", n, len(questions)))
    return [
        Trial(
            reply.considered[0].relevance if reply.kind == "answer" and reply.considered else 0.0,
            bool(question.answerable) and is_right(question, answered(reply)),
            bool(question.answerable),
        )
        for question, reply in zip(questions, replies, strict=True)
    ]
