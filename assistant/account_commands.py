"""Command line of the accounts of staff: add, role, reset, disable, enable and list them.

Whoever may run it on the server may let anybody in, so it is also the way back for a shop whose
last admin has lost the password.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from assistant.accounts import Account, Accounts
from assistant.conversations import Conversations
from assistant.errors import AssistantError
from assistant.passwords import Passwords
from assistant.roles import ROLES
from assistant.settings import load_settings
from knowledge.command_line import one_line_errors

account_app = typer.Typer(no_args_is_help=True, help="Accounts of staff, and their roles.")
WHO = "command line"
Login = Annotated[str, typer.Argument(help="User name of the account.")]
Home = Annotated[Path | None, typer.Option(help="Folder that holds all state.")]
Config = Annotated[Path | None, typer.Option(help="Settings file instead of frontdesk.toml.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
_ROLES = f"One of {', '.join(ROLES)}."


@account_app.command()
def add(
    login: Login,
    role: Annotated[str, typer.Option(help=_ROLES)],
    name: Annotated[str, typer.Option(help="What customers and colleagues see.")] = "",
    home: Home = None,
    config: Config = None,
    as_object: Json = False,
) -> None:
    """Add an account; its one-time password is printed, and kept nowhere."""
    with _accounts(home, config) as accounts:
        _tell(*accounts.add(login, role, WHO, name), as_object)


@account_app.command()
def role(
    login: Login,
    role: Annotated[str, typer.Argument(help=_ROLES)],
    home: Home = None,
    config: Config = None,
    as_object: Json = False,
) -> None:
    """Give an account another role; its sessions end."""
    with _accounts(home, config) as accounts:
        _tell(accounts.change_role(login, role, WHO), "", as_object)


@account_app.command()
def reset(login: Login, home: Home = None, config: Config = None, as_object: Json = False) -> None:
    """Replace the password by a one-time password, which is printed; the sessions end."""
    with _accounts(home, config) as accounts:
        password = accounts.reset(login, WHO)
        _tell(accounts.get(login), password, as_object)


@account_app.command()
def disable(
    login: Login, home: Home = None, config: Config = None, as_object: Json = False
) -> None:
    """Keep somebody out; the sessions end, the account stays."""
    with _accounts(home, config) as accounts:
        _tell(accounts.switch(login, False, WHO), "", as_object)


@account_app.command()
def enable(login: Login, home: Home = None, config: Config = None, as_object: Json = False) -> None:
    """Let somebody in again."""
    with _accounts(home, config) as accounts:
        _tell(accounts.switch(login, True, WHO), "", as_object)


@account_app.command("list")
def list_accounts(home: Home = None, config: Config = None, as_object: Json = False) -> None:
    """Show all accounts."""
    with _accounts(home, config) as accounts:
        found = accounts.all()
    if as_object:
        typer.echo(json.dumps({"users": [asdict(a) for a in found]}, ensure_ascii=False))
        return
    for account in found:
        typer.echo(_line(account))


@contextmanager
def _accounts(home: Path | None, config: Path | None) -> Iterator[Accounts]:
    with one_line_errors(AssistantError):
        settings = load_settings(config, home=home)
        with closing(Conversations.of(settings)) as store:
            yield Accounts(store, Passwords(), settings.shop_name)


def _tell(account: Account, password: str, as_object: bool) -> None:
    if as_object:
        told = asdict(account) | ({"password": password} if password else {})
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    typer.echo(_line(account))
    if password:
        typer.echo(f"one-time password, shown only now: {password}")


def _line(account: Account) -> str:
    states = {
        "disabled": account.disabled,
        "has to choose a password": account.must_change,
        "logs in with the company's provider": account.outside,
    }
    last = f"{datetime.fromtimestamp(account.logged_in, UTC):%Y-%m-%d}" if account.logged_in else ""
    told = [account.name, account.role, last, *(s for s, holds in states.items() if holds)]
    return f"{account.login}: {', '.join(filter(None, told))}"
