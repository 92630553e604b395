"""Command line of the knowledge base: refresh, search, versions, rollback, evaluate; products."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant.build import build_knowledge
from assistant.conversations import Conversations
from assistant.errors import AssistantError
from assistant.judging import judge_modes, read_queries
from assistant.rehearsal import rehearse
from assistant.settings import Settings, load_settings
from knowledge.build import open_refresher
from knowledge.catalogue.commands import Place, catalogue_app
from knowledge.check import check
from knowledge.command_line import one_line_errors
from knowledge.diff import compare
from knowledge.errors import KnowledgeError
from knowledge.evaluate import scores
from knowledge.purge import purge as purge_documents
from knowledge.quarantine import Quarantine
from knowledge.retrieve import MODES, Mode
from knowledge.terminal import print_change, print_report, progress_bar
from knowledge.types import Passage
from knowledge.versions import Versions

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
Home = Annotated[Path | None, typer.Option(help="Folder that holds all state.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
_LOWER_PRIORITY = 10
_ALL = "all"


clear_errors = partial(
    one_line_errors,
    KnowledgeError,
    AssistantError,
    interrupted="interrupted; the published version is unchanged",
)


def settings_of(home: Path | None) -> Settings:
    """Settings with the home given as a flag."""
    return load_settings(home=home)


def _place(home: Path | None) -> Place:
    settings = settings_of(home)
    return Place(settings.home, settings.engines, settings.knowledge)


app.add_typer(catalogue_app(_place))


def emit(value: Any) -> None:
    """One JSON object on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


