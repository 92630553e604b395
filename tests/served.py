"""A server of the API alone, around an assistant that needs no models: it starts in a second.

python -m tests.served --home HOME --port PORT
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from assistant.conversations import Conversations
from assistant.generation import QuotingComposer
from assistant.service import ChatService
from assistant.settings import Settings
from assistant.types import (
    Answer,
    CheckedSentence,
    Citation,
    Intent,
    Reply,
    SentenceReady,
    StageStarted,
    Utterance,
)
from assistant.watch import Listener, ignore
from assistant.web.api import api_routes
from assistant.web.identity import Identities, Tickets
from assistant.web.limits import StoreTrouble
from assistant.web.turns import Turns

SENTENCES = ("You can return it.", "You have 30 days.", "Bring the receipt.")


class Unhurried:
    """Says three sentences, one after another."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.generator = QuotingComposer()

    def respond(self, utterance: Utterance, listen: Listener = ignore) -> Reply:
        said = []
        for sentence in SENTENCES:
            listen(StageStarted("generation", "en"))
            time.sleep(0.02)
            said.append(CheckedSentence(sentence, True, "returns#0"))
            listen(SentenceReady(said[-1]))
        text = " ".join(SENTENCES)
        cited = (Citation("returns#0", "returns.md", "Returns", text, text),)
        return Reply(Answer(text, tuple(said), cited), "en", Intent("return_policy", 0.9))


def serve(home: Path, port: int) -> None:
    """Until it is killed."""
    settings = Settings(home=home)
    service = ChatService(Unhurried(settings), Conversations.in_home(home))  # type: ignore[arg-type]
    app = FastAPI()
    app.add_middleware(StoreTrouble)
    identities = Identities("", service.conversations)
    app.include_router(api_routes(service, Turns(service), Tickets("a test's secret"), identities))
    app.get("/health/ready")(lambda: {"status": "ready"})
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print(f"answers at http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    serve(given.home, given.port)
