"""Versions of the knowledge base and the pointer to the one that is served.

home/knowledge/
  current            the pointer: name of the published version, replaced atomically
  versions/<name>/   complete when it holds manifest.json (written last)
  refresh.lock       held by the one process that refreshes
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from knowledge.errors import EmptyKnowledge, VersionError
from knowledge.store import MANIFEST


class Versions:
    """The versions in a home folder."""

    def __init__(self, home: Path) -> None:
        self.root = home / "knowledge"
        self.folder = self.root / "versions"
        self.pointer = self.root / "current"

    def current(self) -> str:
        """Name of the published version. Raises EmptyKnowledge when there is none."""
        try:
            return self.pointer.read_text().strip()
        except FileNotFoundError:
            raise EmptyKnowledge(
                "the knowledge base is empty; run `python -m knowledge refresh SOURCE`"
            ) from None

    def current_folder(self) -> Path:
        """Folder of the published version. Raises EmptyKnowledge."""
        return self.folder / self.current()

    def new_name(self) -> str:
        """A name that sorts by time, to the microsecond: rollback goes by that order."""
        return f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"

    def complete(self) -> list[str]:
        """Names of whole versions, oldest first."""
        return sorted(p.parent.name for p in self.folder.glob(f"*/{MANIFEST}"))

    def publish(self, name: str) -> None:
        """Move the pointer to a complete version. Raises VersionError."""
        if name not in self.complete():
            raise VersionError(f"there is no complete version {name!r}; see `knowledge versions`")
        partial = self.root / f"current.{os.getpid()}.partial"
        with partial.open("w") as file:
            file.write(name)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.pointer)

    def rollback(self, name: str | None = None) -> str:
        """Publish an earlier version (the one before the current, or `name`); returns its name."""
        with self.writing():
            if name is None:
                earlier = [v for v in self.complete() if v < self.current()]
                if not earlier:
                    raise VersionError("there is no earlier version to go back to")
                name = earlier[-1]
            self.publish(name)
            return name

    def prune(self, keep: int) -> None:
        """Delete leftovers of interrupted refreshes and all but the newest `keep` versions."""
        complete = self.complete()
        kept = {*complete[-keep:], self.current() if self.pointer.exists() else ""}
        for path in self.folder.iterdir():
            if path.name not in kept:
                shutil.rmtree(path)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer's lock. Raises VersionError when another process has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.root / "refresh.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise VersionError("another refresh is running; wait until it has ended") from None
            yield
