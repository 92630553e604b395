"""Ask again what was asked before, of a version that waits to be published.

The operator sees every answer that would change before any customer does. Replayed are the shop's
golden questions and the most recent real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.build import build_assistant, build_knowledge
from assistant.conversations import Conversations
from assistant.errors import AssistantError
from assistant.settings import Settings
from assistant.types import Answer, Reply, Utterance
from knowledge.formats import read_json_lines
from knowledge.pii import Masker
from knowledge.types import document_of
from knowledge.versions import Pinned, Versions

_MAX_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class ReplayQuestion:
    """A question to ask again; `relevant` are ids of documents that answer it, where known, and an
    answer holds one wording of each of its `facts`."""

    text: str
    relevant: tuple[str, ...] = ()
    answerable: bool | None = None
    facts: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """What a version answers: the outcome, its words, and the passages it cites."""

    outcome: str
    text: str
    cites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerChange:
    """A question that the new version answers otherwise.

    `verdict` is "better" or "worse" where it is known which document answers, else "".
    """

    question: str
    before: Answered
    after: Answered
    verdict: str = ""


def golden_questions(path: Path) -> list[ReplayQuestion]:
    """Questions of a JSON Lines file, `{"text", "relevant"?, "answerable"?, "facts"?}`.

    Raises AssistantError when it is none.
    """
    try:
        return [
            ReplayQuestion(
                r["text"],
                tuple(r.get("relevant") or ()),
                r.get("answerable"),
                tuple(map(tuple, r.get("facts") or ())),
            )
            for r in read_json_lines(path, _MAX_BYTES)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AssistantError(f"{path} is not JSON Lines of {{text, relevant}}: {error}") from error


def golden_file(settings: Settings) -> Path:
    """Where the home's golden questions are, if it has any."""
    return settings.golden or settings.home / "golden.jsonl"


def home_golden(settings: Settings) -> list[ReplayQuestion]:
    """The home's golden questions; none where there is no such file."""
    golden = golden_file(settings)
    return golden_questions(golden) if settings.golden or golden.is_file() else []


def questions_of(settings: Settings) -> list[ReplayQuestion]:
    """The home's golden questions and the latest real ones, each text once."""
    found = home_golden(settings)
    if settings.has_store and settings.replay_questions:
        store = Conversations.of(settings)
        try:
            found += map(ReplayQuestion, store.recent_questions(settings.replay_questions))
        finally:
            store.close()
    return list({q.text: q for q in reversed(found)}.values())[::-1]


def replay(
    settings: Settings,
    version: str,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> list[AnswerChange]:
    """The questions that `version` would answer otherwise than the published one.

    Raises VersionError when there is no such version.
    """
    questions = questions_of(settings)
    versions = Versions(settings.home)
    versions.folder_of(version)
    current = versions.served()
    if not questions or current in {"", version}:
        return []
    before = _ask(settings, current, questions, lambda n: progress("replay", n, 2 * len(questions)))
    after = _ask(
        settings, version, questions,
        lambda n: progress("replay", len(questions) + n, 2 * len(questions)),
    )  # fmt: skip
    return answer_changes(questions, before, after)


def answer_changes(
    questions: Sequence[ReplayQuestion], before: Sequence[Answered], after: Sequence[Answered]
) -> list[AnswerChange]:
    """The questions that are answered otherwise after than before."""
    return [
        AnswerChange(Masker().mask(question.text), old, new, _verdict(question, old, new))
        for question, old, new in zip(questions, before, after, strict=True)
        if old != new
    ]


def _ask(
    settings: Settings,
    version: str,
    questions: Sequence[ReplayQuestion],
    progress: Callable[[int], None],
) -> list[Answered]:
    """What a version answers."""
    return [answered(r) for r in replies_of(settings, version, questions, progress)]


def replies_of(
    settings: Settings,
    version: str,
    questions: Sequence[ReplayQuestion],
    progress: Callable[[int], None],
    threshold: Callable[[], float] | None = None,
) -> list[Reply]:
    """A version's replies; without the language model, whose words differ by chance."""
    quoting = settings.model_copy(update={"model": settings.model.model_copy(update={"base": ""})})
    knowledge = build_knowledge(quoting)
    knowledge.versions = Pinned(Versions(settings.home), version)
    assistant = build_assistant(quoting, knowledge, threshold)
    replies = []
    for done, question in enumerate(questions, start=1):
        replies.append(assistant.respond(Utterance(question.text)))
        progress(done)
    knowledge.close()
    return replies


def answered(reply: Reply) -> Answered:
    """The passages by their documents: a passage's number changes with those before it."""
    cited = reply.outcome.citations if isinstance(reply.outcome, Answer) else ()
    documents = tuple(dict.fromkeys(document_of(c.evidence_id) for c in cited))
    return Answered(reply.kind, reply.outcome.text, documents)


def _verdict(question: ReplayQuestion, before: Answered, after: Answered) -> str:
    if question.answerable is None and not question.relevant:
        return ""
    was, now = (is_right(question, a) for a in (before, after))
    return "" if was == now else "better" if now else "worse"


def is_right(question: ReplayQuestion, answered: Answered) -> bool:
    """Whether it cites a document that answers and tells the facts; or nothing, where none does."""
    if question.answerable is False:
        return not answered.cites
    text = " ".join(answered.text.split())
    return bool(set(answered.cites) & set(question.relevant)) and all(
        any(" ".join(fact.split()) in text for fact in wordings) for wordings in question.facts
    )


def as_rows(changes: Iterable[AnswerChange]) -> list[dict[str, Any]]:
    """The changes as JSON values."""
    return [
        {
            "question": c.question,
            "verdict": c.verdict,
            "before": {"outcome": c.before.outcome, "text": c.before.text, "cites": c.before.cites},
            "after": {"outcome": c.after.outcome, "text": c.after.text, "cites": c.after.cites},
        }
        for c in changes
    ]
