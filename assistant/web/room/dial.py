"""The panel of the dial: which shares of wrong answers can be promised, and what each costs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from assistant.conversations import Conversations
from assistant.dial import (
    TRIALS,
    Dial,
    Trials,
    kept,
    least_answers,
    own_share,
    promise_of,
    set_share,
    threshold_of,
)
from assistant.errors import AssistantError, DialError
from assistant.rehearsal import labelled, try_version
from assistant.replay import golden_file
from assistant.settings import Settings
from assistant.web.auth import Session
from assistant.web.room.panel import Detail, Done, Notice
from assistant.web.staff_html import Words, render
from knowledge.types import Progress
from knowledge.versions import Versions

log = logging.getLogger(__name__)

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)
# Puts the golden questions to a version and keeps what they gave: see rehearsal.try_version.
Try = Callable[[Settings, str, Progress], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the golden questions would get from a threshold: how many are answered, how many of
    them wrongly, and which share of those that have an answer is answered at all."""

    threshold: float
    answered: int
    wrong: int
    coverage: float

    @classmethod
    def of(cls, trials: Trials, threshold: float) -> Outcome:
        """Count them."""
        answered = [t for t in trials.rows if t.relevance and t.relevance >= threshold]
        answerable = max(1, sum(t.answerable for t in trials.rows))
        return cls(
            threshold,
            len(answered),
            sum(not t.right for t in answered),
            sum(t.answerable for t in answered) / answerable,
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A share of wrong answers, how many right answers it needs at least, and what it costs on the
    served version; `outcome` is None where it cannot be promised."""

    most_wrong: float
    needed: int
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Run:
    """The golden questions being put to a version: `done` of `total`, until it is over."""

    version: str
    started: float
    done: int = 0
    total: int = 0
    over: bool = False
    error: str = ""


class DialPanel:
    """The shares, the one that holds now, and the button that asks the golden questions."""

    name, room = "dial", "quality"

    def __init__(
        self, settings: Callable[[], Settings], audit: Conversations, ask: Try = try_version
    ) -> None:
        self.audit = audit
        self.run: Run | None = None
        self._settings = settings  # those in force: operators tune them
        self.versions = Versions(settings().home)
        self._ask = ask
        self._lock = threading.Lock()

    def state(self) -> Hashable:
        """See Panel."""
        settings, version = self._settings(), self.versions.served()
        trials, golden = self._trials(version), golden_file(settings)
        asked = golden.stat().st_mtime_ns if golden.is_file() else 0
        made = trials.made if trials else 0.0
        threshold = threshold_of(settings, self.versions.folder / version)
        return version, made, asked, own_share(settings.home), threshold, self.run

    def render(self, words: Words) -> str:
        """See Panel."""
        settings, version = self._settings(), self.versions.served()
        trials, promise = self._trials(version), promise_of(settings)
        try:
            questions, problem = len(labelled(settings)), ""
        except AssistantError as error:
            questions, problem = 0, str(error)
        dial = self._dial(version, promise[0]) if promise else None
        threshold = threshold_of(settings, self.versions.folder / version)
        file = golden_file(settings)
        return render(
            "dial.html",
            words=words,
            version=version,
            trials=trials,
            found=sum(t.relevance > 0 for t in trials.rows) if trials else 0,
            offers=self._offers(version, trials, promise[0] if promise else None),
            promise=promise,
            own=own_share(settings.home),
            configured=settings.most_wrong,
            kept=dial is not None,
            threshold=threshold,
            now=Outcome.of(trials, threshold) if trials else None,
            confidence=settings.confidence,
            questions=questions,
            problem=problem,
            file=file,
            changed=bool(trials and file.is_file() and file.stat().st_mtime > trials.made),
            run=self.run,
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        match detail:
            case {"act": "dial_run"}:
                return Done() if self.start() else Done(Notice("busy"))
            case {"act": "dial_set", "value": str(value)}:
                return self._set(value, session)
            case {"act": "dial_reset"}:
                set_share(self._settings().home, None)
                self.audit.log(session.name, "reset_dial")
                return Done(Notice("dial_reset"))
        return None

    def start(self) -> bool:
        """Put the golden questions to the served version; False while that is under way."""
        with self._lock:
            if self.run and not self.run.over:
                return False
            self.run = run = Run(self.versions.served(), time.time())
        threading.Thread(target=self._work, args=(run,), daemon=True, name="dial").start()
        return True

    def _work(self, run: Run) -> None:
        def progress(_stage: str, done: int, total: int) -> None:
            self.run = replace(run, done=done, total=total)

        error, settings = "", self._settings()
        try:
            self._ask(settings, run.version, progress)
            if self._settings() != settings:
                (self.versions.folder / run.version / TRIALS).unlink(missing_ok=True)
                raise DialError("the settings were changed meanwhile; ask the questions again")
        except Exception as failure:
            log.warning("the golden questions could not be asked: %s", failure)
            error = str(failure) or type(failure).__name__
        self.run = replace(run, over=True, error=error)

    def _set(self, value: str, session: Session) -> Done:
        share = {str(s): s for s in SHARES}.get(value)
        if share is None:
            return Done(Notice("dial_unknown"))
        if self._dial(self.versions.served(), share) is None:
            return Done(Notice("dial_refused", f"{share:.0%}"))
        set_share(self._settings().home, share)
        self.audit.log(session.name, "set_dial", f"{share:.0%}")
        return Done(Notice("dial_set", f"{share:.0%}"))

    def _offers(self, version: str, trials: Trials | None, promised: float | None) -> list[Offer]:
        """The usual shares, and the one that is promised."""
        offers = []
        for share in sorted({*SHARES, *([promised] if promised else [])}):
            dial = self._dial(version, share)
            outcome = Outcome.of(trials, dial.threshold) if dial and trials else None
            offers.append(Offer(share, least_answers(share, self._settings().confidence), outcome))
        return offers

    def _trials(self, version: str) -> Trials | None:
        return Trials.of(self.versions.folder / version) if version else None

    def _dial(self, version: str, share: float) -> Dial | None:
        folder = self.versions.folder / version
        return kept(folder, share, self._settings().confidence) if version else None
