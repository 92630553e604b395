"""A file to read: its bytes within limits, what they really are, and the rows made of them."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

COMPRESSIONS = frozenset({".gz", ".zst"})
# First bytes of files that are not text, and what to call them.
_MAGIC = (
    (b"%PDF-", "a PDF", ".pdf"),
    (b"PK\x03\x04", "a zip archive or an Office document", ".docx or .xlsx"),
    (b"\xd0\xcf\x11\xe0", "an encrypted or old (.doc, .xls) Office document", ""),
    (b"\x89PNG", "an image", ""),
    (b"\xff\xd8\xff", "an image", ""),
    (b"GIF8", "an image", ""),
    (b"{\\rtf", "an RTF document", ""),
    (b"\x1f\x8b", "a gzip archive", ".gz"),
    (b"(\xb5/\xfd", "a zstd archive", ".zst"),
)
_HTML = re.compile(r"\A\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
_MAX_ENTRIES = 10_000
_MAX_RATIO = 200  # deflate reaches 1,000 on zeros, and 30 on the wordiest documents
_RATIO_FROM = 10_000_000  # below so many bytes unpacked a high ratio does no harm
_QUESTION = re.compile(
    r"^(?:\*\*)?(?:Q|Question|问|问题)(?:\s*\d+)?\s*[:：.]\s*(.+?)(?:\*\*)?$", re.I
)
_ANSWER = re.compile(
    r"^(?:\*\*)?(?:A|Answer|答|回答)(?:\s*\d+)?(?:\*\*)?\s*[:：.]\s*(?:\*\*)?\s*", re.I
)


def format_of(path: Path) -> str:
    """The extension that names the format, compression left out: `faq.jsonl.gz` -> `.jsonl`."""
    suffixes = [s.casefold() for s in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def stem_of(path: Path) -> str:
    """The file's name without the extensions that name its format."""
    name = path.name
    for suffix in (path.suffix if path.suffix.casefold() in COMPRESSIONS else "", format_of(path)):
        if suffix and name.casefold().endswith(suffix.casefold()):
            name = name[: -len(suffix)]
    return name


def check_size(size: int, max_bytes: int) -> None:
    """Raise ValueError when a file of `size` bytes is larger than it may be."""
    if size > max_bytes:
        raise ValueError(f"larger than {max_bytes:,} bytes (setting knowledge.max_file_bytes)")


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file, decompressed. Raises ValueError when there are more than max_bytes."""
    with path.open("rb") as file:
        if path.suffix == ".gz":
            with gzip.open(file) as stream:
                raw = stream.read(max_bytes + 1)
        elif path.suffix == ".zst":
            decompressor = zstandard.ZstdDecompressor(max_window_size=2**27)
            with decompressor.stream_reader(file) as reader:
                raw = reader.read(max_bytes + 1)
        else:
            raw = file.read(max_bytes + 1)
    check_size(len(raw), max_bytes)
    return raw


def read_text(path: Path, max_bytes: int) -> str:
    """The text of a file, decompressed; at most max_bytes.

    Raises ValueError when it is larger, not UTF-8, or of another kind than text.
    """
    raw = read_bytes(path, max_bytes)
    for magic, kind, extension in _MAGIC:
        if raw.startswith(magic):
            advice = f"; name it {extension}" if extension else "; save it as text"
            raise ValueError(f"is not text but {kind}{advice}")
    if b"\x00" in raw:
        raise ValueError("holds NUL bytes, so it is not a text file")
    return raw.decode("utf-8-sig")


def read_json_lines(path: Path, max_bytes: int) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file. Raises ValueError naming the line that is none."""
    for number, line in enumerate(read_text(path, max_bytes).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number}: not a JSON object")
        yield row


def clean(text: str) -> str:
    """Text with unix line ends, no spaces before them, and none around it."""
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").splitlines()).strip()


def faq_headings(text: str) -> str:
    """Lines as `Q: ...` and `A: ...` made a heading and its text, so that a pair stays whole."""
    lines = text.splitlines()
    if not any(_QUESTION.match(x) for x in lines) or not any(_ANSWER.match(x) for x in lines):
        return text
    return "\n".join(
        f"### {match.group(1)}" if (match := _QUESTION.match(x)) else _ANSWER.sub("", x)
        for x in lines
    )


def _whole(value: Any) -> Any:
    """Text without halves of characters, which no file could hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read. `name` is the id of its document where it gives none itself, `url` where
    it stands on the web, `max_bytes` the most it may hold when it is unpacked."""

    path: Path
    name: str
    max_bytes: int
    url: str = ""

    @property
    def format(self) -> str:
        """See format_of."""
        return format_of(self.path)

    def text(self) -> str:
        """See read_text; also refuses HTML in a file that is named otherwise."""
        text = read_text(self.path, self.max_bytes)
        if self.format not in {".html", ".htm"} and _HTML.match(text[:2000]):
            raise ValueError("is HTML; name it .html")
        return text

    def archive(self, member: str) -> zipfile.ZipFile:
        """The zip archive that an Office document is, checked before anything is unpacked.

        Raises ValueError when it is none, lacks `member`, is encrypted, or unpacks to too much;
        and for XML that declares entities, which expand.
        """
        with self.path.open("rb") as file:
            head = file.read(8)
        if head.startswith(b"\xd0\xcf\x11\xe0"):
            raise ValueError(
                f"is encrypted or in an old format; save it without a password as {self.format}"
            )
        check_size(self.path.stat().st_size, self.max_bytes)
        if not head.startswith(b"PK"):
            raise ValueError(f"is no {self.format} document; check what it really is")
        try:
            archive = zipfile.ZipFile(self.path)
        except zipfile.BadZipFile as error:
            raise ValueError(f"is damaged: {error}; save it again as {self.format}") from error
        entries = archive.infolist()
        unpacked = sum(e.file_size for e in entries)
        packed = sum(e.compress_size for e in entries) or 1
        if any(e.flag_bits & 1 for e in entries):
            raise ValueError("is encrypted; save it without a password")
        if (
            len(entries) > _MAX_ENTRIES
            or unpacked > 4 * self.max_bytes
            or (unpacked > _RATIO_FROM and unpacked / packed > _MAX_RATIO)
        ):
            raise ValueError(f"unpacks to {unpacked:,} bytes in {len(entries):,} files: too much")
        if member not in archive.namelist():
            raise ValueError(f"is a zip archive but no {self.format} document")
        for entry in entries:
            if entry.filename.endswith((".xml", ".rels")):
                with archive.open(entry) as part:
                    if b"<!DOCTYPE" in (start := part.read(65_536)) or b"<!ENTITY" in start:
                        raise ValueError("holds XML that declares entities; save it anew")
        return archive

    def row(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values as a row: text cleaned and required, id and title never empty.

        Raises ValueError without a text.
        """
        row = {k: _whole(v) for k, v in values.items() if v not in (None, "")}
        row["text"] = faq_headings(clean(str(row.get("text", ""))))
        if not row["text"]:
            raise ValueError("has no text")
        row["id"] = str(row.get("id") or self.name)
        row["title"] = " ".join(str(row.get("title") or row["id"]).split())
        row.setdefault("url", self.url)
        return row
