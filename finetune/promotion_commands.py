"""The commands that serve a trained model to a home, and go back to the one before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from finetune.command_line import DEFAULT_HOME, Home, Json, clear_errors, show
from knowledge.promoted import PromotedModels


def add_promotion(
    app: typer.Typer,
    name: str,
    models: Callable[[Path], PromotedModels[Any]],
    *,
    promote_help: str,
    rollback_help: str,
) -> None:
    """Give an app `promote-NAME FOLDER` and `rollback-NAME`; `models` are those of a home."""
    made = typer.Argument(help=f"Folder made by `{name}`.")

    @app.command(f"promote-{name}", help=promote_help)
    def promote(folder: Path = made, home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
        with clear_errors():
            show({"current": models(home).promote(folder)}, as_json)

    @app.command(f"rollback-{name}", help=rollback_help)
    def rollback(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
        with clear_errors():
            show({"current": models(home).rollback()}, as_json)
