"""Figures of a period: what became of conversations and questions, by day and knowledge version.

A conversation (see `episodes`) counts for the day on which it began, in the shop's time zone, and
for the version that answered it last; a reply for the day of its conversation and its own version.
Rates of resolution are of the conversations that had their 24 hours of silence, so that the newest
days and versions do not look worse than they are. Rates carry Wilson intervals, which take replies
for independent of each other; within a conversation they are a little less so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from assistant.episodes import Episode, Replied
from assistant.shares import Share
from knowledge.pii import Masker

_LISTED = 20  # intents, languages, reasons and complaints
Held = Sequence[tuple[date, Episode]]
Replies = Sequence[tuple[date, Replied]]
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Times:
    """The median and the 95th percentile of `n` measurements, None where there are none."""

    n: int
    p50: float | None
    p95: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Times:
        """Those of the values."""
        if not values:
            return cls(0, None, None)
        p50, p95 = np.percentile(values, (50, 95))
        return cls(len(values), round(float(p50), 2), round(float(p95), 2))


@dataclass(frozen=True, slots=True)
class Figures:
    """What some conversations, and some replies, add up to.

    `hard` to `small_talk` are the fates of the conversations; `settled` had 24 hours of silence and
    are no small talk, `settled_hard` of them were confirmed. `handed_off` counts those in which a
    person was ever asked for or came in, `waiting` those in which a customer waits now. `questions`
    are replies to more than a greeting, by their outcome `answered`, `asked_back`, `refused` or
    `to_person`; `unanswered` are all refusals, and the hand-offs for want of a document. `up` and
    `down` are the customers' verdicts. `dropped` of the `drafted` sentences had no support and were
    not shown. `first` and `whole` are the milliseconds to the first sentence of an answer and to
    the whole reply, as the pipeline measured them; `waited` the seconds until a person wrote.
    """

    conversations: int
    hard: int
    soft: int
    unknown: int
    person: int
    unresolved: int
    small_talk: int
    settled: int
    settled_hard: int
    handed_off: int
    waiting: int
    questions: int
    answered: int
    asked_back: int
    refused: int
    to_person: int
    unanswered: int
    up: int
    down: int
    drafted: int
    dropped: int
    first: Times
    whole: Times
    waited: Times

    @property
    def rates(self) -> dict[str, Share]:
        """The shares that days and versions are compared by."""
        return {
            "hard": Share(self.settled_hard, self.settled),
            "soft": Share(self.soft, self.settled),
            "handed_off": Share(self.handed_off, self.conversations - self.small_talk),
            "answered": Share(self.answered, self.questions),
            "asked_back": Share(self.asked_back, self.questions),
            "unanswered": Share(self.unanswered, self.questions),
            "down": Share(self.down, self.up + self.down),
            "dropped": Share(self.dropped, self.drafted),
        }


@dataclass(frozen=True, slots=True)
class Analytics:
    """The figures of the days from `since` to the last of `by_day`, which has them all.

    `by_version` has the newest version first, "" for what is of none; `intents` and `languages` are
    those of the replies, the most frequent first; so are the reasons of hand-offs, and what
    customers wrote with a thumb down, personal data masked.
    """

    since: date
    total: Figures
    by_day: tuple[tuple[date, Figures], ...]
    by_version: tuple[tuple[str, Figures], ...]
    intents: tuple[tuple[str, Figures], ...]
    languages: tuple[tuple[str, Figures], ...]
    handoffs: tuple[tuple[str, int], ...]
    complaints: tuple[tuple[str, int], ...]


def period(days: int, now: float, zone: str) -> tuple[list[date], float]:
    """The last days, today included, and when the first of them began."""
    today = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(zone)).date()
    found = [today - timedelta(days=n) for n in reversed(range(days))]
    return found, datetime.combine(found[0], time(), ZoneInfo(zone)).timestamp()


def analyse(episodes: Iterable[Episode], days: int, now: float, zone: str = "UTC") -> Analytics:
    """The figures of the last days, today included; what began earlier is left out."""
    dates, held, replies = _dated(episodes, days, now, zone)
    complaints = Counter(r.complaint for _, r in replies if r.helpful is False and r.complaint)
    masker = Masker()
    by_day = _figures_by(held, replies, lambda row: row[0])
    by_version = _figures_by(held, replies, lambda row: row[1].version)
    nothing = _figures((), ())
    return Analytics(
        since=dates[0],
        total=_figures(held, replies),
        by_day=tuple((d, by_day.get(d, nothing)) for d in dates),
        by_version=tuple(sorted(by_version.items(), reverse=True)),
        intents=_most(replies, lambda r: r.intent),
        languages=_most(replies, lambda r: r.language),
        handoffs=tuple(Counter(e.handoff for _, e in held if e.handoff).most_common(_LISTED)),
        complaints=tuple((masker.mask(t), n) for t, n in complaints.most_common(_LISTED)),
    )


def by_day_and_version(
    episodes: Iterable[Episode], days: int, now: float, zone: str = "UTC"
) -> list[tuple[date, str, Figures]]:
    """The same for each version on each of the days, the latest first."""
    _, held, replies = _dated(episodes, days, now, zone)
    found = _figures_by(held, replies, lambda row: (row[0], row[1].version))
    return [(*key, found[key]) for key in sorted(found, reverse=True)]


def _dated(
    episodes: Iterable[Episode], days: int, now: float, zone: str
) -> tuple[list[date], Held, Replies]:
    """The days, and the conversations and replies with theirs."""
    dates, since = period(days, now, zone)
    local = ZoneInfo(zone)
    held = [
        (datetime.fromtimestamp(e.began, local).date(), e) for e in episodes if e.began >= since
    ]
    return dates, held, [(day, r) for day, e in held for r in e.replies]


def _figures_by(
    held: Held, replies: Replies, key: Callable[[tuple[date, Episode | Replied]], K]
) -> dict[K, Figures]:
    conversations, replied = _grouped(held, key), _grouped(replies, key)
    return {
        k: _figures(conversations.get(k, ()), replied.get(k, ()))
        for k in conversations.keys() | replied.keys()
    }


def _grouped(rows: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: dict[K, list[T]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _most(replies: Replies, key: Callable[[Replied], str]) -> tuple[tuple[str, Figures], ...]:
    """The most frequent groups of replies."""
    groups = _grouped(((day, r) for day, r in replies if key(r)), lambda row: key(row[1]))
    largest = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))[:_LISTED]
    return tuple((name, _figures((), rows)) for name, rows in largest)


def _figures(held: Held, replies: Replies) -> Figures:
    episodes = [e for _, e in held]
    fates = Counter(e.fate for e in episodes)
    settled = [e.fate for e in episodes if e.settled and e.fate != "small_talk"]
    questions = [r for _, r in replies if r.is_question]
    outcomes = Counter(r.outcome for r in questions)
    verdicts = Counter(r.helpful for _, r in replies)
    dropped = sum(r.dropped for r in questions)
    return Figures(
        conversations=len(episodes),
        hard=fates["hard"],
        soft=fates["soft"],
        unknown=fates["unknown"],
        person=fates["person"],
        unresolved=fates["unresolved"],
        small_talk=fates["small_talk"],
        settled=len(settled),
        settled_hard=settled.count("hard"),
        handed_off=sum(bool(e.handoff) for e in episodes),
        waiting=sum(e.waiting for e in episodes),
        questions=len(questions),
        answered=outcomes["answer"],
        asked_back=outcomes["clarify"],
        refused=outcomes["refuse"],
        to_person=outcomes["handoff"],
        unanswered=sum(r.is_unanswered for r in questions),
        up=verdicts[True],
        down=verdicts[False],
        drafted=dropped + sum(r.sentences for r in questions),
        dropped=dropped,
        first=Times.of([r.first_ms for r in questions if r.first_ms is not None]),
        whole=Times.of([r.whole_ms for r in questions if r.whole_ms is not None]),
        waited=Times.of([e.waited for e in episodes if e.waited is not None]),
    )
