"""deploy/nginx.conf in a real nginx, before two small servers that tell what came to them."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from assistant.web.gate import AREAS
from benchmarks.engines import MissingEngine, nginx
from benchmarks.serving import Server
from knowledge.settings import KnowledgeSettings
from tests.deploy.reading import DEPLOY, ROOT
from tests.engines import started

CONF = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")


class Backend(ThreadingHTTPServer):
    """Tells what it was asked; a path with `stream` tells a first event, and the second when
    `second` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Teller)
        self.second = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return self.server_port


class _Teller(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Backend

    def answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if "stream" in self.path:
            self._stream()
            return
        told = json.dumps(
            {"port": self.server.port, "path": self.path, "bytes": len(body),
             "headers": {k.lower(): v for k, v in self.headers.items()}}
        ).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._chunk(b"event: stage\n\n")
        self.server.second.wait(10)
        self._chunk(b"event: reply\n\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Quietly."""


@dataclass
class Proxy:
    """nginx with the shipped configuration."""

    port: int
    backends: list[Backend]
    ports: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.ports = {backend.port for backend in self.backends}

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """(status, what the backend tells)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, named)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, json.loads(content) if response.status == 200 else {}

    def seen(self, path: str, times: int = 12) -> set[int]:
        """Which backends a path leads to."""
        return {self.ask("GET", path)[1]["port"] for _ in range(times)}


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    backends = [Backend(), Backend()]
    first, second = (backend.port for backend in backends)
    with started(lambda folder: nginx(folder, first, second), tmp_path) as engine:
        yield Proxy(engine.port, backends)
    for backend in backends:
        backend.second.set()
        backend.shutdown()
        backend.server_close()


def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    try:
        command = nginx(tmp_path, 1, 2).command
    except MissingEngine as error:
        pytest.skip(str(error))
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_both_groups_name_the_same_apps() -> None:
    groups = re.findall(r"upstream \w+ \{(.*?)\}", CONF, re.DOTALL)
    servers = [re.findall(r"server (\S+)", group) for group in groups]
    assert servers[0] == servers[1]
    assert "ip_hash" not in groups[0]
    assert "ip_hash" in groups[1]


def test_api_and_widget_go_to_any_app_and_gradios_pages_stay_with_one(proxy: Proxy) -> None:
    for path in ("/api/v1/conversations/x", "/widget.js", "/health/ready"):
        assert proxy.seen(path) == proxy.ports, path
    pages = ["/", "/gradio_api/queue/data", "/login"]
    pages += [f"{area}/" for area in AREAS] + [f"{area}/gradio_api/queue/join" for area in AREAS]
    kept = [proxy.seen(path) for path in pages]
    assert len(set.union(*kept)) == 1, "one customer's pages are all with one app"


@pytest.mark.parametrize(
    "path", ["/api/v1/stream", "/gradio_api/queue/stream", "/desk/gradio_api/queue/stream"]
)
def test_an_event_passes_before_the_next_one_is_written(proxy: Proxy, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    connection.request("POST", path, b"{}")
    response = connection.getresponse()
    assert response.readline() == b"event: stage\n"
    for backend in proxy.backends:
        backend.second.set()
    assert b"event: reply" in response.read()
    connection.close()


def test_apps_are_told_who_asks_and_not_what_a_customer_claims(proxy: Proxy) -> None:
    _, told = proxy.ask(
        "GET", "/api/v1/conversations/x", host="shop.example:8443", x_forwarded_for="10.9.8.7",
        x_forwarded_proto="https", x_forwarded_host="evil.example", forwarded="for=10.9.8.7",
    )  # fmt: skip
    headers = told["headers"]
    assert headers["host"] == "shop.example:8443", "origins are compared with it"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert "x-forwarded-host" not in headers
    assert "forwarded" not in headers


def test_bodies_are_bounded_and_documents_have_a_bound_of_their_own(proxy: Proxy) -> None:
    assert proxy.ask("POST", "/api/v1/conversations", b"x" * 1_000_000)[0] == 200, "the app's own"
    large = b"x" * 3_000_000
    assert proxy.ask("POST", "/api/v1/conversations", large)[0] == 413
    status, told = proxy.ask("PUT", "/operator/uploads?name=a.pdf", large)
    assert (status, told["bytes"], told["path"]) == (
        200,
        len(large),
        "/operator/uploads?name=a.pdf",
    )
    most = re.search(r"client_max_body_size (\d+)m;\s+proxy_request_buffering off", CONF)
    assert most
    assert int(most[1]) * 2**20 > KnowledgeSettings().max_file_bytes


def test_nobody_outside_reads_metrics(proxy: Proxy) -> None:
    assert proxy.ask("GET", "/metrics")[0] == 404
    assert proxy.ask("GET", "/metrics?x=1")[0] == 404


def test_a_message_that_meets_a_dead_app_goes_to_the_other_one(proxy: Proxy) -> None:
    proxy.backends[0].shutdown()
    proxy.backends[0].server_close()
    for _ in range(6):
        status, told = proxy.ask("POST", "/api/v1/conversations/x/messages", b"{}")
        assert status == 200
        assert told["port"] == proxy.backends[1].port
    assert proxy.ask("GET", "/")[0] == 200


@pytest.mark.slow
def test_customers_behind_it_lose_nothing_when_an_app_is_killed(tmp_path: Path) -> None:
    apps = [Server(tmp_path, ("-m", "tests.served")) for _ in range(2)]
    for app in apps:
        app.start()
        app.wait()
    killing = threading.Timer(4, apps[0].kill)
    first, second = (app.port for app in apps)
    with started(lambda folder: nginx(folder, first, second), tmp_path) as proxy:
        killing.start()
        command = [
            "-m",
            "benchmarks.load",
            "--json",
            f"--url={proxy.url}",
            "--think=0.2",
        ]
        done = subprocess.run(
            [sys.executable, *command, "--customers=12", "--spread=0.2", "--minutes=0.15"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    killing.join()
    apps[1].kill()
    assert done.returncode == 0, done.stdout or done.stderr
    report = json.loads(done.stdout)
    assert report["lost"] == report["crossed"] == []
    assert report["turns"] > 50
    times = report["all"]
    assert times["sign_of_life"]["p50"] + 20 < times["reply"]["p50"], "replies come in pieces"
