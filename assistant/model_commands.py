"""Commands that stop the language model and let it write again."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from assistant.errors import AssistantError
from assistant.settings import load_settings
from assistant.switch import ModelSwitch
from knowledge.command_line import one_line_errors

model_app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
WHO = "command line"
Home = Annotated[Path | None, typer.Option(help="Folder that holds all state.")]
Config = Annotated[Path | None, typer.Option(help="Settings file instead of frontdesk.toml.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@model_app.command("pause-model")
def pause_model(
    why: Annotated[str, typer.Option(help="What the others should know.")] = "",
    home: Home = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Stop the language model, also in a running server: replies are quoted from now on."""
    _switch(off=True, why=why, home=home, config=config, as_json=as_json)


@model_app.command("resume-model")
def resume_model(home: Home = None, config: Config = None, as_json: Json = False) -> None:
    """Let the language model write again."""
    _switch(off=False, why="", home=home, config=config, as_json=as_json)


def _switch(*, off: bool, why: str, home: Path | None, config: Path | None, as_json: bool) -> None:
    with one_line_errors(AssistantError):
        settings = load_settings(config, home=home)
        switch = ModelSwitch(settings.home)
        changed = switch.turn_off(WHO, why) if off else switch.turn_on()
        if changed:  # after the switch: neither the store nor its library may hold it up
            from assistant.conversations import Conversations

            with closing(Conversations.of(settings)) as store:
                store.log(WHO, "pause_model" if off else "resume_model", why)
        if as_json:
            typer.echo(json.dumps({"paused": off, "changed": changed}))
            return
        now = "is stopped: replies are quoted" if off else "may write again"
        typer.echo(f"the language model {now}" + ("" if changed else " (as before)"))
