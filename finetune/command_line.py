"""What the command lines of `finetune` share."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant.errors import AssistantError
from assistant.followup import resolve
from assistant.settings import load_settings
from assistant.types import Message
from finetune.errors import FinetuneError
from finetune.prompt import Turn, titled
from knowledge.command_line import one_line_errors
from knowledge.encoder import Encoder, load_encoder
from knowledge.errors import KnowledgeError

log = logging.getLogger("finetune")
SHOPS = Path(__file__).parent / "shops"
UNSEEN_SHOPS = Path(__file__).parent / "unseen_shops"
REPLIES = Path(__file__).parent / "replies"
DEMO = Path(__file__).parents[1] / "assistant" / "demo" / "shop"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Home = Annotated[Path, typer.Option(envvar="FRONTDESK_HOME", help="Folder that holds all state.")]
Base = Annotated[str, typer.Option(help="Folder or hub id of the base model.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
Data = Annotated[Path, typer.Option(help="Folder made by `prepare`.")]
clear_errors = partial(one_line_errors, FinetuneError, KnowledgeError, AssistantError)
DEFAULT_HOME = Path(".frontdesk")


def show(result: dict[str, Any], as_json: bool) -> None:
    """The result: one JSON object, or a line for each field."""
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    for key, value in result.items():
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
        print(f"{key}: {text}")


def configured_encoder(home: Path) -> Encoder:
    """The encoder that the settings of a home name."""
    settings = load_settings(home=home)
    return load_encoder(settings.knowledge.encoder, settings.engines, settings.knowledge.threads)


def fetched_passages(home: Path) -> Callable[[str, Sequence[Turn], str], list[str]]:
    """What a home's knowledge base finds for a question after earlier turns, as it is served."""
    from assistant.build import build_knowledge  # onnxruntime takes its time

    settings = load_settings(home=home)
    knowledge = build_knowledge(settings)

    def fetch(question: str, before: Sequence[Turn], language: str) -> list[str]:
        said = [Message(t.role, t.text) for t in before]
        asked = resolve(question, said, knowledge.mentions)
        found = knowledge.search(asked, settings.knowledge.rerank_passages, language=language)
        return [titled(" › ".join(p.title_path), p.text) for p in found]

    return fetch
