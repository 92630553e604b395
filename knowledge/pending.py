"""What an interrupted refresh had read and embedded already, kept for the next one.

root/pending/
  files.jsonl      a line for each file that was read: its record and documents
  vectors-N.npz    keys and vectors of passages that were embedded
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from knowledge.load import Earlier
from knowledge.types import Document, FileRecord, document_from_json


class Pending:
    """The work of a refresh under way, on disk."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "pending"
        self._files = self.folder / "files.jsonl"

    def keep_file(self, record: FileRecord, documents: Sequence[Document]) -> None:
        """Add a file that was read."""
        self.folder.mkdir(parents=True, exist_ok=True)
        row = {
            "path": record.path,
            "key": record.key,
            "documents": documents,
        }
        with self._files.open("ab") as file:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def keep_vectors(self, encoder: str, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add embedded passages, one row of vectors a key."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = len(list(self.folder.glob("vectors-*.npz")))
        partial = self.folder / f"{os.getpid()}.partial"
        with partial.open("wb") as file:
            np.savez(file, encoder=encoder, keys=np.array(keys), vectors=vectors)
        partial.replace(self.folder / f"vectors-{number}.npz")

    def loaded(self) -> Earlier:
        """The files that were read, with their documents."""
        documents: list[Document] = []
        files: list[FileRecord] = []
        lines = self._files.read_bytes().split(b"\n") if self._files.exists() else []
        for line in lines[:-1]:  # a line that was not ended is half of one
            row = orjson.loads(line)
            found = [document_from_json(d) for d in row["documents"]]
            documents += found
            files.append(FileRecord(row["path"], row["key"], tuple(d.id for d in found)))
        return Earlier.of(documents, files)

    def vectors(self, encoder: str) -> dict[str, NDArray[np.float32]]:
        """The passages that this encoder embedded, by key."""
        known: dict[str, NDArray[np.float32]] = {}
        for path in sorted(self.folder.glob("vectors-*.npz")):
            with np.load(path) as held:
                if str(held["encoder"]) == encoder:
                    known |= zip(map(str, held["keys"]), held["vectors"], strict=True)
        return known

    def clear(self) -> None:
        """Forget it all."""
        shutil.rmtree(self.folder, ignore_errors=True)
