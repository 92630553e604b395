"""Put judged queries to a corpus as a turn would: with the history resolved, in each mode."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from assistant.followup import resolve
from assistant.settings import Settings
from assistant.types import Message
from knowledge.build import open_knowledge, open_refresher
from knowledge.errors import KnowledgeError
from knowledge.evaluate import JudgedQuery, Judgement, judge
from knowledge.formats import read_json_lines
from knowledge.inspection.inspector import Uninspected
from knowledge.retrieve import Mode
from knowledge.types import Passage, Progress

_CUSTOMER_ROLES = frozenset({"customer", "user"})
_DEPTH = 30  # chunks asked for: those of one document count once, and ten documents are judged


def read_queries(path: Path, max_bytes: int) -> list[JudgedQuery]:
    """Rows of {id, text, relevant, optional history}. Raises KnowledgeError."""
    try:
        judged = [
            JudgedQuery(
                str(row["id"]),
                row["text"],
                frozenset(row["relevant"]),
                tuple((m["role"], m["text"]) for m in row.get("history") or ()),
            )
            for row in read_json_lines(path, max_bytes)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise KnowledgeError(
            f"{path}: not JSON Lines of {{id, text, relevant}}: {error}"
        ) from error
    if not judged:
        raise KnowledgeError(f"{path} holds no query")
    return judged


def judge_modes(
    settings: Settings,
    corpus: Path,
    queries: Sequence[JudgedQuery],
    modes: Iterable[Mode],
    show: Progress,
) -> dict[Mode, list[Judgement]]:
    """The judgements of each mode over the corpus, published in a temporary home."""
    with tempfile.TemporaryDirectory() as folder:
        home, engines = Path(folder), settings.engines
        refresher = open_refresher(home, engines, settings.knowledge, show, inspector=Uninspected())
        refresher.refresh([corpus])
        knowledge = open_knowledge(home, engines, settings.knowledge)

        def find(query: JudgedQuery, mode: Mode) -> list[Passage]:
            history = [
                Message("customer" if role in _CUSTOMER_ROLES else "assistant", text)
                for role, text in query.history
            ]
            text = resolve(query.text, history, knowledge.mentions)
            return knowledge.search(text, _DEPTH, mode)

        found: dict[Mode, list[Judgement]] = {}
        with closing(knowledge):
            for mode in modes:
                find(queries[0], mode)  # load everything before the clock runs
                progress = partial(show, f"queries, {mode}")
                found[mode] = judge(partial(find, mode=mode), queries, progress)
        return found