@app.command()
def refresh(
    sources: Annotated[list[Path], typer.Argument(help="Files or folders.")],
    home: Home = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would change.")] = False,
    prepare: Annotated[bool, typer.Option(help="Make the version, publish it later.")] = False,
    strict: Annotated[bool, typer.Option(help="Publish nothing on a blocking finding.")] = False,
    rebuild: Annotated[bool, typer.Option(help="Read and embed everything anew.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the knowledge base to what the sources hold now, and publish it."""
    with suppress(OSError):  # customers' questions go first
        os.setpriority(os.PRIO_PROCESS, 0, _LOWER_PRIORITY)
    with clear_errors():
        settings = settings_of(home)
        with progress_bar() as show:
            refresher = open_refresher(
                settings.home,
                settings.engines,
                settings.knowledge,
                show,
                lambda version: rehearse(settings, version, show),
            )
            report = refresher.refresh(
                sources, dry_run=dry_run, prepare=prepare, strict=strict, rebuild=rebuild
            )
        if as_json:
            emit(asdict(report))
        else:
            print_report(report)
        if not (dry_run or prepare) and not report.published:
            typer.echo("error: not published, see the findings and rejections", err=True)
            raise typer.Exit(1)


@app.command()
def search(
    text: str,
    k: Annotated[int, typer.Option("-k", min=1, max=100)] = 5,
    mode: Annotated[str, typer.Option(help=" | ".join(MODES))] = "reranked",
    home: Home = None,
    staff: Annotated[bool, typer.Option(help="Include passages for staff.")] = False,
    as_json: Json = False,
) -> None:
    """Show the passages found for a text."""
    with clear_errors():
        knowledge = build_knowledge(settings_of(home))
        passages = knowledge.search(text, k, _mode(mode), for_staff=staff)
        if as_json:
            language = knowledge.detector.detect(text).language
            rows = [_passage_row(p) for p in passages]
            emit({"query": text, "language": language, "passages": rows})
            return
        for passage in passages:
            typer.echo(f"{passage.score:.3f}  {passage.id}  {' › '.join(passage.title_path)}")
            typer.echo(f"       {' '.join(passage.text.split())[:160]}")


def _mode(name: str) -> Mode:
    for mode in MODES:
        if mode == name:
            return mode
    raise typer.BadParameter(f"{name!r} is not one of {', '.join(MODES)}")


def _passage_row(passage: Passage) -> dict[str, Any]:
    row = asdict(passage)
    return {"id": row.pop("id"), "source": row.pop("source")} | row


@app.command()
def versions(home: Home = None, as_json: Json = False) -> None:
    """List the versions, the published one marked."""
    with clear_errors():
        store = Versions(settings_of(home).home)
        current = store.current()
        waiting = store.prepared()
        rows = [
            {"version": n, "published": n == current, "prepared": n in waiting}
            for n in store.complete()
        ]
        if as_json:
            emit({"versions": rows})
            return
        for row in rows:
            note = "  prepared, not published" if row["prepared"] else ""
            typer.echo(f"{'*' if row['published'] else ' '} {row['version']}{note}")


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A version; `current` is the published one.")],
    after: Annotated[str, typer.Argument(help="Another version.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what differs between two versions, word by word."""
    with clear_errors():
        store = Versions(settings_of(home).home)
        changes = compare(store.folder_of(before), store.folder_of(after))
        if as_json:
            emit({"before": before, "after": after, "documents": [asdict(c) for c in changes]})
            return
        for change in changes:
            print_change(change)
        typer.echo(f"{len(changes)} documents differ")


@app.command()
def publish(
    version: Annotated[str, typer.Argument(help="One that `refresh --prepare` has made.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Publish a prepared version."""
    with clear_errors():
        store = Versions(settings_of(home).home)
        with store.writing():
            store.publish(version)
        if as_json:
            emit({"version": version})
        else:
            typer.echo(f"{version} is published")


@app.command("check")
def check_command(home: Home = None, as_json: Json = False) -> None:
    """Read all of the published version and say what is wrong with it; exit code 1 if anything."""
    with clear_errors():
        report = check(Versions(settings_of(home).home))
        if as_json:
            emit(asdict(report))
        else:
            held = f"{report.documents} documents, {report.passages} passages"
            typer.echo(f"{report.version}: {held}, {len(report.problems) or 'no'} problems")
            for problem in report.problems:
                typer.echo(f"  {problem}")
        if report.problems:
            typer.echo(
                "error: the version is damaged; roll back, or refresh with --rebuild", err=True
            )
            raise typer.Exit(1)


@app.command()
def allow(
    passage: Annotated[str, typer.Argument(help="A passage that is held back.")],
    reason: Annotated[str, typer.Option(help="Why customers may see it.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let a quarantined passage in from the next refresh on."""
    with clear_errors():
        Quarantine(Versions(settings_of(home).home).root).allow(passage, reason)
        if as_json:
            emit({"passage": passage})
        else:
            typer.echo(f"{passage} goes in with the next refresh")


@app.command()
def purge(
    what: Annotated[str, typer.Argument(help="A document's id, or a file or folder.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Erase withdrawn text from the published version and every earlier one."""
    with clear_errors():
        settings = settings_of(home)
        report = purge_documents(Versions(settings.home), what)
        replies = 0
        if settings.has_store:
            store = Conversations.of(settings)
            replies = store.withdraw(report.documents)
            store.close()
        if as_json:
            emit(asdict(report) | {"replies": replies})
            return
        typer.echo(f"erased {', '.join(report.documents)}; {len(report.versions)} versions deleted")
        typer.echo(f"{replies} stored replies no longer hold it")
        typer.echo(f"{report.version or 'nothing'} is published")
        for source in report.remaining:
            typer.echo(f"  {source} still holds it: a refresh would bring it back")


@app.command()
def rollback(
    version: Annotated[str | None, typer.Argument(help="Default: the one before.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Publish an earlier version again."""
    with clear_errors():
        name = Versions(settings_of(home).home).rollback(version)
        if as_json:
            emit({"version": name})
        else:
            typer.echo(f"{name} is published")


@app.command("evaluate")
def evaluate_command(
    corpus: Annotated[Path, typer.Option(help="JSON Lines of {id, title, text}.")],
    queries: Annotated[
        Path, typer.Option(help="JSON Lines of {id, text, relevant, optional history}.")
    ],
    mode: Annotated[str, typer.Option(help=" | ".join((*MODES, _ALL)))] = "reranked",
    as_json: Json = False,
) -> None:
    """Measure retrieval on a corpus with judged queries, in a temporary home.

    `--mode all` measures each mode in turn, and the JSON object then holds one for each.
    """
    with clear_errors(), progress_bar() as show:
        settings = load_settings()
        judged = read_queries(queries, settings.knowledge.max_file_bytes)
        chosen = MODES if mode == _ALL else (_mode(mode),)
        found = {
            name: {"queries": len(judged)} | scores(judgements)
            for name, judgements in judge_modes(settings, corpus, judged, chosen, show).items()
        }
        if as_json:
            emit(found if mode == _ALL else found[chosen[0]])
            return
        for name, values in found.items():
            typer.echo(f"{name:9} " + "  ".join(f"{k} {v}" for k, v in values.items()))


if __name__ == "__main__":
    app()
