"""Commands on what is kept: for how long, of whom, and a copy of it that can be brought back."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant import migrations
from assistant.backup import back_up
from assistant.conversations import Conversations
from assistant.database import open_engines
from assistant.erasure import Forget, erase, find_person
from assistant.errors import AssistantError, InputError
from assistant.restoring import restore
from assistant.retention import sweep
from assistant.settings import Settings, load_settings
from assistant.store_settings import BackupSettings
from knowledge.command_line import one_line_errors
from knowledge.errors import KnowledgeError

Home = Annotated[Path | None, typer.Option(help="Folder that holds all state.")]
Config = Annotated[Path | None, typer.Option(help="Settings file instead of frontdesk.toml.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="Its first line is the passphrase; else that of the settings.")
]
_CONFIG = Path("frontdesk.toml")


def data_app(forget: Forget) -> typer.Typer:
    """The commands; `forget` takes a person out of training sets (see finetune/forget.py)."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

    @app.command()
    def retain(
        dry_run: Annotated[bool, typer.Option(help="Only say what would go.")] = False,
        home: Home = None,
        config: Config = None,
        as_json: Json = False,
    ) -> None:
        """Delete the conversations, or their words, that are over the days in the settings."""
        with one_line_errors(AssistantError):
            settings = load_settings(config, home=home)
            with closing(Conversations.of(settings)) as store:
                swept = sweep(store, settings.store, time.time(), "command line", dry_run)
            _show(asdict(swept) | {"dry_run": dry_run}, as_json)

    @app.command("erase")
    def erase_command(
        customer: Annotated[str, typer.Option(help="Id of a customer.")] = "",
        conversation: Annotated[str, typer.Option(help="Id of one conversation.")] = "",
        email: Annotated[str, typer.Option(help="Address that was left or written.")] = "",
        also: Annotated[
            list[Path] | None, typer.Option(help="Folder outside the home, of training data say.")
        ] = None,
        home: Home = None,
        config: Config = None,
        as_json: Json = False,
    ) -> None:
        """Erase a person from the conversations and every file below the home; print a receipt."""
        with one_line_errors(AssistantError, KnowledgeError, OSError):
            settings = load_settings(config, home=home)
            with closing(Conversations.of(settings)) as store:
                person = find_person(store, customer, conversation, email)
                receipt = erase(settings, store, person, forget, also or [])
            _show(asdict(receipt), as_json)
            if receipt.left:
                raise InputError(f"{len(receipt.left)} files still hold something; see `left`")

    @app.command("backup")
    def backup_command(
        file: Annotated[Path, typer.Argument(help="File to write; there must be none yet.")],
        passphrase_file: PassphraseFile = None,
        home: Home = None,
        config: Config = None,
        as_json: Json = False,
    ) -> None:
        """Write all state to one sealed file, also while the server runs."""
        with one_line_errors(AssistantError, KnowledgeError, OSError):
            settings = load_settings(config, home=home)
            passphrase = _passphrase(settings, passphrase_file)
            report = back_up(settings, file, passphrase, config or _CONFIG, os.environ)
            _show(asdict(report), as_json)

    @app.command("restore")
    def restore_command(
        file: Annotated[Path, typer.Argument(help="What `backup` has written.")],
        home: Annotated[Path, typer.Option(help="Folder to make; empty, or not there yet.")],
        replace: Annotated[bool, typer.Option(help="Move a home that is there aside.")] = False,
        database: Annotated[str, typer.Option(help="URL of an empty PostgreSQL database.")] = "",
        passphrase_file: PassphraseFile = None,
        config: Config = None,
        as_json: Json = False,
    ) -> None:
        """Make a home of a backup; nothing is touched before all of it is verified."""
        with one_line_errors(AssistantError, KnowledgeError, OSError):
            settings = load_settings(config, home=home)
            passphrase = _passphrase(settings, passphrase_file)
            report = restore(file, home, passphrase, database or settings.store.url, replace)
            _show(asdict(report), as_json)

    @app.command()
    def migrate(
        to: Annotated[str, typer.Option(help="Step to go to, back too; else the last.")] = "",
        home: Home = None,
        config: Config = None,
        as_json: Json = False,
    ) -> None:
        """Bring the database to another step, for an older program say; stop the server first."""
        with one_line_errors(AssistantError):
            settings = load_settings(config, home=home)
            settings.home.mkdir(parents=True, exist_ok=True)
            writer, reader = open_engines(settings.store_url)
            try:
                before, now = migrations.move(writer, to or migrations.HEAD)
            finally:
                writer.dispose()
                reader.dispose()
            _show({"before": before, "now": now, "steps": migrations.steps()}, as_json)

    return app


def _passphrase(settings: Settings, file: Path | None) -> str:
    return (BackupSettings(passphrase_file=file) if file else settings.backup).secret()


def _show(values: dict[str, Any], as_json: bool) -> None:
    """One JSON object, or a line a value and a line a row."""
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False))
        return
    for name, value in values.items():
        many = isinstance(value, list | tuple)
        for one in (value or ["none"]) if many else [value]:
            typer.echo(f"{name.replace('_', ' ')}: {_told(one)}")


def _told(value: Any) -> str:
    """Counts as "3 messages, 1 notes"; what a row says in its order."""
    if not isinstance(value, dict):
        return str(value) if value != "" else "none"
    if all(isinstance(inner, int) for inner in value.values()):
        return ", ".join(f"{inner} {key}" for key, inner in value.items()) or "none"
    return ": ".join(map(str, value.values()))
