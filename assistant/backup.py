"""A home as one sealed file, and a home made of one.

    sealed( zstd( tar( manifest.json, settings/, home/, database/ )))

A backup is taken while the server runs: databases are copied by their own means, as they stand at
one moment, and no knowledge version is published meanwhile. What can be made anew stays out. The
file is written and read as a stream, so that memory does not grow with the home.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, cast

import zstandard
from sqlalchemy import make_url

from assistant import postgres
from assistant.errors import InputError
from assistant.sealed import MAGIC, Sealer
from assistant.settings import CONVERSATIONS, Settings
from knowledge.errors import VersionError
from knowledge.versions import CatalogueVersions, Versions

FORMAT = 1
MANIFEST, SETTINGS, DUMP = "manifest.json", "settings/frontdesk.toml", "database/dump"
_HOME = "home/"
# What is made anew when it is missing, or belongs to something that was under way.
_FOLDERS_LEFT_OUT = frozenset({"engines", "pending"})
_NAMES_LEFT_OUT = ("*.partial", "*-wal", "*-shm", "*-journal", "*.lock", ".*.partial")
_SUFFIXES_LEFT_OUT = (".partial", ".training", ".checkpoints")
# Read before the folders that they point into: what they name is whole by then, and stays.
_PROMOTED = ("adapters", "product-reranker", "propensity", "recommender")
_POINTERS = tuple(f"{part}/pointer.json" for part in _PROMOTED)
_SQLITE = b"SQLite format 3\0"
_WAIT_SECONDS = 600.0  # for a refresh that runs


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What was written: files of the home, bytes of the backup, and what of the settings was not
    in the home or the file: names in the environment, and paths elsewhere."""

    file: str
    files: int
    bytes: int
    environment: tuple[str, ...]
    elsewhere: tuple[str, ...]
    seconds: float


def back_up(
    settings: Settings, target: Path, passphrase: str, config: Path, environment: Mapping[str, str]
) -> BackupReport:
    """Write a backup of the settings' home to a new file. Raises InputError when there is one
    already, StoreError for a database that cannot be copied, VersionError when a refresh does not
    end."""
    if target.exists():
        raise InputError(f"{target} exists; a backup replaces nothing")
    began, named = time.monotonic(), sorted(n for n in environment if n.startswith("FRONTDESK_"))
    manifest = {
        "format": FORMAT,
        "program": version("frontdesk"),
        "created": time.time(),
        "database": make_url(settings.store_url).get_backend_name(),
        "environment": named,
    }
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file, _unpublished(settings.home):
            sealer = Sealer(file, passphrase)
            packer = zstandard.ZstdCompressor(level=6).stream_writer(
                cast("IO[bytes]", sealer), closefd=False
            )
            with packer, tarfile.open(fileobj=packer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                _add_bytes(tar, MANIFEST, json.dumps(manifest).encode())
                files = _add_all(tar, settings, config, partial)
            sealer.finish()
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    size, seconds = target.stat().st_size, round(time.monotonic() - began, 1)
    elsewhere = tuple(str(p) for p in (settings.golden,) if p)
    return BackupReport(str(target), files, size, tuple(named), elsewhere, seconds)


def _add_all(tar: tarfile.TarFile, settings: Settings, config: Path, partial: Path) -> int:
    """Put everything in; how many files."""
    home, count = settings.home, 0
    if config.is_file():
        _add_file(tar, SETTINGS, config)
    with tempfile.TemporaryDirectory(dir=home, prefix=".backup.", suffix=".partial") as work:
        copy = Path(work) / "copy"
        for path in _chosen(home):
            if _begins(path, _SQLITE):
                _copy_sqlite(path, copy)
                _add_file(tar, _HOME + str(path.relative_to(home)), copy)
            elif path.resolve() != partial.resolve():
                _add_file(tar, _HOME + str(path.relative_to(home)), path)
            count += 1
        url = make_url(settings.store_url)
        if url.get_backend_name() != "sqlite":
            postgres.dump(url, copy)
            _add_file(tar, DUMP, copy)
        elif not (own := Path(str(url.database))).resolve().is_relative_to(home.resolve()):
            _copy_sqlite(own, copy)
            _add_file(tar, _HOME + CONVERSATIONS, copy)
    return count


def _chosen(home: Path) -> Iterator[Path]:
    """The files of a home that a backup holds, the pointers first."""
    whole = {v.part: set(v.complete()) for v in (Versions(home), CatalogueVersions(home))}
    pointers = [home / name for name in _POINTERS if (home / name).is_file()]
    yield from pointers
    for path in sorted(home.rglob("*")):
        inside = path.relative_to(home)
        if path.is_symlink() or not path.is_file() or path in pointers:
            continue
        parts = inside.parts
        if any(p.endswith(_SUFFIXES_LEFT_OUT) for p in parts) or parts[0] in _FOLDERS_LEFT_OUT:
            continue
        if any(path.match(pattern) for pattern in _NAMES_LEFT_OUT) or _begins(path, MAGIC):
            continue
        if parts[:2] == ("knowledge", "pending"):
            continue
        if parts[1:2] == ("versions",) and parts[2] not in whole.get(parts[0], (parts[2],)):
            continue
        yield path


@contextmanager
def _unpublished(home: Path) -> Iterator[None]:
    """Nothing is published meanwhile, once a refresh that runs has ended. Raises VersionError."""
    deadline = time.monotonic() + _WAIT_SECONDS
    waiting = [v for v in (Versions(home), CatalogueVersions(home)) if v.root.is_dir()]
    with ExitStack() as held:
        while waiting:
            try:
                held.enter_context(waiting[0].writing())
                waiting.pop(0)
            except VersionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
        yield


def _copy_sqlite(source: Path, target: Path) -> None:
    """A database as it stands at one moment, whoever writes to it meanwhile."""
    target.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # no log beside it


def _add_file(tar: tarfile.TarFile, name: str, path: Path) -> None:
    """Put a file in, as long as it is now: one that is added to meanwhile is cut there."""
    with path.open("rb") as file:
        entry = tar.gettarinfo(arcname=name, fileobj=file)
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        tar.addfile(entry, file)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    tar.addfile(entry, io.BytesIO(content))


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic
