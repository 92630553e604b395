"""A home made of a backup: unpacked beside its place, verified to the last byte, then moved in."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
import time
from contextlib import closing
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import zstandard
from sqlalchemy import make_url

from assistant import postgres
from assistant.backup import DUMP, FORMAT, MANIFEST, SETTINGS
from assistant.errors import InputError, StoreError
from assistant.sealed import PART, Opener, SealError
from assistant.settings import CONVERSATIONS
from knowledge.versions import CatalogueVersions, Versions

_LARGEST_WINDOW = 1 << 27


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was made: the home, how many files it has, when they were backed up (seconds since
    1970), the settings file among them or "", what was set in the environment then, and where the
    home that was there before is now, or ""."""

    home: str
    files: int
    created: float
    settings: str
    environment: tuple[str, ...]
    before: str
    seconds: float


def restore(
    file: Path, home: Path, passphrase: str, url: str = "", replace: bool = False
) -> RestoreReport:
    """Make a home of a backup, and fill the empty database `url` where it was PostgreSQL's.

    Nothing is touched before the whole file is verified; with `replace` a home that is there is
    moved aside. Raises SealError, InputError, StoreError.
    """
    began = time.monotonic()
    if not replace and home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise InputError(f"{home} is not empty; give another --home, or --replace to move it aside")
    home = home.resolve()
    home.parent.mkdir(parents=True, exist_ok=True)
    staged = home.with_name(f"{home.name}.{os.getpid()}.partial")
    staged.mkdir(mode=0o700)
    try:
        manifest, files = _unpack(file, passphrase, staged)
        _verify(staged, manifest, url)
        if manifest["database"] != "sqlite":
            postgres.restore(staged / DUMP, make_url(url))
            shutil.rmtree((staged / DUMP).parent)
        before = _move_in(staged, home)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    own = home / Path(SETTINGS).name
    return RestoreReport(
        home=str(home),
        files=files,
        created=float(manifest["created"]),
        settings=str(own) if own.is_file() else "",
        environment=tuple(manifest["environment"]),
        before=before,
        seconds=round(time.monotonic() - began, 1),
    )


def _unpack(file: Path, passphrase: str, staged: Path) -> tuple[dict[str, Any], int]:
    """(the manifest, how many files of the home) of a backup. Raises SealError."""
    manifest: dict[str, Any] = {}
    files = 0
    try:
        with file.open("rb") as raw:
            opened = BufferedReader(cast("Any", Opener(raw, passphrase)), PART)
            unpacker = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
            with unpacker.stream_reader(opened, closefd=False) as reader:
                with tarfile.open(fileobj=reader, mode="r|") as tar:
                    for entry in tar:
                        if entry.name == MANIFEST:
                            manifest = _checked(tar, entry)
                            continue
                        place, _, inside = entry.name.partition("/")
                        files += place == "home"
                        entry.name = {"home": inside, "settings": inside}.get(place, entry.name)
                        tar.extract(entry, staged, filter="data")
                while reader.read(PART):
                    pass
            while opened.read(PART):  # to the mark of the end, behind which nothing may stand
                pass
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from error
    except (tarfile.TarError, zstandard.ZstdError) as error:
        raise SealError(f"{file} was sealed whole, but holds no home: {error}") from error
    return manifest, files


def _checked(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> dict[str, Any]:
    content = tar.extractfile(entry)
    assert content is not None
    manifest: dict[str, Any] = json.loads(content.read())
    if manifest["format"] > FORMAT:
        raise InputError(f"this backup is of Frontdesk {manifest['program']}; restore it with that")
    return manifest


def _verify(staged: Path, manifest: dict[str, Any], url: str) -> None:
    """Raise unless the parts go together and can be put where they belong."""
    if not manifest:
        raise SealError("the backup has no manifest")
    if (staged / CONVERSATIONS).is_file():
        with closing(sqlite3.connect(staged / CONVERSATIONS)) as connection:
            told = connection.execute("PRAGMA quick_check").fetchone()[0]
        if told != "ok":
            raise StoreError(f"the database in the backup is damaged: {told}")
    for versions in (Versions(staged), CatalogueVersions(staged)):
        if (served := versions.served()) and served not in versions.complete():
            raise StoreError(f"the backup lacks the published version {served}")
    if manifest["database"] == "sqlite":
        return
    if not url:
        raise InputError("the conversations were in PostgreSQL: give an empty database, --database")
    if not postgres.is_empty(make_url(url)):
        raise InputError("the database has tables already; give an empty one")


def _move_in(staged: Path, home: Path) -> str:
    """Put a home into its place; where the one that was there is now, or ""."""
    before = ""
    if home.exists() and any(home.iterdir()):
        aside = home.with_name(f"{home.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
        home.rename(aside)
        before = str(aside)
    staged.rename(home)
    return before
