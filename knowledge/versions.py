"""Versions of the knowledge base and the pointer to the one that is served; of the catalogue too.

home/knowledge/, home/catalogue/
  current            the pointer: name of the published version, replaced atomically
  versions/<name>/   complete when it holds manifest.json (written last); a version that waits to
                     be published holds `prepared`: the name of the one whose place it takes
  refresh.lock       held by the one process that refreshes
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from knowledge.errors import EmptyKnowledge, VersionError
from knowledge.store import MANIFEST, PREPARED
from knowledge.vector_index import Place

log = logging.getLogger(__name__)

_NAME = "%Y%m%d-%H%M%S-%f"  # of a version


class Pointer(Protocol):
    """Says which version is searched."""

    def current_folder(self) -> Path:
        """Folder of the version. Raises EmptyKnowledge."""
        ...


class Pinned:
    """Points to one version, published or not."""

    def __init__(self, versions: Versions, name: str) -> None:
        self._folder = versions.folder_of(name)

    def current_folder(self) -> Path:
        """Its folder."""
        return self._folder


class Versions:
    """The versions in a home folder."""

    part = "knowledge"  # of the home
    _empty = "the knowledge base is empty; run `python -m knowledge refresh SOURCE`"

    def __init__(self, home: Path) -> None:
        self.root = home / self.part
        self.folder = self.root / "versions"
        self.pointer = self.root / "current"

    def current(self) -> str:
        """Name of the published version. Raises EmptyKnowledge when there is none."""
        try:
            return self.pointer.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            raise EmptyKnowledge(self._empty) from None

    def current_folder(self) -> Path:
        """Folder of the published version. Raises EmptyKnowledge."""
        return self.folder / self.current()

    def folder_of(self, name: str) -> Path:
        """Folder of a whole version; `current` is the published one. Raises VersionError."""
        name = self.current() if name == "current" else name
        if name not in self.complete():
            raise VersionError(f"there is no version {name!r}; see `knowledge versions`")
        return self.folder / name

    def new_name(self) -> str:
        """A name that sorts by time, to the microsecond, and after all there are: rollback goes by
        that order, also where the clock has been set back."""
        name, latest = f"{datetime.now(UTC):{_NAME}}", max(self.complete(), default="")
        if name > latest:
            return name
        return f"{datetime.strptime(latest, _NAME) + timedelta(microseconds=1):{_NAME}}"

    def complete(self) -> list[str]:
        """Names of whole versions, oldest first."""
        return sorted(p.parent.name for p in self.folder.glob(f"*/{MANIFEST}"))

    def prepared(self) -> list[str]:
        """Names of whole versions that were never published, oldest first."""
        served = self.served()
        return [n for n in self.complete() if n != served and (self.folder / n / PREPARED).exists()]

    def publish(self, name: str) -> None:
        """Move the pointer to a complete version. Raises VersionError when there is none, or it
        was prepared from another version than the one that is served."""
        if name not in self.complete():
            raise VersionError(f"there is no complete version {name!r}; see `knowledge versions`")
        served = self.served()
        mark = self.folder / name / PREPARED
        if name != served and mark.exists() and (basis := mark.read_text()) != served:
            raise VersionError(
                f"{name} was prepared from {basis or 'an empty knowledge base'}, and another "
                "version is published now; prepare it again"
            )
        if served:  # a kill after its own publish may have left the mark
            (self.folder / served / PREPARED).unlink(missing_ok=True)
        partial = self.root / f"current.{os.getpid()}.partial"
        with partial.open("w") as file:
            file.write(name)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.pointer)
        mark.unlink(missing_ok=True)

    def withdraw(self) -> None:
        """Serve nothing."""
        self.pointer.unlink(missing_ok=True)

    def served(self) -> str:
        """Name of the published version, or nothing."""
        try:
            return self.current()
        except EmptyKnowledge:
            return ""

    def before(self) -> str:
        """The version published before the current one, or nothing."""
        current, prepared = self.served(), self.prepared()
        return max((v for v in self.complete() if v < current and v not in prepared), default="")

    def rollback(self, name: str | None = None) -> str:
        """Publish an earlier version (the one before the current, or `name`); returns its name."""
        with self.writing():
            self.current()
            if name is None and not (name := self.before()):
                raise VersionError("there is no earlier version to go back to")
            self.publish(name)
            return name

    def prune(self, keep: int) -> None:
        """Delete all but the newest `keep` published versions and the newest prepared one."""
        prepared = self.prepared()
        published = [n for n in self.complete() if n not in prepared]
        kept = {*published[-keep:], *prepared[-1:], self.served()}
        try:
            for name in self.complete():
                if name not in kept:
                    self.remove(self.folder / name)
            self.prune_leftovers()
        except VersionError as error:  # its server is away: what is left goes the next time
            log.warning("%s", error)

    def prune_leftovers(self) -> None:
        """Delete what interrupted refreshes have left."""
        complete = set(self.complete())
        for path in self.folder.iterdir():
            if path.name not in complete:
                self.remove(path)

    def remove(self, folder: Path) -> None:
        """Delete a version, or what there is of one, from its server first. Raises VersionError."""
        Place.of(folder).drop()
        shutil.rmtree(folder)

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


class CatalogueVersions(Versions):
    """The versions of the shop's products."""

    part = "catalogue"
    _empty = "there are no products; run `python -m knowledge catalogue FILE`"
