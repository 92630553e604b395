"""What gives a person away in files: names, and words that only they have said."""

from __future__ import annotations

import gzip
import html
import io
import json
import mmap
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from knowledge.formats import format_of

# A name must be so long to be looked for in running text, where "12" stands everywhere; in a field
# that holds ids alone any will do.
_LEAST_NAME = 6
# Shorter words are said by many and tell of nobody: the longest question that the chat page itself
# offers, "How much is express delivery in the UK?", has 39.
_LEAST_TEXT = 40  # bytes of UTF-8: 13 Chinese characters
_FIELDS = ("id", "conversation_id", "customer_id", "customer")
_CHUNK = 8_000_000
_FILLER = b"#"


@dataclass(frozen=True)
class Traces:
    """`names` are ids of conversations and customers, e-mail addresses and order numbers, in any
    case; `texts` what was said."""

    names: frozenset[str]
    texts: frozenset[str]

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        names = (re.escape(f) for n in self.names if len(n) >= _LEAST_NAME for f in _forms(n))
        texts = (re.escape(f) for t in self.texts for f in _forms(t))
        bounded = rb"(?i:(?<![\w@.-])(?:" + (b"|".join(sorted(names)) or b"(?!)") + rb")(?![\w@]))"
        return re.compile(bounded + b"|" + (b"|".join(sorted(texts, key=len)[::-1]) or b"(?!)"))

    def in_text(self, text: str) -> bool:
        """Whether a text tells of the person."""
        return bool(self._pattern.search(text.encode("utf-8", "surrogatepass")))

    def in_row(self, row: Any) -> bool:
        """Whether a value of JSON does, in an id or in its words."""
        if isinstance(row, Mapping):
            named = any(str(row.get(field, "")) in self.names for field in _FIELDS)
            return named or any(map(self.in_row, row.values()))
        if isinstance(row, list | tuple):
            return any(map(self.in_row, row))
        return isinstance(row, str) and self.in_text(row)

    def in_file(self, path: Path) -> bool:
        """Whether a file does, packed or not. Raises OSError."""
        longest = max((len(f) for n in self.names | self.texts for f in _forms(n)), default=0)
        kept = b""
        with closing(_unpacked(path)) as file:
            while chunk := file.read(_CHUNK):
                if self._pattern.search(kept + chunk):
                    return True
                kept = (kept + chunk)[-longest - 1 :]
        return False

    def drop_rows(self, path: Path) -> int:
        """Take the lines that tell of the person out of a file, packed or not, best of JSON Lines;
        how many. A kill at any moment leaves the old file or the new one. Raises OSError."""
        with closing(_unpacked(path)) as lines:
            if not any(map(self._in_line, lines)):
                return 0
        dropped, partial = 0, path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            with closing(_unpacked(path)) as lines, _packing(partial, path.suffix) as out:
                for line in lines:
                    if self._in_line(line):
                        dropped += 1
                    else:
                        out.write(line)
            shutil.copymode(path, partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return dropped

    def overwrite(self, path: Path) -> int:
        """Overwrite what tells of the person in a text that is not packed, in a log the whole line;
        how many places. Nothing moves, so that a process may go on adding to it. Raises OSError."""
        if not path.stat().st_size:
            return 0
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
            places = [m.span() for m in self._pattern.finditer(cast("bytes", content))]
            for start, end in places:
                if is_log(path):
                    start = content.rfind(b"\n", 0, start) + 1
                    end = (content.find(b"\n", end) + 1 or len(content) + 1) - 1
                content[start:end] = _FILLER * (end - start)
            content.flush()
        return len(places)

    def _in_line(self, line: bytes) -> bool:
        try:
            return self.in_row(json.loads(line))
        except ValueError:
            return bool(self._pattern.search(line))


def is_rows(path: Path) -> bool:
    """Whether a file is JSON Lines by its name."""
    return format_of(path) == ".jsonl"


def is_log(path: Path) -> bool:
    """Whether a file is a log by its name, one that was put aside too: server.log.2.gz."""
    return ".log" in path.suffixes


def is_packed(path: Path) -> bool:
    """Whether a file has to be unpacked to be read."""
    return path.suffix in (".gz", ".zst")


def _forms(text: str) -> Iterator[bytes]:
    """A text as files may hold it: as it is, in JSON, in HTML."""
    found = {
        text,
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        html.escape(text),
        " ".join(text.split()),
    }
    return (form.encode("utf-8", "surrogatepass") for form in found)


def _unpacked(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if path.suffix == ".zst":
        return io.BufferedReader(cast("Any", zstandard.open(path, "rb")), _CHUNK)
    return path.open("rb")


def _packing(path: Path, suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "wb"))
    if suffix == ".zst":
        return cast("IO[bytes]", zstandard.open(path, "wb"))
    return path.open("wb")


def long_enough(texts: Iterable[str]) -> frozenset[str]:
    """Of what was said that which is looked for."""
    return frozenset(t.strip() for t in texts if len(t.strip().encode()) >= _LEAST_TEXT)
