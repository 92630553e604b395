"""The engines that a large shop has, each a real server of its own, for benchmarks and tests.

They listen on 127.0.0.1, keep what they hold in a folder that goes with them, and can be stopped
and started again on their port.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import httpx

from benchmarks.serving import ROOT

_START_SECONDS = 120
_NGINX = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/frontdesk.conf;
}}
"""
_USERS = ("postgres", "nobody")  # PostgreSQL refuses to run as root


class MissingEngine(Exception):
    """A program that is not installed here, or cannot run."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str) -> str:
    """Where a program is: beside this Python, or on the path. Raises MissingEngine."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise MissingEngine(f"{name} is not installed")
    return found


@dataclass
class Engine:
    """A server: `command` starts it, and its port answers when it is ready, or the page `ready`."""

    command: Sequence[str]
    port: int
    folder: Path
    scheme: str = "http"
    environment: dict[str, str] = field(default_factory=dict)
    ready: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of its process; 0 while it is stopped."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it, and wait until it listens. Raises MissingEngine where it does not come up."""
        with (self.folder / f"{self.port}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | self.environment, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / f"{self.port}.log").read_text(errors="replace")
                self.stop()
                raise MissingEngine(f"{self.command[0]} does not start: {said[-300:]}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            if self.ready:
                return httpx.get(self.url + self.ready, trust_env=False).status_code == 200
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except (OSError, httpx.HTTPError):
            return False
        return True

    def stop(self) -> None:
        """Kill it, with what it has started."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def running(engine: Engine) -> Iterator[Engine]:
    """The engine, started, and stopped at the end."""
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def redis(folder: Path) -> Engine:
    """A Redis that keeps nothing on the disk. Raises MissingEngine."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    return Engine([program("redis-server"), *options], port, folder, "redis")


def chroma(folder: Path) -> Engine:
    """A Chroma server over files in a folder. Raises MissingEngine."""
    port = free_port()
    options = ["--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"ANONYMIZED_TELEMETRY": "False"}
    return Engine([program("chroma"), "run", *options], port, folder, environment=quiet)


@contextmanager
def postgres() -> Iterator[Engine]:
    """A PostgreSQL with a cluster of its own; its databases are made with `create`. Raises
    MissingEngine."""
    for name in ("initdb", "postgres"):
        program(name)
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    try:
        prefix = _as_another(folder)
        data, port = folder / "data", free_port()
        options = ["-D", str(data), "-U", "shop", "-A", "trust", "-E", "UTF8"]
        made = subprocess.run(
            [*prefix, program("initdb"), *options],
            cwd="/", capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        if made.returncode:
            raise MissingEngine(f"initdb failed: {made.stderr.decode(errors='replace')[-300:]}")
        options = ["-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1"]
        command = [*prefix, program("postgres"), "-D", str(data), *options, "-c", "fsync=off"]
        with running(Engine(command, port, folder, "postgresql")) as engine:
            yield engine
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create(server: Engine, name: str) -> str:
    """A new, empty database of a PostgreSQL; its URL."""
    import psycopg

    url = f"postgresql://shop@127.0.0.1:{server.port}"
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{name}"'.encode())
            return f"{url}/{name}"
        except psycopg.OperationalError:  # it listens before it is ready
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _as_another(folder: Path) -> list[str]:
    """What has a command run as somebody who may run the server; the folder is theirs."""
    if os.getuid():
        return []
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next((u for u in _USERS if u in known), None)
    if user is None or shutil.which("setpriv") is None:
        raise MissingEngine("PostgreSQL refuses to run as root, and there is nobody else to run it")
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]


def nginx(folder: Path, first: int, second: int) -> Engine:
    """nginx with deploy/nginx.conf before the apps at two ports. Raises MissingEngine."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingEngine("nginx is not installed")
    port = free_port()
    conf = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    conf = conf.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    conf = conf.replace("server app:7860", f"server 127.0.0.1:{first}")
    conf = conf.replace("server app-2:7860", f"server 127.0.0.1:{second}")
    (folder / "frontdesk.conf").write_text(conf)
    # Workers of root's would be another user, who may not open the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(_NGINX.format(folder=folder, user=user))
    errors = str(folder / "error.log")
    return Engine([found, "-e", errors, "-p", str(folder), "-c", str(main)], port, folder)


def transformers_serve(folder: Path, model: Path, threads: int = 1) -> Engine:
    """`transformers serve` with a model's folder in 4 bits. Raises MissingEngine."""
    for module in ("openai", "transformers.cli.serving.completion"):
        try:
            import_module(module)
        except ImportError as error:
            raise MissingEngine("pip install 'transformers[serving]'") from error
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    options += ["--dtype", "float32", "--quantization", "bnb-4bit"]
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)}
    command = [program("transformers"), "serve", str(model), *options]
    return Engine(command, port, folder, environment=quiet, ready="/health")
