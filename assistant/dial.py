"""The dial: how relevant evidence must be, so that at most a share of what is answered is wrong.

The operator says the share and how sure to be of it; golden questions tell the threshold. Tested
are ever lower thresholds, until one cannot be shown to keep the promise: the fixed sequence of
Learn then Test (Angelopoulos et al., arXiv 2110.01052, section 3.2) with exact binomial p-values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scipy.stats import binom

from assistant.errors import DialError

FILE = "dial.json"  # in a version's folder
_STEP = 1.1  # each threshold tested answers this much more than the one before


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

    def keep(self, folder: Path) -> None:
        """Write it beside the version that it was found for."""
        (folder / FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")


def kept(folder: Path, most_wrong: float, confidence: float) -> Dial | None:
    """The dial that was found for a version, if it is of this promise."""
    file = folder / FILE
    if not file.is_file():
        return None
    dial = Dial(**json.loads(file.read_text(encoding="utf-8")))
    return dial if (dial.most_wrong, dial.confidence) == (most_wrong, confidence) else None


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
    best: Dial | None = None
    for count in _counts(len(ranked), most_wrong, confidence):
        wrong = sum(not t.right for t in ranked[:count])
        if binom.cdf(wrong, count, most_wrong) > 1 - confidence:
            break
        answerable = max(1, sum(t.answerable for t in trials))
        best = Dial(
            most_wrong,
            confidence,
            ranked[count - 1].relevance,
            count,
            wrong,
            round((count - wrong) / answerable, 4),
        )
    if best is None:
        raise DialError(_refusal(ranked, most_wrong, confidence))
    return best


def _counts(most: int, most_wrong: float, confidence: float) -> Iterator[int]:
    """How many questions the thresholds answer that are tested, one after another. The first one
    bears a single wrong answer, where there are that many questions: it must not fail by chance."""
    count = least_answers(most_wrong, confidence, 1)
    if count > most:
        count = least_answers(most_wrong, confidence)
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
