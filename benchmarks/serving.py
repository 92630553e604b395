"""A real server in a process of its own, over a home with the demo shop: started, killed, and
started again at the same address."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
DOCUMENTS = ROOT / "assistant" / "demo" / "shop" / "documents"
_READY_SECONDS = 300


def make_home(
    home: Path,
    sources: Iterable[Path] = (DOCUMENTS,),
    environment: Mapping[str, str] | None = None,
) -> None:
    """Give a home documents, and the demo shop's orders and products, unless it has them."""
    at_home, own = ("--home", str(home)), environment or {}
    if not (home / "knowledge" / "current").exists():
        _run("-m", "knowledge", "refresh", *map(str, sources), *at_home, environment=own)
    if not (home / "records.sqlite").exists():
        _run("-m", "assistant.demo", *at_home)
    if not (home / "catalogue" / "current").exists():
        goods = home / "goods.jsonl"
        _run("-m", "assistant.demo", "--goods", str(goods))
        _run("-m", "knowledge", "catalogue", str(goods), *at_home, environment=own)


def refresh(home: Path, *sources: Path) -> None:
    """Publish sources. Raises RuntimeError."""
    _run("-m", "knowledge", "refresh", *map(str, sources), "--home", str(home))


def read_orders(home: Path) -> list[tuple[str, str]]:
    """(number, e-mail address) of the demo shop's orders, if the home has them."""
    if not (home / "records.sqlite").is_file():
        return []
    query = "SELECT number, email FROM orders JOIN customers ON customer_id = customers.id"
    with closing(sqlite3.connect(home / "records.sqlite")) as connection:
        return connection.execute(query).fetchall()


class Server:
    """A program in a folder that serves a home, with more of an environment where one is given;
    `log` is all that it writes, `troubles` what of it is an error or a traceback."""

    def __init__(
        self,
        home: Path,
        program: Sequence[str] = ("app.py",),
        environment: Mapping[str, str] | None = None,
        folder: Path = ROOT,
    ) -> None:
        self.folder = folder
        self.home = home
        self.program = program
        self.environment = {"HF_HUB_OFFLINE": "1"} | dict(environment or {})
        self.port = 0
        self.log: list[str] = []
        self.troubles: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [
            sys.executable,
            *self.program,
            "--home",
            str(self.home),
            "--port",
            str(self.port),
        ]
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=os.environ | self.environment, stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        self.log.clear()
        for line in self.process.stdout:
            self.log.append(line)
            if match := re.search(r"answers at http://[\d.]+:(\d+)", line):
                self.port = int(match[1])
                break
        else:
            raise RuntimeError("the server did not start:\n" + "".join(self.log[-20:]))
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def wait(self) -> None:
        """Until the models are warm. Raises RuntimeError."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=30).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise RuntimeError("the server did not get ready")

    def kill(self) -> None:
        """SIGKILL: nothing can be put in order."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def megabytes(self) -> float:
        """Resident memory."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self.log.append(line)
            if " ERROR " in line or line.startswith("Traceback"):
                self.troubles.append(line.strip())


@contextmanager
def served(home: Path | None, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A warm server over a home, by default one of its own, until the end."""
    with tempfile.TemporaryDirectory() as folder:
        make_home(home or Path(folder))
        server = Server(home or Path(folder), environment=environment)
        try:
            server.start()
            server.wait()
            yield server
        finally:
            server.kill()


def _run(*arguments: str, environment: Mapping[str, str] | None = None) -> None:
    own = os.environ | {"HF_HUB_OFFLINE": "1"} | dict(environment or {})
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=own, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()[-500:]}")
