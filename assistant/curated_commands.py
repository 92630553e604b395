"""Command line of the curated answers: list, add, import and export them."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant.conversations import Conversations
from assistant.curated import CuratedAnswer, CuratedAnswers, Draft, with_plain_days
from assistant.errors import AssistantError, InputError
from assistant.settings import load_settings
from knowledge.command_line import one_line_errors
from knowledge.formats import read_json_lines
from knowledge.types import parse_day

curated_app = typer.Typer(no_args_is_help=True, help="Answers that customers get word for word.")
Home = Annotated[Path | None, typer.Option(help="Folder that holds all state.")]
Config = Annotated[Path | None, typer.Option(help="Settings file instead of frontdesk.toml.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])]
_MAX_BYTES = 20_000_000
_ID = re.compile(r"[\w-]{0,32}")


@curated_app.command("list")
def list_answers(home: Home = None, config: Config = None, as_object: Json = False) -> None:
    """Show them, with how often each was shown."""
    with _answers(home, config) as answers:
        found, hits, today = answers.all(), answers.hits(), date.today()
        if as_object:
            rows = [
                _as_json(a)
                | {
                    "state": a.state(today),
                    "hits": hits[a.id].count if a.id in hits else 0,
                    "last_hit": hits[a.id].last if a.id in hits else None,
                }
                for a in found
            ]
            typer.echo(json.dumps({"curated": rows}, ensure_ascii=False))
            return
        for answer in found:
            count = hits[answer.id].count if answer.id in hits else 0
            state = answer.state(today)
            typer.echo(f"{count:5}  {answer.id}  {answer.language}  {state:8}  {answer.question}")
        typer.echo(f"{len(found)} curated answers")


@curated_app.command()
def add(
    question: Annotated[str, typer.Argument(help="The question.")],
    answer: Annotated[str, typer.Argument(help="What customers get, word for word.")],
    language: Annotated[str, typer.Option(help="Language of both, a code like en.")],
    wording: Annotated[list[str] | None, typer.Option(help="Another way to ask it.")] = None,
    valid_from: Day = None,
    valid_until: Day = None,
    home: Home = None,
    config: Config = None,
    as_object: Json = False,
) -> None:
    """Add one."""
    draft = Draft(
        question,
        answer,
        language,
        tuple(wording or ()),
        valid_from.date() if valid_from else None,
        valid_until.date() if valid_until else None,
    )
    with _answers(home, config) as answers:
        kept = answers.add(draft, getpass.getuser())
        typer.echo(json.dumps(_as_json(kept), ensure_ascii=False) if as_object else kept.id)


@curated_app.command("import")
def import_answers(
    file: Annotated[Path, typer.Argument(help="JSON Lines, as export writes them.")],
    home: Home = None,
    config: Config = None,
    as_object: Json = False,
) -> None:
    """Keep all of a file's, or none; one whose id is there already is replaced."""
    with _answers(home, config) as answers:
        kept = answers.put(_drafts(file), getpass.getuser())
        counted = {"curated": len(kept)}
        typer.echo(json.dumps(counted) if as_object else f"{len(kept)} curated answers")


@curated_app.command()
def export(
    out: Annotated[Path | None, typer.Option(help="File to write instead of stdout.")] = None,
    home: Home = None,
    config: Config = None,
    as_object: Json = False,
) -> None:
    """Write them as JSON Lines; with --json, as one JSON object."""
    with _answers(home, config) as answers:
        rows = [_as_json(a) for a in answers.all()]
    lines = [{"curated": rows}] if as_object else rows
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines)
    if out is None:
        typer.echo(text, nl=False)
        return
    with one_line_errors():
        out.write_text(text, encoding="utf-8")


@contextmanager
def _answers(home: Path | None, config: Path | None) -> Iterator[CuratedAnswers]:
    with one_line_errors(AssistantError):
        settings = load_settings(config, home=home)
        with closing(Conversations.of(settings)) as store:
            yield CuratedAnswers(store)


def _drafts(file: Path) -> list[tuple[str, Draft]]:
    """(id, draft) of each line. Raises InputError naming the line that is wrong."""
    drafts: list[tuple[str, Draft]] = []
    try:
        rows: list[dict[str, Any]] = list(read_json_lines(file, _MAX_BYTES))
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error
    for number, row in enumerate(rows, start=1):
        try:
            key = row.get("id") or ""
            if not isinstance(key, str) or not _ID.fullmatch(key):
                raise ValueError("an id is at most 32 letters, digits, - and _")
            drafts.append((key, _draft(row).checked()))
        except (ValueError, InputError) as error:
            raise InputError(f"{file}, entry {number}: {error}") from error
    return drafts


def _draft(row: Mapping[str, Any]) -> Draft:
    """From its fields as JSON values, days in ISO form. Raises ValueError naming what is wrong."""
    texts = [row.get(name, "") for name in ("question", "answer", "language")]
    wordings, enabled = row.get("wordings") or [], row.get("enabled", True)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("question, answer and language are texts")
    if not isinstance(wordings, list) or not all(isinstance(w, str) for w in wordings):
        raise ValueError("wordings is a list of texts")
    if not isinstance(enabled, bool):
        raise ValueError("enabled is true or false")
    first, last = (parse_day(row.get(name)) for name in ("valid_from", "valid_until"))
    question, answer, language = texts
    return Draft(question, answer, language, tuple(wordings), first, last, enabled)


def _as_json(answer: CuratedAnswer) -> dict[str, Any]:
    return with_plain_days(answer) | {"wordings": list(answer.wordings)}
