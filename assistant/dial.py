"""The dial: how relevant evidence must be, so that at most a share of what is answered is wrong.

The operator says the share and how sure to be of it; golden questions tell the threshold. Tested
are ever lower thresholds, until one cannot be shown to keep the promise: the fixed sequences of
Learn then Test (Angelopoulos et al., arXiv 2110.01052, section 3.2) with exact binomial p-values.
Several begin at different places and share what may go wrong, for one that fails at its first
threshold by chance says nothing of lower ones, which answer more and so can show more.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from scipy.stats import binom

from assistant.errors import DialError
from assistant.settings import Settings

PROMISE = "promise.json"  # in the home: the share that an operator has set
TRIALS = "trials.json"  # in a version's folder: any promise is answered from them
_STEP = 1.1  # each threshold tested answers this much more than the one before
_MOST_STARTS = 4  # each answers at first twice as much as the one before


@dataclass(frozen=True, slots=True)
class Trial:
    """A golden question put to the assistant: how relevant its best evidence was (0 where there
    was none), and whether quoting it would have been right. Nothing is right of a question that
    has no answer."""

    relevance: float
    right: bool
    answerable: bool


@dataclass(frozen=True, slots=True)
class Dial:
    """A threshold that keeps a promise: with probability `confidence`, of the questions that it
    answers at most the share `most_wrong` is answered wrongly, as long as customers ask what the
    golden questions ask. What it gives on those: `answered`, of them `wrong`; `right` is a share of
    the questions that have an answer."""

    most_wrong: float
    confidence: float
    threshold: float
    answered: int
    wrong: int
    right: float


@dataclass(frozen=True, slots=True)
class Trials:
    """What the golden questions gave on a version, and when (seconds since 1970)."""

    rows: tuple[Trial, ...]
    made: float

    @classmethod
    def of(cls, folder: Path) -> Trials | None:
        """Those kept beside a version, if there are any."""
        stamp = _stamp(folder)
        return _read(folder / TRIALS, stamp) if stamp else None


def _stamp(folder: Path) -> int:
    """When a version's trials were written, in nanoseconds; 0: it has none."""
    try:
        return (folder / TRIALS).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


# A turn asks for the threshold, so what a file says is read and worked out once.
@lru_cache(maxsize=4)
def _read(file: Path, _written: int) -> Trials:
    held = json.loads(file.read_text(encoding="utf-8"))
    return Trials(tuple(Trial(*row) for row in held["rows"]), float(held["made"]))


def keep_trials(folder: Path, rows: Sequence[Trial]) -> Trials:
    """Write them beside the version that they were made on."""
    trials = Trials(tuple(rows), time.time())
    _replace(folder / TRIALS, {"made": trials.made, "rows": [astuple(row) for row in rows]})
    return trials


def kept(folder: Path, most_wrong: float, confidence: float) -> Dial | None:
    """The dial of a version for a promise, if its trials support one."""
    stamp = _stamp(folder)
    return _found(folder / TRIALS, stamp, most_wrong, confidence) if stamp else None


@lru_cache(maxsize=16)
def _found(file: Path, stamp: int, most_wrong: float, confidence: float) -> Dial | None:
    try:
        return find_dial(_read(file, stamp).rows, most_wrong, confidence)
    except DialError:
        return None


def own_share(home: Path) -> float | None:
    """The share of wrong answers that an operator has set, if one has."""
    try:
        held = json.loads((home / PROMISE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return float(held["most_wrong"])


def set_share(home: Path, most_wrong: float | None) -> None:
    """Promise it from now on; None: what the settings promise."""
    if most_wrong is None:
        (home / PROMISE).unlink(missing_ok=True)
    else:
        _replace(home / PROMISE, {"most_wrong": most_wrong})


def promise_of(settings: Settings) -> tuple[float, float] | None:
    """(share that may be wrong, confidence) as an operator has set it, else as the settings do;
    None where nothing is promised."""
    share = own_share(settings.home)
    share = settings.most_wrong if share is None else share
    return None if share is None else (share, settings.confidence)


def threshold_of(settings: Settings, folder: Path) -> float:
    """The relevance from which a version answers: that of its dial for what is promised, if it has
    one, but never less than that from which is asked back."""
    promise = promise_of(settings)
    dial = kept(folder, *promise) if promise else None
    return max(dial.threshold, settings.clarify_threshold) if dial else settings.answer_threshold


def _replace(path: Path, value: object) -> None:
    """Write a file at once: turns read it at any moment."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(value), encoding="utf-8")
    partial.replace(path)


def least_answers(most_wrong: float, confidence: float, wrong: int = 0) -> int:
    """How many answered golden questions a promise needs when so many of them are wrong."""
    count = math.ceil(math.log(1 - confidence) / math.log(1 - most_wrong))
    while binom.cdf(wrong, count, most_wrong) > 1 - confidence:
        count += 1
    return count


def find_dial(trials: Sequence[Trial], most_wrong: float, confidence: float) -> Dial:
    """The lowest threshold that keeps the promise.

    Raises DialError when the trials cannot support it, saying how many would be needed.
    """
    ranked = sorted((t for t in trials if t.relevance > 0), key=lambda t: -t.relevance)
    wrong = [0, *accumulate(int(not t.right) for t in ranked)]

    def shown_from(start: int, risk: float) -> Iterator[int]:
        for count in _counts(start, len(ranked)):
            if binom.cdf(wrong[count], count, most_wrong) > risk:
                return
            yield count

    starts = _starts(len(ranked), most_wrong, 1 - confidence)
    shown = [count for start, risk in starts for count in shown_from(start, risk)]
    if not shown:
        raise DialError(_refusal(ranked, most_wrong, confidence))
    count = max(shown)
    right = (count - wrong[count]) / max(1, sum(t.answerable for t in trials))
    threshold = ranked[count - 1].relevance
    return Dial(most_wrong, confidence, threshold, count, wrong[count], round(right, 4))


def _starts(most: int, most_wrong: float, risk: float) -> list[tuple[int, float]]:
    """(how many questions the first threshold of a sequence answers, the risk that it may take) of
    as many sequences as there are questions for. One that is alone bears a single wrong answer at
    first, where there are that many questions: it must not fail by chance."""
    for many in range(_MOST_STARTS, 1, -1):
        first = least_answers(most_wrong, 1 - risk / many)
        if first * 2 ** (many - 1) <= most:
            return [(first * 2**n, risk / many) for n in range(many)]
    first = least_answers(most_wrong, 1 - risk, 1)
    return [(first if first <= most else least_answers(most_wrong, 1 - risk), risk)]


def _counts(first: int, most: int) -> Iterator[int]:
    """How many questions the thresholds of a sequence answer."""
    count = first
    while count <= most:
        yield count
        count = most if count < most < count * _STEP else math.ceil(count * _STEP)


def _refusal(ranked: Sequence[Trial], most_wrong: float, confidence: float) -> str:
    needed = least_answers(most_wrong, confidence)
    share = f"at most {most_wrong:.3g} wrong with confidence {confidence:.3g}"
    if len(ranked) < needed:
        return (
            f"{share} needs at least {needed} golden questions for which something is found, "
            f"all answered rightly; there are {len(ranked)}. Add questions, or allow more"
        )
    count = min(len(ranked), least_answers(most_wrong, confidence, 1))
    wrong = sum(not t.right for t in ranked[:count])
    return (
        f"{share} is not to be had: of the {count} golden questions answered most surely {wrong} "
        f"are wrong, and {needed} right ones in a row would be needed. Allow more, or mend the "
        "knowledge base where it answers them wrongly"
    )
