"""The promoted models of one kind in a home, and which one is served.

home/<part>/
  <name>/        a promoted model, with its manifest.json
  pointer.json   names in order of promotion, the served one last; replaced atomically
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from knowledge.digests import file_digest
from knowledge.errors import KnowledgeError

MANIFEST = "manifest.json"
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class PromotedModels(Generic[M]):
    """See the module. `noun` is what people call such a model, `read` gives the manifest of a whole
    folder, `gate` lets it pass; both raise `error` with what repairs it."""

    folder: Path
    noun: str
    read: Callable[[Path], M]
    gate: Callable[[M], None]
    error: type[KnowledgeError]

    @property
    def pointer(self) -> Path:
        """The file that says what is served."""
        return self.folder / "pointer.json"

    def current(self) -> Path | None:
        """Folder of the served model, or None. Before models were promoted one stood in the folder
        itself: it is served until another one is promoted."""
        if names := self._names():
            return self.folder / names[-1]
        return self.folder if (self.folder / MANIFEST).is_file() else None

    def promote(self, source: Path) -> str:
        """Copy a model in and serve it; returns its name. Raises `error` for one that is damaged,
        or that the gate does not let pass."""
        if source.resolve() == self.folder.resolve():
            raise self.error(f"{source} is where the promoted ones are; train into another folder")
        self.gate(self.read(source))
        # The manifest has the digests of all else.
        suffix = f"-{file_digest(source / MANIFEST)[:12]}"
        name = source.resolve().name.removesuffix(suffix) + suffix
        if not (self.folder / name).exists():
            partial = self.folder / f".{name}.{os.getpid()}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(source, partial)
            partial.replace(self.folder / name)
        self._point([*(n for n in self._names() if n != name), name])
        return name

    def rollback(self) -> str | None:
        """Serve the model promoted before; None: none is served. Raises `error` when none is
        promoted."""
        names = self._names()
        if not names:
            raise self.error(f"no {self.noun} is promoted, so nothing can be rolled back")
        self._point(names[:-1])
        current = self.current()
        return current.name if current else None

    def _names(self) -> list[str]:
        try:
            held = json.loads(self.pointer.read_text(encoding="utf-8"))
            return [str(name) for name in held["promoted"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise self.error(
                f"{self.pointer} is damaged; restore it from a backup, or remove it and promote a"
                f" {self.noun} again"
            ) from error

    def _point(self, names: list[str]) -> None:
        partial = self.pointer.with_name(f"{self.pointer.name}.{os.getpid()}.partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump({"promoted": names}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.pointer)
