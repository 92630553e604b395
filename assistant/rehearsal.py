"""What is tried out on a version before it is published: the questions that were asked before, and
how sure its answers must be for the share of wrong ones that the shop allows."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.dial import Dial, Trial, Trials, find_dial, keep_trials, promise_of
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
    """The answers that would change; where a share of wrong answers is promised, the version's
    dial is found, or a remark says why there is none."""
    remarks: tuple[str, ...] = ()
    if promise := promise_of(settings):
        try:
            dial_of(settings, version, *promise, progress)
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
    return find_dial(try_version(settings, version, progress).rows, most_wrong, confidence)


def try_version(settings: Settings, version: str, progress: Progress = silent) -> Trials:
    """The golden questions put to a version; what they gave is kept beside it."""
    trials = trials_of(settings, version, labelled(settings), progress)
    return keep_trials(Versions(settings.home).folder_of(version), trials)


def labelled(settings: Settings) -> list[ReplayQuestion]:
    """The golden questions that say whether they have an answer."""
    return [q for q in home_golden(settings) if q.answerable is not None]


def trials_of(
    settings: Settings,
    version: str,
    questions: Sequence[ReplayQuestion],
    progress: Progress = silent,
) -> list[Trial]:
    """The questions put to a version that answers whatever it finds."""
    lax = settings.model_copy(update={"clarify_threshold": _NEARLY_NONE})
    replies = replies_of(
        lax,
        version,
        questions,
        lambda n: progress("dial", n, len(questions)),
        lambda: _NEARLY_NONE,
    )
    return [
        Trial(
            reply.considered[0].relevance if reply.kind == "answer" and reply.considered else 0.0,
            bool(question.answerable) and is_right(question, answered(reply)),
            bool(question.answerable),
        )
        for question, reply in zip(questions, replies, strict=True)
    ]
