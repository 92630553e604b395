"""Command line of the assistant: ask a question, or a batch of them."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant import analytics_export
from assistant.account_commands import account_app
from assistant.analytics import analyse, by_day_and_version, period
from assistant.build import build_assistant, with_store
from assistant.contract import reply_to_json
from assistant.conversations import Conversations
from assistant.curated_commands import curated_app
from assistant.data_commands import data_app
from assistant.doctor.commands import doctor_app
from assistant.drift import LOOK_BACK_DAYS, find_drift
from assistant.episodes import read_episodes
from assistant.errors import AssistantError, InputError, SettingsError
from assistant.gaps import find_gaps
from assistant.model_commands import model_app
from assistant.outlook_building import outlook_figures
from assistant.pipeline import Assistant
from assistant.rehearsal import dial_of
from assistant.reviewed import reviewed_dialogues
from assistant.settings import Settings, load_settings
from assistant.types import Answer, Message, Reply, Role, Utterance
from knowledge.build import open_knowledge, open_refresher
from knowledge.command_line import one_line_errors
from knowledge.encoder import load_encoder
from knowledge.errors import KnowledgeError
from knowledge.formats import read_text
from knowledge.masked_logs import mask_logs
from knowledge.terminal import progress_bar
from knowledge.versions import Versions

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(curated_app, name="curated")
app.add_typer(data_app(lambda *given: _forget(*given)))
app.add_typer(account_app, name="user")
app.add_typer(model_app)
app.add_typer(doctor_app)
Home = Annotated[Path | None, typer.Option(help="Folder that holds all state.")]
Config = Annotated[Path | None, typer.Option(help="Settings file instead of frontdesk.toml.")]
_ROLES: dict[str, Role] = {
    "customer": "customer", "user": "customer", "assistant": "assistant", "agent": "agent",
}  # fmt: skip


@app.callback()
def main() -> None:
    """Frontdesk's assistant."""
    mask_logs()


def _forget(*given: Any) -> dict[str, list[dict[str, Any]]]:
    from finetune.forget import forget  # what it needs takes seconds to import

    return forget(*given)


