"""A real HTTP server with OpenAI's completions API that does, call by call, what its script says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from assistant.engine import Engine, Wanted

Act = Callable[["Call"], None]


class Call(BaseHTTPRequestHandler):
    """One request; acts answer it."""

    protocol_version = "HTTP/1.1"
    server: ModelServer
    body: dict[str, Any]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """The models that are served."""
        held = self.server
        found = json.dumps({"data": [{"id": name} for name in held.models]}).encode()
        self.begin(held.status, length=len(found))
        self.wfile.write(found)

    def do_POST(self) -> None:
        """The next act; the last one for ever."""
        assert self.path == "/v1/completions"
        self.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        held = self.server
        with held.lock:
            held.calls.append((self.headers, self.body))
            act = held.script.pop(0) if held.script[1:] else held.script[0]
        try:
            act(self)
        except OSError:  # it went away
            held.left.set()

    def begin(self, status: int = 200, length: int | None = None, **headers: str) -> None:
        """The head of an answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is None:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(length))
        self.end_headers()

    def line(self, text: str) -> None:
        """A line of a stream."""
        data = f"{text}\n\n".encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def piece(self, text: str, reason: str | None = None) -> None:
        """A chunk of a completion."""
        self.line(f"data: {json.dumps({'choices': [{'text': text, 'finish_reason': reason}]})}")

    def whole(self) -> None:
        """The end of a reply that is whole."""
        self.piece("", "stop")
        self.line("data: [DONE]")
        self.wfile.write(b"0\r\n\r\n")


class ModelServer(ThreadingHTTPServer):
    """Keeps what it was asked; `left` is set when a client went away before its answer was over."""

    daemon_threads = True

    def __init__(self, script: Sequence[Act], models: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), Call)
        self.script, self.models, self.status = list(script), models, 200
        self.calls: list[tuple[Message, dict[str, Any]]] = []
        self.left, self.lock = threading.Event(), threading.Lock()

    @property
    def url(self) -> str:
        """Where the API begins."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def model_server(*script: Act, models: Sequence[str] = ("model",)) -> Iterator[ModelServer]:
    """A server that acts so, in a thread."""
    server = ModelServer(script, models)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says(*pieces: str) -> Act:
    """A reply in pieces."""
    return drips(pieces, 0)


def drips(pieces: Iterable[str], seconds: float) -> Act:
    """A reply with so long between its pieces."""

    def act(call: Call) -> None:
        call.begin()
        call.line(": comments are allowed")
        for piece in pieces:
            call.piece(piece)
            time.sleep(seconds)
        call.whole()

    return act


def answers(status: int, said: str = "", **headers: str) -> Act:
    """Only a status."""

    def act(call: Call) -> None:
        call.begin(status, len(said.encode()), **headers)
        call.wfile.write(said.encode())

    return act


def hangs(*pieces: str) -> Act:
    """Says some, then nothing until the client goes away."""

    def act(call: Call) -> None:
        call.begin()
        for piece in pieces:
            call.piece(piece)
        is_silent(call)

    return act


def is_silent(call: Call) -> None:
    """Says nothing, not even a head, until the client goes away."""
    call.connection.settimeout(10)
    if not call.connection.recv(1):
        call.server.left.set()
    call.close_connection = True


def is_busy(call: Call) -> None:
    """Says that it is still there, and no word."""
    call.begin()
    while True:
        call.line(": still there")
        time.sleep(0.02)


def breaks_off(*pieces: str) -> Act:
    """Says some, then closes the connection."""

    def act(call: Call) -> None:
        call.begin()
        for piece in pieces:
            call.piece(piece)
        call.close_connection = True

    return act


def ends_early(*pieces: str) -> Act:
    """Says some, and ends the stream as if that were all, without saying that it is."""

    def act(call: Call) -> None:
        call.begin()
        for piece in pieces:
            call.piece(piece)
        call.wfile.write(b"0\r\n\r\n")

    return act


def sends(*lines: str) -> Act:
    """These lines."""

    def act(call: Call) -> None:
        call.begin()
        for line in lines:
            call.line(line)
        call.wfile.write(b"0\r\n\r\n")

    return act


def by(engine: Engine, end: str) -> Act:
    """What an engine of this process writes, prompts as text or as tokens."""

    def act(call: Call) -> None:
        prompt, vocabulary = call.body["prompt"], engine.vocabulary
        if not isinstance(prompt, str):
            prompt = vocabulary.tokenizer.decode(prompt, skip_special_tokens=False)
        ends = frozenset(call.body.get("stop_token_ids") or [vocabulary.tokenizer.token_to_id(end)])
        limit, deadline = call.body["max_tokens"], time.monotonic() + 60
        call.begin()
        for piece in engine.write(Wanted(prompt, end, ends, limit, deadline)):
            call.piece(piece)
        call.whole()

    return act
