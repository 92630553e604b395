"""The command that looks at an installation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from assistant.doctor.contents import Adapters, Database, Encoder, Knowledge, Staff
from assistant.doctor.findings import Check, Row, examine
from assistant.doctor.machine import Clock, Home, Packages, Python
from assistant.doctor.production import Production
from assistant.doctor.services import Chroma, ModelServer, Redis, Services
from assistant.errors import SettingsError
from assistant.settings import load_settings

# In the order in which one would look.
CHECKS: Sequence[Check] = (
    Python(), Packages(), Home(), Clock(), Services(), Redis(), Chroma(), ModelServer(), Database(),
    Staff(), Knowledge(), Encoder(), Adapters(), Production(),
)  # fmt: skip
_COLOURS = {"ok": "green", "warning": "yellow", "broken": "red"}
doctor_app = typer.Typer(pretty_exceptions_enable=False)


@doctor_app.command()
def doctor(
    home: Annotated[Path | None, typer.Option(help="Folder that holds all state.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file instead of frontdesk.toml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Check an installation and say what repairs it; exit 1 when something is broken."""
    try:
        rows = list(examine(load_settings(config, home=home), CHECKS))
    except SettingsError as error:
        repair = "correct the setting in frontdesk.toml or in the environment"
        rows = [Row("settings", "broken", str(error), repair)]
    is_well = all(row.status != "broken" for row in rows)
    if as_json:
        told = {"ok": is_well, "findings": [asdict(row) for row in rows]}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        _print(rows)
    raise typer.Exit(0 if is_well else 1)


def _print(rows: Sequence[Row]) -> None:
    """A line a finding, and below it what repairs it."""
    for row in rows:
        status = typer.style(f"{row.status:8}", fg=_COLOURS[row.status])
        typer.echo(f"{status} {row.check:11} {row.detail}")
        if row.repair:
            typer.echo(f"{'':20} -> {row.repair}")
    counts = {s: sum(row.status == s for row in rows) for s in _COLOURS}
    typer.echo(", ".join(f"{count} {status}" for status, count in counts.items()))
