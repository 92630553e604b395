"""Alerts when quality drifts: customers are less content, or the assistant answers less.

Four rates of conversations are watched: those with a thumb down (of those with a verdict), handed
off, with an unanswered question, and with a sentence dropped for want of support. A test begins on
each midnight of the last four weeks. It compares the conversations since then, in their order, with
as many of the last good window before it, and may be looked at after every conversation: it is the
canary's, see `WorseRate`. The tests share the rate of false alarms equally (Bonferroni), so in four
weeks in which nothing changes an alarm has at most that probability, whatever the traffic. With the
default of 5% a rate of bad outcomes that rises from 10% to 30% is found within 300 conversations of
a midnight in nineteen of twenty cases.

What has raised an alarm is the new normal: a lasting fall is one alert, a further one another.
Customers who ask otherwise are a change as well, those of a holiday say: an alert says that a rate
rose and what was changed then, not that this is the cause.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from sqlalchemy import select

from assistant import tables
from assistant.analytics import period
from assistant.canary import WorseRate
from assistant.conversations import Conversations
from assistant.episodes import Episode, read_episodes
from assistant.settings import Settings
from assistant.shares import Share, difference

log = logging.getLogger(__name__)

WATCHED_DAYS = 28
# What is watched may be compared with what came so long before it.
LOOK_BACK_DAYS = 2 * WATCHED_DAYS
_WINDOW = 500  # conversations of either side of a test
_QUIET_SECONDS = 3600.0  # until a conversation counts: before, more may come of it
_EVERY_SECONDS = 3600.0
_CHANGE_SECONDS = 86_400.0  # before the midnight from which it went worse
# Entries of the audit log that may explain it.
_CHANGES = frozenset({
    "publish", "undo", "promote_adapter", "start_canary", "stop_canary", "roll_back_adapter",
    "stopped",
})  # fmt: skip
ANSWERED_FIRST = "answered_first"
NAMES = {
    "down": "thumbs down",
    "handed_off": "hand-offs",
    "unanswered": "unanswered questions",
    "dropped": "unsupported sentences",
}


@dataclass(frozen=True, slots=True)
class Observed:
    """A conversation as a rate sees it, by when it began (seconds since 1970)."""

    at: float
    bad: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed how is answered: an entry of the audit log, or with ANSWERED_FIRST
    the first reply from a version of the knowledge base."""

    at: float
    who: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A rate that got worse from `since` on, which the conversation of `found` has shown (both in
    seconds since 1970): `before` in the last good window, `after` it until now or the next alert.
    """

    measure: str
    since: float
    found: float
    before: Share
    after: Share
    changes: tuple[Change, ...] = ()

    @property
    def rise(self) -> tuple[float, float, float]:
        """By how much it rose, with the 95% interval."""
        found = difference(self.before, self.after)
        assert found, "a test compares something"
        return found


def _thumbs_down(episode: Episode) -> bool | None:
    verdicts = [r.helpful for r in episode.replies if r.helpful is not None]
    return not all(verdicts) if verdicts else None


def _handed_off(episode: Episode) -> bool | None:
    return None if episode.fate == "small_talk" else bool(episode.handoff)


def _unanswered(episode: Episode) -> bool | None:
    questions = [r.is_unanswered for r in episode.replies if r.is_question]
    return any(questions) if questions else None


def _dropped(episode: Episode) -> bool | None:
    drafted = [r.dropped > 0 for r in episode.replies if r.dropped or r.sentences]
    return any(drafted) if drafted else None


# Whether a conversation is a bad one, None where it says nothing of the rate.
MEASURES: Mapping[str, Callable[[Episode], bool | None]] = {
    "down": _thumbs_down,
    "handed_off": _handed_off,
    "unanswered": _unanswered,
    "dropped": _dropped,
}


def find_drift(
    store: Conversations, episodes: Sequence[Episode], now: float, false_alarms: float, zone: str
) -> list[Alert]:
    """The alerts of the last four weeks, the latest first; `episodes`, oldest first, reach
    LOOK_BACK_DAYS back."""
    midnights = [period(n, now, zone)[1] for n in range(WATCHED_DAYS, 0, -1)]
    needed = len(MEASURES) * WATCHED_DAYS / false_alarms
    quiet = [e for e in episodes if e.ended <= now - _QUIET_SECONDS]
    changes = _changes(store, episodes)
    found: list[Alert] = []
    for measure, is_bad in MEASURES.items():
        seen = [Observed(e.began, bad) for e in quiet if (bad := is_bad(e)) is not None]
        found += alerts_of(measure, seen, midnights, needed, changes)
    return sorted(found, key=lambda a: -a.since)


def alerts_of(
    measure: str,
    observed: Sequence[Observed],
    midnights: Sequence[float],
    needed: float,
    changes: Sequence[Change] = (),
) -> Iterator[Alert]:
    """The alerts of one rate, oldest first; `needed` is the evidence that a test must reach."""
    times = [o.at for o in observed]
    # Of several midnights without a conversation between them the last one counts.
    starts = {bisect_left(times, midnight): midnight for midnight in midnights}
    falls: list[tuple[Share, int, int]] = []  # the rate before, where it fell, where it was found
    floor = 0
    while crossed := [
        (found, start)
        for start in starts
        if start > floor and (found := _crossing(observed, floor, start, needed)) is not None
    ]:
        found, _ = min(crossed)
        start = _where_it_fell(observed, floor, found, starts)
        falls.append((_share(observed[max(floor, start - _WINDOW) : start]), start, found))
        floor = found + 1
    ends = [*(start for _, start, _ in falls), len(observed)][1:]
    for (before, start, found), end in zip(falls, ends, strict=True):
        since = starts[start]
        causes = (c for c in changes if since - _CHANGE_SECONDS <= c.at <= times[found])
        after = _share(observed[start:end])
        yield Alert(measure, since, times[found], before, after, tuple(causes))


def _crossing(observed: Sequence[Observed], floor: int, start: int, needed: float) -> int | None:
    """The observation that shows that those from `start` on are worse than those before, if one
    does. Those before `floor` are not compared with."""
    before = observed[max(floor, start - _WINDOW) : start]
    test = WorseRate()
    for one in before:
        test.add(one.bad, False)
    for number, one in enumerate(observed[start : start + len(before)], start=start):
        test.add(one.bad, True)
        if test.evidence >= needed:
            return number
    return None


def _where_it_fell(
    observed: Sequence[Observed], floor: int, found: int, starts: Iterable[int]
) -> int:
    """The start at which a fall explains best what was seen until it was found: the most likely
    one (Hinkley, "Inference about the change-point", Biometrika 57, 1970)."""

    def likelihood(start: int) -> float:
        sides = observed[max(floor, start - _WINDOW) : start], observed[start : found + 1]
        before, after = map(_share, sides)
        pooled = Share(before.hits + after.hits, before.of + after.of)
        return _log_likelihood(before) + _log_likelihood(after) - _log_likelihood(pooled)

    return max((s for s in starts if floor < s <= found), key=likelihood)


def _log_likelihood(share: Share) -> float:
    counts = share.hits, share.of - share.hits
    return sum(n * math.log(n / share.of) for n in counts if n)


def _share(observed: Sequence[Observed]) -> Share:
    return Share(sum(o.bad for o in observed), len(observed))


def _changes(store: Conversations, episodes: Sequence[Episode]) -> list[Change]:
    """What changed in the time of the episodes, oldest first."""
    columns = tables.audit.c
    since = episodes[0].began if episodes else 0.0
    query = (
        select(columns.created, columns.who, columns.what, columns.detail)
        .where(columns.created >= since, columns.what.in_(_CHANGES))
        .order_by(columns.id)
    )
    with store.readers.connect() as connection:
        found = [Change(*row) for row in connection.execute(query)]
    told = {c.detail for c in found}
    answering = [e for e in episodes if e.version]
    first: dict[str, float] = {}
    for before, after in pairwise(answering):
        if before.version != after.version and after.version not in first:
            first[after.version] = after.began
    seen_from_the_start = answering[0].version if answering else ""
    found += [
        Change(at, "", ANSWERED_FIRST, version)
        for version, at in first.items()
        if version not in told and version != seen_from_the_start
    ]
    return sorted(found, key=lambda c: c.at)


class DriftWatch:
    """Looks every hour, and tells of each alert once: in the log, and in the audit log."""

    def __init__(self, store: Conversations, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self._over = threading.Event()

    def start(self) -> None:
        """Look in a thread of its own."""
        threading.Thread(target=self._run, name="drift", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    def look(self, now: float) -> list[Alert]:
        """The alerts that have not been told of yet; they are told of now."""
        since = now - 86_400 * LOOK_BACK_DAYS
        episodes = read_episodes(self.store, since, now)
        zone, false_alarms = self.settings.hours.zone, self.settings.false_alarms
        columns = tables.audit.c
        query = select(columns.detail).where(columns.what == "alert", columns.created >= since)
        with self.store.readers.connect() as connection:
            told = set(connection.execute(query).scalars())
        found = find_drift(self.store, episodes, now, false_alarms, zone)
        new = [alert for alert in found if _title(alert) not in told]
        for alert in new:
            self.store.log("drift", "alert", _title(alert))
            log.warning("%s", in_words(alert))
        return new

    def _run(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            try:
                self.look(time.time())
            except Exception:  # the next look may succeed
                log.exception("quality could not be looked at")


def _title(alert: Alert) -> str:
    at = datetime.fromtimestamp(alert.since, UTC)
    return f"{NAMES[alert.measure]} since {at:%Y-%m-%d %H:%M} UTC"


def in_words(alert: Alert) -> str:
    """An alert in a line."""
    rise, low, high = (100 * points for points in alert.rise)
    changes = "; ".join(f"{c.what} {c.detail}" for c in alert.changes) or "nothing in the audit log"
    return (
        f"more {_title(alert)}: {alert.after.rate:.1%} of {alert.after.of} conversations, before"
        f" {alert.before.rate:.1%} of {alert.before.of} (+{rise:.1f} points, 95% interval {low:.1f}"
        f" to {high:.1f}); changed about then: {changes}"
    )
