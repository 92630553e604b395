"""Panels of the language model's adapters: which there are, which is served, which is on trial."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from assistant.canary import FALSE_STOPS, Seen, seen_since
from assistant.web.adapters import (
    FIGURES,
    TRAINED,
    Adapters,
    Listed,
    Pointed,
    differences,
    is_stop,
    same_dialogues,
)
from assistant.web.auth import Session
from assistant.web.room.panel import Detail, Done, Notice
from assistant.web.staff_html import Words, render, staff_texts
from finetune.registry import Canary, FinetuneError

_PERCENTS = (1, 2, 5, 10, 20, 50)  # offered; any whole number up to the last is taken
_KNOWN_PERCENTS = frozenset(map(str, range(1, _PERCENTS[-1] + 1)))
_ENTRIES_SHOWN = 10
_TRIALS = frozenset({"start_canary", "stop_canary"})
_COUNTED_SECONDS = 60.0  # as often as the watch looks


class AdaptersPanel:
    """The adapters with their scores, two of them side by side, and what is served."""

    name, room = "adapters", "learning"

    def __init__(self, adapters: Adapters) -> None:
        self.adapters = adapters

    def state(self) -> Hashable:
        """See Panel."""
        adapters = self.adapters
        entries = adapters.entries()
        served = adapters.served
        answering = (served.current, served.canary, served.problem) if served else None
        return adapters.stamps(), answering, entries[0].id if entries else 0

    def render(self, words: Words) -> str:
        """See Panel."""
        return self._render(words)

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        match detail:
            case {"act": "adapters_promote", "name": str(name)}:
                return self._promote(name, session)
            case {"act": "adapters_canary", "name": str(name), "percent": str(percent)}:
                if percent not in _KNOWN_PERCENTS:
                    return Done(Notice("adapters_percent"))
                return self._promote(name, session, int(percent))
            case {"act": "adapters_roll_back"}:
                try:
                    served = self.adapters.roll_back(session.name)
                except (FinetuneError, OSError) as error:
                    return Done(Notice("adapters_refused", str(error)))
                return Done(Notice("adapters_back" if served else "adapters_back_to_base", served))
            case {"act": "adapters_compare", "first": str(first), "second": str(second)}:
                return self._compare(first, second, session)
        return None

    def _promote(self, name: str, session: Session, percent: int | None = None) -> Done:
        try:
            promoted = self.adapters.promote(name, session.name, percent)
        except (FinetuneError, OSError) as error:
            return Done(Notice("adapters_refused", str(error)))
        return Done(Notice("adapters_promoted" if percent is None else "adapters_tried", promoted))

    def _compare(self, first: str, second: str, session: Session) -> Done:
        found = {a.id: a for a in self.adapters.listed() if a.card}
        if first == second or not {first, second} <= found.keys():
            return Done(Notice("adapters_pair"))
        pair = found[first], found[second]
        return Done(html=self._render(staff_texts(session.language), pair))

    def _render(self, words: Words, pair: tuple[Listed, Listed] | None = None) -> str:
        pointed, listed = self.adapters.pointed(), self.adapters.listed()
        return render(
            "adapters.html",
            words=words,
            base=self.adapters.settings.model.base,
            served=self.adapters.served,
            answers=self.adapters.answers(pointed.canary),
            pointed=pointed,
            listed=listed,
            folder=self.adapters.settings.home / TRAINED,
            figures=FIGURES,
            percents=_PERCENTS,
            chosen=[a.id for a in pair or _first_pair(listed, pointed)],
            pair=pair,
            same=pair is not None and same_dialogues(*pair),
            differences=differences(*pair) if pair else (),
            entries=self.adapters.entries()[:_ENTRIES_SHOWN],
        )


def _first_pair(listed: Sequence[Listed], pointed: Pointed) -> list[Listed]:
    """What to compare first: the served one with the newest of the others."""
    served = [a for a in listed if a.card and a.id == pointed.current]
    others = [a for a in listed if a.card and a.id != pointed.current]
    return [*served, *sorted(others, key=lambda a: -a.created)][:2]


@dataclass(frozen=True, slots=True)
class Side:
    """What became of the conversations on one side of a trial."""

    conversations: int
    handed_off: int
    unsupported: int
    rated: int
    thumbs_down: int

    @classmethod
    def of(cls, seen: Sequence[Seen]) -> Side:
        """Count them."""
        rated = [s.thumb_down for s in seen if s.thumb_down is not None]
        handed_off = sum(s.handed_off for s in seen)
        unsupported = sum(s.unsupported for s in seen)
        return cls(len(seen), handed_off, unsupported, len(rated), sum(rated))


class CanaryPanel:
    """The trial that is under way, or how the last one ended."""

    name, room = "canary", "learning"

    def __init__(self, adapters: Adapters) -> None:
        self.adapters = adapters
        self._counted: tuple[Hashable, Side, Side] | None = None

    def state(self) -> Hashable:
        """See Panel."""
        pointed = self.adapters.pointed()
        entries = self.adapters.entries()
        answers = self.adapters.answers(pointed.canary)
        return self._moment(pointed.canary), answers, entries[0].id if entries else 0

    def render(self, words: Words) -> str:
        """See Panel."""
        canary = self.adapters.pointed().canary
        trials = [e for e in self.adapters.entries() if e.what in _TRIALS or is_stop(e)]
        name, _, reason = trials[0].detail.partition(": ") if trials else ("", "", "")
        return render(
            "canary.html",
            words=words,
            canary=canary,
            answers=self.adapters.answers(canary),
            sides=self._sides(canary) if canary else (),
            percent=round(100 * canary.share) if canary else 0,
            false_stops=round(100 * FALSE_STOPS),
            ended=trials[0] if trials and is_stop(trials[0]) and not canary else None,
            name=name,
            reason=reason,
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        if detail.get("act") != "canary_stop":
            return None
        try:
            stopped = self.adapters.stop_canary(session.name)
        except (FinetuneError, OSError) as error:
            return Done(Notice("adapters_refused", str(error)))
        return Done(Notice("canary_stopped", stopped) if stopped else Notice("canary_none"))

    def _sides(self, canary: Canary) -> tuple[Side, Side]:
        """The conversations of the others, and those of the canary."""
        moment = self._moment(canary)
        if self._counted is None or self._counted[0] != moment:
            seen = seen_since(self.adapters.audit, canary.since)
            falls = [canary.takes(s.conversation_id) for s in seen]
            others = Side.of([s for s, fell in zip(seen, falls, strict=True) if not fell])
            taken = Side.of([s for s, fell in zip(seen, falls, strict=True) if fell])
            self._counted = moment, others, taken
        return self._counted[1:]

    @staticmethod
    def _moment(canary: Canary | None) -> Hashable:
        """Counting takes a while, so it is done once a minute."""
        return canary, int(time.time() / _COUNTED_SECONDS) if canary else 0