@app.command()
def ask(
    text: Annotated[str | None, typer.Argument(help="The question.")] = None,
    customer: Annotated[str | None, typer.Option(help="Id of the logged-in customer.")] = None,
    batch: Annotated[str | None, typer.Option(help="JSON Lines of questions, or - .")] = None,
    corpus: Annotated[Path | None, typer.Option(help="Answer from this corpus instead.")] = None,
    home: Home = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Answer a question, or with --batch one a line, as JSON Lines in the same order."""
    if (text is None) == (batch is None):
        raise typer.BadParameter("give a question, or --batch FILE")
    with one_line_errors(KnowledgeError, AssistantError):
        settings = load_settings(config, home=home)
        with _assistant(settings, corpus) as assistant:
            if batch is None:
                reply = assistant.respond(Utterance(text or "", customer_id=customer))
                _print(reply, as_json)
                return
            for row in _questions(batch, settings):
                reply = assistant.respond(_utterance(row, customer))
                typer.echo(json.dumps(reply_to_json(reply, str(row["id"])), ensure_ascii=False))


@app.command()
def dial(
    most_wrong: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of answers that may be wrong.")
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="How sure to be of that.")
    ] = None,
    home: Home = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Say how relevant evidence must be for a share of wrong answers, by the golden questions.

    Without --most-wrong that of the settings. What the questions gave is kept for the version that
    is served, which from then on answers by it what is promised.
    """
    with one_line_errors(KnowledgeError, AssistantError):
        settings = load_settings(config, home=home, most_wrong=most_wrong, confidence=confidence)
        if settings.most_wrong is None:
            raise SettingsError("give --most-wrong, or set most_wrong")
        version = Versions(settings.home).current()
        with progress_bar() as show:
            found = dial_of(settings, version, settings.most_wrong, settings.confidence, show)
        if as_json:
            typer.echo(json.dumps(asdict(found)))
            return
        typer.echo(
            f"answer from a relevance of {found.threshold:.3f}: {found.answered} golden questions "
            f"are answered, {found.wrong} of them wrongly; "
            f"{found.right:.0%} of those with an answer get it"
        )


@app.command()
def gaps(
    days: Annotated[int, typer.Option(min=1, help="Look so many days back.")] = 90,
    home: Home = None,
    drafts: Annotated[Path | None, typer.Option(help="Write a draft of each here.")] = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Show what customers asked in vain: articles that the shop might write."""
    with one_line_errors(KnowledgeError, AssistantError):
        settings = load_settings(config, home=home)
        store = Conversations.of(settings)
        encoder = load_encoder(
            settings.knowledge.encoder, settings.engines, settings.knowledge.threads
        )
        try:
            found = find_gaps(store, encoder, time.time() - 86_400 * days)
        finally:
            store.close()
        if drafts:
            drafts.mkdir(parents=True, exist_ok=True)
            for number, gap in enumerate(found, start=1):
                (drafts / f"gap-{number:03}.md").write_text(gap.draft, encoding="utf-8")
        if as_json:
            rows = [asdict(g) | {"draft": g.draft} for g in found]
            typer.echo(json.dumps({"gaps": rows}, ensure_ascii=False))
            return
        for gap in found:
            typer.echo(f"{len(gap.conversations):4}  {gap.title}")
            for question in gap.questions[1:4]:
                typer.echo(f"        {question}")
        typer.echo(f"{len(found)} gaps")


@app.command()
def reviewed(
    out: Annotated[Path, typer.Option(help="JSON Lines file to write.")],
    days: Annotated[int, typer.Option(min=1, help="Look so many days back.")] = 90,
    home: Home = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Write what agents replied and customers found helpful, for `python -m finetune prepare`."""
    with one_line_errors(AssistantError):
        store = Conversations.of(load_settings(config, home=home))
        try:
            records = list(reviewed_dialogues(store, time.time() - 86_400 * days))
        finally:
            store.close()
        lines = (json.dumps(r, ensure_ascii=False) + "\n" for r in records)
        out.write_text("".join(lines), encoding="utf-8")
        if as_json:
            typer.echo(json.dumps({"dialogues": len(records), "out": str(out)}))
        else:
            typer.echo(f"{len(records)} dialogues in {out}")


@app.command()
def analytics(
    days: Annotated[int, typer.Option(min=1, max=366, help="Days, today included.")] = 30,
    as_csv: Annotated[bool, typer.Option("--csv", help="One row a day and version.")] = False,
    home: Home = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Say what became of the conversations, and where quality got worse."""
    with one_line_errors(AssistantError):
        settings = load_settings(config, home=home)
        zone, now = settings.hours.zone, time.time()
        store = Conversations.of(settings)
        try:
            since = min(period(n, now, zone)[1] for n in (days, LOOK_BACK_DAYS))
            episodes = read_episodes(store, since, now)
            alerts = find_drift(store, episodes, now, settings.false_alarms, zone)
            began = period(days, now, zone)[1]
            bands = outlook_figures(settings, store, [e for e in episodes if e.began >= began])
        finally:
            store.close()
        if as_csv:
            rows = by_day_and_version(episodes, days, now, zone)
            typer.echo(analytics_export.as_csv(rows), nl=False)
            return
        found = analyse(episodes, days, now, zone)
        if as_json:
            exported = analytics_export.as_json(found, alerts, bands)
            typer.echo(json.dumps(exported, ensure_ascii=False))
            return
        for line in analytics_export.as_lines(found, alerts, bands):
            typer.echo(line)


@contextmanager
def _assistant(settings: Settings, corpus: Path | None) -> Iterator[Assistant]:
    """The assistant over the live knowledge base, or over a corpus in a temporary home."""
    temporary: Any = tempfile.TemporaryDirectory() if corpus else nullcontext()
    with temporary as folder:
        if corpus is None:
            with _with_own_answers(build_assistant(settings), settings) as assistant:
                yield assistant
            return
        home = Path(folder)
        progress: Callable[[str, int, int], None] = lambda stage, done, total: None  # noqa: E731
        open_refresher(home, settings.engines, settings.knowledge, progress).refresh([corpus])
        yield build_assistant(settings, open_knowledge(home, settings.engines, settings.knowledge))


@contextmanager
def _with_own_answers(assistant: Assistant, settings: Settings) -> Iterator[Assistant]:
    """With the answers that are curated in the home, if anything is stored there."""
    if not settings.has_store:
        yield assistant
        return
    with closing(Conversations.of(settings)) as store:
        yield with_store(assistant, store)


def _questions(batch: str, settings: Settings) -> Iterator[dict[str, Any]]:
    """Rows of a batch. Raises InputError naming the line that is wrong."""
    if batch == "-":
        lines: Any = sys.stdin
    else:
        try:
            lines = read_text(Path(batch), settings.knowledge.max_file_bytes).split("\n")
        except ValueError as error:
            raise InputError(f"{batch}: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{batch}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict) or "id" not in row or not isinstance(row.get("text"), str):
            raise InputError(f'{batch}, line {number}: needs {{"id", "text"}}')
        yield row


def _utterance(row: dict[str, Any], customer: str | None) -> Utterance:
    history = tuple(
        Message(_ROLES[m["role"]], str(m.get("text", "")))
        for m in row.get("history") or ()
        if isinstance(m, dict) and m.get("role") in _ROLES
    )
    return Utterance(row["text"], history, row.get("customer") or customer)


def _print(reply: Reply, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(reply_to_json(reply), ensure_ascii=False))
        return
    outcome = reply.outcome
    typer.echo(outcome.text)
    if isinstance(outcome, Answer):
        for citation in outcome.citations:
            typer.echo(f"  [{citation.evidence_id}] {citation.title}")
    typer.echo(f"  ({reply.kind}{', ' + outcome.reason if outcome.reason else ''})", err=True)
