"""Things to do while customers write: commands at given seconds, from a YAML file.

    - at: 30                       # seconds after the first customer comes
      name: kill                   # what the report calls it
      run: kill -9 "$SERVER_PID"   # for bash, in the repository

A command knows PYTHON and, where the load test has started the server itself, FRONTDESK_HOME,
SERVER_PID, SERVER_PORT and SERVER_URL. One that goes on running, such as a server that it has
started again, is ended with the run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.serving import ROOT


@dataclass(frozen=True, slots=True)
class Event:
    """A command and its time."""

    at: float
    name: str
    run: str


def read_events(path: Path) -> list[Event]:
    """The events of a file, in time's order. Raises ValueError for what is none."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: a list of events is needed, each with at, name and run")
    events = []
    for row in rows:
        if set(row) != {"at", "name", "run"}:
            raise ValueError(f"{path}: an event has at, name and run, not {', '.join(row)}")
        events.append(Event(float(row["at"]), str(row["name"]), str(row["run"])))
    return sorted(events, key=lambda event: event.at)


@dataclass
class Doer:
    """Runs events; `done` is what became of them."""

    environment: dict[str, str] = field(default_factory=dict)
    done: list[dict[str, Any]] = field(default_factory=list)
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def do(self, event: Event) -> None:
        """Run it to its end; what it writes goes to stderr."""
        report: dict[str, Any] = {"at": event.at, "name": event.name, "result": "still running"}
        self.done.append(report)
        began = time.monotonic()
        process = subprocess.Popen(
            ["bash", "-c", event.run], cwd=ROOT, start_new_session=True, stdout=sys.stderr,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHON": sys.executable, "HF_HUB_OFFLINE": "1"} | self.environment,
        )  # fmt: skip
        self._running.append(process)
        code = process.wait()
        report["result"] = "done" if code == 0 else f"failed with {code}"
        report["seconds"] = round(time.monotonic() - began, 1)

    @property
    def failures(self) -> int:
        """Commands that ended with another code than 0."""
        return sum(one["result"].startswith("failed") for one in self.done)

    def close(self) -> None:
        """End what still runs, with what it has started."""
        for process in self._running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
