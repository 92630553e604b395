"""Which files the sources name, and where each stands on the web.

A folder is read with everything below it. In an export of a web site, `sitemap.xml` gives the
addresses of the pages that lie beside it; a sitemap named alone stands for those pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, parse

from knowledge.errors import SourceError
from knowledge.formats import format_of
from knowledge.formats.source import stem_of
from knowledge.types import Rejection

_MAX_SITEMAP_BYTES = 50_000_000  # the protocol's own limit, sitemaps.org


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read; `name` is its path in the source without the format's extension."""

    path: Path
    name: str
    url: str = ""


def files_of(sources: Iterable[Path]) -> Iterator[Path]:
    """Files named by sources, folders in a fixed order. Raises SourceError if one is missing."""
    for source in sources:
        if source.is_dir():
            yield from sorted(
                p for p in source.rglob("*") if p.is_file() and not _is_hidden(p, source)
            )
        elif source.is_file():
            yield source
        else:
            raise SourceError(f"{source} does not exist; give an existing file or folder")


def list_files(sources: Iterable[Path]) -> tuple[list[SourceFile], list[Rejection]]:
    """The files to read, each once, and pages that a sitemap lists and nobody has copied.

    Raises SourceError if a source is missing.
    """
    found: dict[Path, SourceFile] = {}
    rejected: list[Rejection] = []
    for source in sources:
        paths = list(files_of([source]))
        pages: dict[Path, str] = {}
        for path in (p for p in paths if format_of(p) == ".xml"):
            try:
                listed, missing = _sitemap_pages(path)
            except ValueError as error:
                rejected.append(Rejection(str(path), str(error)))
                continue
            pages |= listed
            rejected += [
                Rejection(str(path), f"lists {url}, of which there is no copy beside it")
                for url in missing
            ]
        if not source.is_dir():
            paths += pages
        root = source if source.is_dir() else source.parent
        for path in (p for p in paths if format_of(p) != ".xml"):
            if source.is_dir() and not path.resolve().is_relative_to(root.resolve()):
                rejected.append(Rejection(str(path), "is a link out of its folder; copy the file"))
                continue
            name = (path.relative_to(root).parent / stem_of(path)).as_posix()
            found.setdefault(path.resolve(), SourceFile(path, name, pages.get(path, "")))
    return list(found.values()), rejected


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _sitemap_pages(path: Path) -> tuple[dict[Path, str], list[str]]:
    """(local copy -> address, addresses without a copy). Raises ValueError for no sitemap."""
    if path.stat().st_size > _MAX_SITEMAP_BYTES:
        raise ValueError(f"larger than {_MAX_SITEMAP_BYTES:,} bytes, the most a sitemap may have")
    try:
        root: Any = parse(path, forbid_dtd=True).getroot()
    except DefusedXmlException as error:
        raise ValueError("holds XML that declares entities; save it anew") from error
    except ParseError as error:
        raise ValueError(f"is damaged: {error}") from error
    kind = root.tag.rpartition("}")[2]
    if kind not in {"urlset", "sitemapindex"}:
        raise ValueError(f"is XML but no sitemap (<{kind}>); this format is not supported")
    pages: dict[Path, str] = {}
    missing: list[str] = []
    for place in root.iter():
        url = (place.text or "").strip()
        # A sitemap of sitemaps names files that lie beside it and are read themselves.
        if place.tag.rpartition("}")[2] != "loc" or not url or kind == "sitemapindex":
            continue
        copy = _local_copy(path.parent, url)
        if copy:
            pages.setdefault(copy, url)
        else:
            missing.append(url)
    return pages, missing


def _local_copy(folder: Path, url: str) -> Path | None:
    """Where tools that copy sites put a page: by its path, with or without the host."""
    parts = urlsplit(url)
    path = unquote(parts.path).strip("/")
    for stem in (path, f"{parts.netloc}/{path}".rstrip("/")):
        names = (stem, f"{stem}.html", f"{stem}.htm", f"{stem}/index.html", f"{stem}/index.htm")
        for name in names:
            copy = folder / name.strip("/")
            if copy.is_file() and copy.resolve().is_relative_to(folder.resolve()):
                return copy
    return None
