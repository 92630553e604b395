"""A server of the API alone, around an assistant that needs no models: it starts in a second.

python -m tests.served --home HOME --port PORT [--store URL] [--redis URL] [--pause SECONDS]
    [--most SECONDS]
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from assistant.conversations import Conversations
from assistant.generation import QuotingComposer
from assistant.live import open_live
from assistant.service import ChatService
from assistant.settings import Settings
from assistant.store_settings import SharedSettings, StoreSettings
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
from assistant.web.draining import DrainingServer
from assistant.web.identity import Identities, Tickets
from assistant.web.limits import StoreTrouble
from assistant.web.turns import Turns

SENTENCES = ("You can return it.", "You have 30 days.", "Bring the receipt.")


class Unhurried:
    """Says three sentences, one after another."""

    def __init__(self, settings: Settings, pause: float) -> None:
        self.settings = settings
        self.pause = pause
        self.generator = QuotingComposer()

    def respond(self, utterance: Utterance, listen: Listener = ignore) -> Reply:
        said = []
        for sentence in SENTENCES:
            listen(StageStarted("generation", "en"))
            time.sleep(self.pause)
            said.append(CheckedSentence(sentence, True, "returns#0"))
            listen(SentenceReady(said[-1]))
        text = " ".join(SENTENCES)
        cited = (Citation("returns#0", "returns.md", "Returns", text, text),)
        return Reply(Answer(text, tuple(said), cited), "en", Intent("return_policy", 0.9))


def serve(settings: Settings, port: int, pause: float, most: float) -> None:
    """Until it is killed, or has drained for at most so many seconds."""
    assistant: Any = Unhurried(settings, pause)
    live = open_live(settings.shared)
    service = ChatService(assistant, Conversations.of(settings), live)
    app = FastAPI()
    app.add_middleware(StoreTrouble)
    identities, turns = Identities("", service.conversations), Turns(service)
    app.include_router(api_routes(service, turns, Tickets("a test's secret"), identities))
    stopping = threading.Event()

    @app.get("/health/ready")
    def ready() -> JSONResponse:
        return JSONResponse({}, 503 if stopping.is_set() else 200)

    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print(f"answers at http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
    config = uvicorn.Config(app, log_level="warning")
    server = DrainingServer(config, stopping.set, lambda: not sum(turns.depth), 0.5, most)
    server.run(sockets=[listener])


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", default="")
    parser.add_argument("--redis", default="")
    parser.add_argument("--pause", type=float, default=0.02)
    parser.add_argument("--most", type=float, default=20.0)
    given = parser.parse_args()
    store, shared = StoreSettings(url=given.store), SharedSettings(redis=given.redis)
    settings = Settings(home=given.home, store=store, shared=shared)
    serve(settings, given.port, given.pause, given.most)


if __name__ == "__main__":
    main()
