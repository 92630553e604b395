"""PDF: lines by their place on the page, headings by the size of their type, aligned tables."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import hypot
from typing import Any

from knowledge.formats.source import Source, check_size
from knowledge.formats.table import markdown_table
from knowledge.segment import is_cjk

_HEADING_RATIO = 1.15  # of the size that most characters have
_MAX_HEADING = 90
_SAME_COLUMN = 3.0  # points
_TABLE_ROWS = 3
_RUNNING_SHARE = 0.6  # of the pages: a line at so many tops or bottoms is a header or footer
_SCANNED = 20  # characters a page, at least, unless it is an image of text
_UNSEEN_SIZE = 1.5  # points
_BULLETS = tuple("-–•*·●▪")
_SENTENCE_END = tuple(".!?:;。！？：；")
_INVISIBLE = 3  # text rendering mode, ISO 32000-1, table 106


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that one operator draws; coordinates and size in points."""

    text: str
    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True)
class Line:
    """Pieces on one height, from left to right."""

    cells: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The line as it reads."""
        return " ".join(" ".join(c.text.split()) for c in self.cells).strip()

    @property
    def size(self) -> float:
        """Type size of most of it."""
        return max(self.cells, key=lambda c: len(c.text)).size


def from_pdf(source: Source) -> Iterator[dict[str, Any]]:
    """One document. Raises ValueError for an encrypted, damaged, or merely scanned file."""
    with source.path.open("rb") as file:
        if b"%PDF-" not in file.read(1024):
            raise ValueError("is no PDF; check what it really is")
    check_size(source.path.stat().st_size, source.max_bytes)
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(source.path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise ValueError("is encrypted; save it without a password")
        pages = [_page(page) for page in reader.pages]
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except DependencyError as error:
        raise ValueError("is encrypted; save it without a password") from error
    except (PyPdfError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(f"is damaged: {error}") from error
    lines = [lines for lines, _, _ in pages]
    length = sum(len(line.text) for page in lines for line in page)
    if length < _SCANNED * len(pages) and any(image for _, _, image in pages):
        raise ValueError("holds only images of text; run text recognition (OCR) over it first")
    hidden = "\n".join(text for _, unseen, _ in pages for text in unseen)
    heading, text = _as_markdown(_without_running_lines(lines))
    yield source.row({"title": title.strip() or heading, "text": text, "hidden": hidden})


def _page(page: Any) -> tuple[list[Line], list[str], bool]:
    """(lines from top to bottom, texts that are drawn but not seen, whether it has an image)."""
    pieces: list[Piece] = []
    unseen: list[str] = []
    mode = 0
    image = _has_image(page)

    def before(operator: bytes, operands: Sequence[Any], *_: Any) -> None:
        nonlocal mode
        if operator == b"Tr" and operands:
            mode = int(operands[0])

    def visit(text: str, cm: Any, tm: Any, _font: Any, size: float) -> None:
        if not text.strip():
            return
        height = abs(float(size)) * hypot(tm[2], tm[3]) * hypot(cm[2], cm[3])
        x = tm[4] * cm[0] + tm[5] * cm[2] + cm[4]
        y = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
        # Over an image, invisible text is what text recognition has read in it.
        if height < _UNSEEN_SIZE or (mode == _INVISIBLE and not image):
            unseen.append(" ".join(text.split()))
        else:
            pieces.append(Piece(text.strip("\n"), x, y, round(height, 1)))

    page.extract_text(visitor_operand_before=before, visitor_text=visit)
    return _lines(pieces), unseen, image


def _has_image(page: Any) -> bool:
    resources = page.get("/Resources")
    objects = resources.get_object().get("/XObject") if resources else None
    if not objects:
        return False
    return any(o.get_object().get("/Subtype") == "/Image" for o in objects.get_object().values())


def _lines(pieces: Sequence[Piece]) -> list[Line]:
    """Pieces in lines; those within half their size of each other's height share one."""
    lines: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda p: (-p.y, p.x)):
        if lines and abs(lines[-1][0].y - piece.y) < piece.size / 2:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [Line(tuple(sorted(line, key=lambda p: p.x))) for line in lines]


def _without_running_lines(pages: Sequence[Sequence[Line]]) -> list[Line]:
    """All lines, less headers, footers and page numbers that return on most pages."""

    def key(line: Line) -> str:
        return "".join(c for c in line.text if not c.isdigit())

    edges = Counter(key(line) for page in pages for line in {*page[:2], *page[-2:]})
    often = max(3, round(_RUNNING_SHARE * len(pages)))
    running = {k for k, count in edges.items() if count >= often}
    return [line for page in pages for line in page if key(line) not in running]


def _as_markdown(lines: Sequence[Line]) -> tuple[str, str]:
    """(the largest heading, text): headings, tables, and paragraphs of joined lines."""
    sizes = Counter[float]()
    for line in lines:
        sizes[line.size] += len(line.text)
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    levels = sorted({ln.size for ln in lines if _is_heading(ln, body)}, reverse=True)
    title = next((ln.text for ln in lines if levels and ln.size == levels[0]), "")
    out: list[str] = []
    for in_table, group in groupby(_marked_tables(lines), key=lambda pair: pair[1]):
        block = [line for line, _ in group]
        if in_table:
            out += ["", *markdown_table([[c.text for c in ln.cells] for ln in block]), ""]
            continue
        for line in block:
            if _is_heading(line, body):
                out += ["", f"{'#' * (1 + levels.index(line.size))} {line.text}", ""]
            else:
                _append(out, line.text)
    return title, "\n".join(out)


def _is_heading(line: Line, body: float) -> bool:
    return line.size >= _HEADING_RATIO * body and len(line.text) <= _MAX_HEADING


def _append(out: list[str], text: str) -> None:
    """Add a line to the paragraph before it, unless that has ended or the line begins an item."""
    before = out[-1] if out else ""
    if text.startswith(_BULLETS):
        out.append(f"- {text[1:].strip()}")
    elif not before or before.startswith(("#", "|")) or before.endswith(_SENTENCE_END):
        out.append(text)
    elif before.endswith("-") and text[:1].islower():
        out[-1] = before[:-1] + text
    else:
        out[-1] = before + ("" if is_cjk(before[-1:] + text[:1]) else " ") + text


def _marked_tables(lines: Sequence[Line]) -> list[tuple[Line, bool]]:
    """Each line with whether it belongs to three or more whose columns begin at the same places."""
    marked = [False] * len(lines)
    start = 0
    for n in range(1, len(lines) + 1):
        if n == len(lines) or not _aligned(lines[start], lines[n]):
            if n - start >= _TABLE_ROWS:
                marked[start:n] = [True] * (n - start)
            start = n
    return list(zip(lines, marked, strict=True))


def _aligned(one: Line, other: Line) -> bool:
    return len(one.cells) == len(other.cells) > 1 and all(
        abs(a.x - b.x) < _SAME_COLUMN for a, b in zip(one.cells, other.cells, strict=True)
    )
