"""The retrieval bench: what a question finds, under the values in force and under others."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from assistant import phrases
from assistant.build import knowledge_of
from assistant.errors import AssistantError
from assistant.tuned import Tuned
from assistant.web.auth import Session
from assistant.web.golden_trial import GoldenTrial
from assistant.web.room.panel import Detail, Done, Notice
from assistant.web.room.search_view import Side, rows_of, side_of
from assistant.web.staff_html import Words, render, staff_texts
from assistant.web.tuning import DialForbids, Tuner
from knowledge.errors import KnowledgeError
from knowledge.modes import STAGES
from knowledge.retrieve import MODES
from knowledge.versions import Versions

LISTED = 50


@dataclass(frozen=True, slots=True)
class Knob:
    """A field of the form: the setting's name, and what the field takes."""

    name: str
    least: int
    most: int
    step: str


KNOBS = (
    Knob("answer_threshold", 0, 1, "any"),
    Knob("clarify_threshold", 0, 1, "any"),
    Knob("candidates", 5, 500, "1"),
    Knob("rerank_passages", 1, 20, "1"),
    Knob("max_quote_words", 10, 500, "1"),
)


@dataclass(frozen=True, slots=True)
class Tried:
    """What an operator tried: a question (or none, to try values on the golden ones), the language
    of the customer's page, and the values that differ from those in force. `version` is the one
    searched."""

    values: Tuned
    question: str = ""
    language: str = ""
    version: str = ""
    now: Side | None = None
    trial: Side | None = None


class SearchPanel:
    """The form, and what came of it."""

    name, room = "search", "search"

    def __init__(self, golden: GoldenTrial) -> None:
        self.tuner, self.golden = golden.tuner, golden

    def state(self) -> Hashable:
        """See Panel."""
        settings = self.tuner.settings
        return Tuned.of(settings), Tuned.of(settings.own), self.tuner.dial()

    def render(self, words: Words) -> str:
        """See Panel."""
        return self._render(words, None)

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        try:
            match detail:
                case {"act": "search_try"}:
                    tried = self._try(detail)
                    return Done(html=self._render(staff_texts(session.language), tried))
                case {"act": "search_reset"}:
                    return Done(Notice("search_reset", self.tuner.reset(session.name)))
        except DialForbids as error:
            return Done(Notice("search_dial", str(error)))
        except (AssistantError, KnowledgeError, OSError) as error:
            return Done(Notice("search_failed", str(error)))
        return None

    def _try(self, detail: Detail) -> Tried:
        """Raises SettingsError, EmptyKnowledge and VersionError."""
        values = values_of(detail, self.tuner)
        assistant = self.tuner.trial(values)
        question, language = (str(detail.get(key, "")).strip() for key in ("question", "language"))
        language = language if language in phrases.languages() else ""
        if not question:
            return Tried(values)
        knowledge, version = knowledge_of(assistant), Versions(assistant.settings.home).served()
        now, trial = (
            side_of(side, knowledge, question, language, self.tuner.threshold(side.settings))
            for side in (self.tuner.trial(Tuned()), assistant)
        )
        return Tried(values, question, language, version, now, trial)

    def _render(self, words: Words, tried: Tried | None) -> str:
        settings = self.tuner.settings
        in_force = Tuned.of(settings).values()
        rows = rows_of(tried.now, tried.trial) if tried and tried.now and tried.trial else []
        return render(
            "search.html",
            words=words,
            knobs=KNOBS,
            in_force=in_force,
            own=Tuned.of(settings.own).values(),
            tuned=Tuned.of(settings).less(Tuned.of(settings.own)).values(),
            dial=self.tuner.dial(),
            threshold=self.tuner.threshold(settings),
            languages=phrases.languages(),
            language_name=phrases.language_name,
            tried=tried,
            values=tried.values.values() if tried else {},
            rows=rows,
            modes=MODES,
            stages=STAGES,
            golden=self._golden_questions(),
        )

    def _golden_questions(self) -> int:
        """How many there are; a damaged file counts as one question: a run says what is wrong."""
        try:
            return len(self.golden.basis().questions)
        except AssistantError:
            return 1


class GoldenPanel:
    """All golden questions under the values tried, and saving these."""

    name, room = "search_golden", "search"

    def __init__(self, golden: GoldenTrial) -> None:
        self.golden = golden

    def state(self) -> Hashable:
        """See Panel."""
        run, settings = self.golden.last, self.golden.tuner.settings
        stage = (run.started, run.done, run.ended) if run else ()
        return stage, Tuned.of(settings), Versions(settings.home).served()

    def render(self, words: Words) -> str:
        """See Panel."""
        run = self.golden.last
        return render(
            "search_golden.html",
            words=words,
            run=run,
            values=run.values.values() if run else {},
            before=run.basis.values.values() if run else {},
            saved=run is not None and run.tried == Tuned.of(self.golden.tuner.settings),
            fresh=run is not None and self._allows(run.values),
            listed=LISTED,
        )

    def _allows(self, values: Tuned) -> bool:
        try:
            return self.golden.allows(values)
        except AssistantError:
            return False

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        tuner = self.golden.tuner
        try:
            match detail:
                case {"act": "search_golden"}:
                    started = self.golden.start(values_of(detail, tuner), session.name)
                    return Done() if started else Done(Notice("busy"))
                case {"act": "search_save"}:
                    values = values_of(detail, tuner)
                    if not self.golden.allows(values):
                        return Done(Notice("search_golden_first"))
                    return Done(Notice("search_saved", tuner.save(values, session.name)))
        except DialForbids as error:
            return Done(Notice("search_dial", str(error)))
        except (AssistantError, KnowledgeError, OSError) as error:
            return Done(Notice("search_failed", str(error)))
        return None


def values_of(detail: Detail, tuner: Tuner) -> Tuned:
    """The values of a form, or a button, that differ from those in force. Raises SettingsError."""
    in_force = Tuned.of(tuner.settings)
    typed = {knob.name: str(detail.get(knob.name, "")).strip() for knob in KNOBS}
    shown = {name: str(value) for name, value in in_force.values().items()}
    changed = {name: text for name, text in typed.items() if text and text != shown[name]}
    return Tuned.checked(changed, "values").less(in_force)
