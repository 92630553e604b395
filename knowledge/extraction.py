"""Read files in a child process: what a file does to its parser stays there.

The child has a bounded memory, no secrets in its environment and may write no file; it is killed
when a file takes too long (OWASP: decompression bombs; a 1 GB expansion took 17 GB elsewhere).
Parent and child exchange JSON: what a parser was made to send is never executed.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from knowledge.errors import SourceError

_START_SECONDS = 60.0
_SAFE_ENVIRONMENT = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may take: bytes (of the file, unpacked), seconds, bytes of memory."""

    file_bytes: int = 50_000_000
    seconds: float = 60.0
    memory_bytes: int = 1_500_000_000


class Extractor:
    """Reads files in a child that starts with the first one; use it in a `with` block."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self._link: Connection | None = None

    def rows(self, path: Path, name: str, url: str = "") -> list[dict[str, Any]]:
        """Rows of a file, see `knowledge.formats`. Raises ValueError that says why there are none,
        SourceError when no child can be started."""
        link = self._link or self._started()
        request = {"path": str(path), "name": name, "url": url}
        try:
            link.send_bytes(json.dumps(request).encode())
            if not link.poll(self.limits.seconds):
                self.close()
                raise ValueError(f"takes longer than {self.limits.seconds:g} s to read")
            answer = json.loads(link.recv_bytes())
        except (EOFError, OSError) as error:
            self.close()
            raise ValueError("brought down its reader; it is damaged or made to do harm") from error
        except BaseException:
            self.close()
            raise
        if answer.get("spent"):
            self.close()
        if "reason" in answer:
            raise ValueError(answer["reason"])
        rows: list[dict[str, Any]] = answer["rows"]
        return rows

    def _started(self) -> Connection:
        ours, theirs = Pipe()
        limits = (self.limits.file_bytes, self.limits.memory_bytes)
        command = [sys.executable, "-m", __name__, *map(str, (theirs.fileno(), *limits))]
        environment = {k: os.environ[k] for k in _SAFE_ENVIRONMENT if k in os.environ}
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=environment | threads,
        )
        theirs.close()
        self._link = ours
        try:
            ready = ours.poll(_START_SECONDS) and ours.recv_bytes() == b"ready"
        except EOFError:
            ready = False
        if not ready:
            self.close()
            raise SourceError("the process that reads files does not start; is the disk full?")
        return ours

    def close(self) -> None:
        """Kill the child."""
        if self._child:
            self._child.kill()
            self._child.wait()
        if self._link:
            self._link.close()
        self._child = self._link = None

    def __enter__(self) -> Extractor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def reason_of(error: BaseException) -> str:
    """Why a file cannot be read, in one line."""
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 text (byte {error.start}); save it as UTF-8"
    return " ".join(str(error).split())[:300] or type(error).__name__


def _serve(link: Connection, max_bytes: int) -> None:
    """Answer requests until the parent has gone or memory has run out."""
    from knowledge.formats import Source, read_rows

    link.send_bytes(b"ready")
    while True:
        try:
            request = json.loads(link.recv_bytes())
        except EOFError:
            return
        source = Source(Path(request["path"]), request["name"], max_bytes, request["url"])
        answer: dict[str, Any]
        try:
            answer = {"rows": list(read_rows(source))}
            packed = json.dumps(answer, default=str).encode()
        except MemoryError:
            packed = b'{"reason": "needs too much memory to read", "spent": true}'
        except Exception as error:  # whatever a parser throws at a file is the file's fault
            packed = json.dumps({"reason": reason_of(error)}).encode()
        link.send_bytes(packed)


def _confine(memory_bytes: int) -> None:
    """Bound this process's memory, and let it write no file. Does nothing where it is unknown."""
    with contextlib.suppress(ImportError):
        import resource

        for kind, most in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_FSIZE, 0)):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    _confine(int(sys.argv[3]))
    _serve(Connection(int(sys.argv[1])), int(sys.argv[2]))
