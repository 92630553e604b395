"""The panels of curated answers: the list, a form for a new one, and a question to try."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from datetime import date

from assistant.curated import (
    MAX_ANSWER,
    MAX_QUESTION,
    CuratedAnswer,
    CuratedAnswers,
    CuratedError,
    Draft,
)
from assistant.curated_match import CuratedMatcher
from assistant.phrases import language_name, languages
from assistant.pipeline import Assistant
from assistant.safety import clean
from assistant.web.auth import Session
from assistant.web.room.panel import Detail, Done, Notice
from assistant.web.staff_html import Words, render, staff_texts
from knowledge.types import parse_day

_LISTED = 200
Detect = Callable[[str], str]  # the language of a question, or ""


def form_values(words: Words) -> Mapping[str, object]:
    """What the template of the form needs."""
    names = {code: language_name(code, words["code"]) for code in languages()}
    return {"languages": names, "max_question": MAX_QUESTION, "max_answer": MAX_ANSWER}


class CuratedPanel:
    """All of them with their hits; one can be changed in its place. Hits that come in while the
    room is open do not make it anew: somebody may be writing in it."""

    name, room = "curated", "answers"

    def __init__(self, answers: CuratedAnswers, today: Callable[[], date] = date.today) -> None:
        self.answers = answers
        self.today = today

    def state(self) -> Hashable:
        """See Panel."""
        return self.answers.revision(), self.today()

    def render(self, words: Words) -> str:
        """See Panel."""
        return self._html(words)

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        words = staff_texts(session.language)
        try:
            match detail:
                case {"act": "curated_edit", "id": str(key)}:
                    return Done(html=self._html(words, self.answers.get(key).id))
                case {"act": "curated_close"}:
                    return Done(html=self._html(words))
                case {"act": "curated_save", "id": str(key)}:
                    before = self.answers.get(key)
                    draft = _draft(detail, lambda _: before.language)
                    draft = replace(draft, enabled=before.enabled)
                    return _done("changed", self.answers.change(key, draft, session.name))
                case {"act": "curated_switch", "id": str(key), "value": "on"}:
                    return _done("enabled", self.answers.enable(key, session.name))
                case {"act": "curated_switch", "id": str(key), "value": "off"}:
                    return _done("disabled", self.answers.disable(key, session.name))
                case {"act": "curated_delete", "id": str(key)}:
                    return _done("deleted", self.answers.delete(key, session.name))
        except CuratedError as error:
            return _refused(error, words)
        return None

    def _html(self, words: Words, editing: str = "") -> str:
        hits, day = self.answers.hits(), self.today()
        rows = sorted(
            self.answers.all(),
            key=lambda a: (not a.enabled, -hits[a.id].count if a.id in hits else 0),
        )[:_LISTED]
        shown = {a.id: self.answers.shown_in(a.id) for a in rows if a.id in hits}
        return render(
            "curated.html",
            words=words,
            rows=[(a, a.state(day), hits.get(a.id), shown.get(a.id, ())) for a in rows],
            more=self.answers.revision()[0] - len(rows),
            editing=editing,
            **form_values(words),
        )


class CuratedNewPanel:
    """The form for a new one; it never changes by itself, for somebody may be writing in it."""

    name, room = "curated_new", "answers"

    def __init__(self, answers: CuratedAnswers, detect: Detect) -> None:
        self.answers = answers
        self.detect = detect
        self._times = 0

    def state(self) -> Hashable:
        """See Panel."""
        return ()

    def render(self, words: Words) -> str:
        """See Panel."""
        # A number that is never the same: the browser keeps a part whose HTML has not changed, and
        # with it what was written into its fields.
        self._times += 1
        return render("curated_new.html", words=words, number=self._times, **form_values(words))

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        if detail.get("act") != "curated_save" or "id" in detail:
            return None
        words = staff_texts(session.language)
        try:
            kept = self.answers.add(_draft(detail, self.detect), session.name)
        except CuratedError as error:
            return _refused(error, words)
        return Done(Notice("curated_added", kept.question), self.render(words))


class CuratedTryPanel:
    """Which of them a question would get, and how near the others are."""

    name, room = "curated_try", "answers"

    def __init__(self, answers: CuratedAnswers, assistant: Callable[[], Assistant]) -> None:
        self.answers = answers
        self.assistant = assistant
        self._matcher: CuratedMatcher | None = None

    def state(self) -> Hashable:
        """See Panel."""
        return ()

    def render(self, words: Words) -> str:
        """See Panel."""
        return render("curated_try.html", words=words, tried="", language="", found=[])

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        match detail:
            case {"act": "curated_try", "value": str(value)} if text := clean(value)[:MAX_QUESTION]:
                words = staff_texts(session.language)
                language = detected(self.assistant(), text)
                html = render(
                    "curated_try.html",
                    words=words,
                    tried=text,
                    language=language_name(language, words["code"]),
                    found=self._match().beside(text, language),
                )
                return Done(html=html)
        return None

    def _match(self) -> CuratedMatcher:
        self._matcher = self._matcher or CuratedMatcher(self.answers, self.assistant().encoder)
        return self._matcher


def detected(assistant: Assistant, text: str) -> str:
    """The language that the assistant would answer in."""
    return assistant.detector.detect(text).language or assistant.settings.default_language


def _draft(detail: Detail, detect: Detect) -> Draft:
    """What was written into the form. Raises CuratedError."""
    fields = ("question", "answer", "language", "wordings")
    written = {n: text if isinstance(text := detail.get(n), str) else "" for n in fields}
    first, last = (_day(detail.get(name)) for name in ("valid_from", "valid_until"))
    language = written["language"] or detect(written["question"])
    wordings = tuple(written["wordings"].splitlines())
    return Draft(written["question"], written["answer"], language, wordings, first, last)


def _day(value: object) -> date | None:
    try:
        return parse_day(value)
    except ValueError:
        raise CuratedError("day", str(value)) from None


def _done(what: str, answer: CuratedAnswer) -> Done:
    return Done(Notice(f"curated_{what}", answer.question))


def _refused(error: CuratedError, words: Words) -> Done:
    told = words[f"curated_problem_{error.problem}"].format(detail=error.detail)
    return Done(Notice("curated_refused", told))
