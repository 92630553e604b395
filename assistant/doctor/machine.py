"""Checks of what Frontdesk stands on: Python, packages, the home folder and the clock."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from sqlalchemy import func, select

from assistant import tables
from assistant.doctor.contents import reading
from assistant.doctor.findings import Finding, broken, ok, warning
from assistant.settings import Settings
from knowledge.versions import Versions

_LEAST_PYTHON = (3, 11)
_PROJECT = Path(__file__).parent.parent.parent / "pyproject.toml"
_AHEAD_SECONDS = 120.0  # by which clocks of machines that share a database may differ
_FORMAT = "%Y%m%d-%H%M%S"  # of a version's name, but for its microseconds


class Python:
    """The interpreter."""

    name = "python"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        found = platform.python_version()
        if sys.version_info >= _LEAST_PYTHON:
            yield ok(found)
        else:
            wanted = ".".join(map(str, _LEAST_PYTHON))
            yield broken(f"{found} is too old", f"run it with Python {wanted} or newer")


class Packages:
    """The libraries that the package declares, with the extras that the settings need."""

    name = "packages"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        missing, others, count = [], [], 0
        extras = wanted_extras(settings)
        for requirement in declared(extras):
            count += 1
            try:
                found = version(requirement.name)
            except PackageNotFoundError:
                missing.append(str(requirement))
                continue
            if not requirement.specifier.contains(found, prereleases=True):
                others.append(f"{requirement.name} {found} ({requirement.specifier} is needed)")
        named = f"[{','.join(sorted(extras))}]" if extras else ""
        repair = f"pip install 'frontdesk{named}', or from deploy/requirements.lock"
        if missing:
            yield broken(f"not installed: {', '.join(missing)}", repair)
        if others:
            yield broken(f"another version: {', '.join(others)}", repair)
        if not missing and not others:
            yield ok(f"{count} libraries, as declared")


def wanted_extras(settings: Settings) -> frozenset[str]:
    """The extras that the settings need."""
    found = {
        "postgres": settings.store.url.startswith("postgres"),
        "oidc": bool(settings.oidc.discovery),
        "redis": bool(settings.shared.redis),
        "ray": settings.knowledge.embedding == "ray",
        "otel": settings.observability.traces,
        "fast": settings.model.engine == "ctranslate2-int8",
    }
    return frozenset(name for name, wanted in found.items() if wanted)


def declared(extras: frozenset[str]) -> Iterator[Requirement]:
    """What the installed package asks for on this machine, or this clone where none is."""
    try:
        lines = [Requirement(line) for line in requires("frontdesk") or ()]
    except PackageNotFoundError:
        project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
        lines = [Requirement(line) for line in project["dependencies"]]
        lines += [Requirement(li) for e in extras for li in project["optional-dependencies"][e]]
    for line in lines:
        marker = line.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            yield line


class Home:
    """The folder that holds all state."""

    name = "home"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        home = settings.home
        standing = next(p for p in (home.absolute(), *home.absolute().parents) if p.exists())
        if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
            yield broken(
                f"{standing} cannot be written",
                "give the server's user the folder, or name another with --home",
            )
            return
        yield ok(str(home) if home.is_dir() else f"{home} will be made at the first start")
        free, least = shutil.disk_usage(standing).free, settings.health.least_free_bytes
        if free < least:
            yield broken(f"{_size(free)} are free", f"free at least {_size(least)}")
        elif free < 10 * least:
            yield warning(f"{_size(free)} are free", "a refresh may not find room; free some space")
        else:
            yield ok(f"{_size(free)} are free")


class Clock:
    """Whether the time is later than all that is written down."""

    name = "clock"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        now, shown = time.time(), f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        written = {
            "this program was installed": Path(__file__).stat().st_mtime,
            "a conversation was used": self._conversations(settings),
            "a version was published": self._version(settings),
        }
        later = [what for what, when in written.items() if when > now + _AHEAD_SECONDS]
        if later:
            yield broken(
                f"it is {shown}, and {' and '.join(later)} after that",
                "set the clock (timedatectl set-ntp true); what expires and who waits go by it",
            )
        else:
            yield ok(shown)

    @staticmethod
    def _conversations(settings: Settings) -> float:
        with reading(settings) as connection:
            if connection is None:
                return 0.0
            return float(connection.scalar(select(func.max(tables.conversations.c.updated))) or 0)

    @staticmethod
    def _version(settings: Settings) -> float:
        served = Versions(settings.home).served().rpartition("-")[0]
        try:
            return datetime.strptime(served, _FORMAT).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return 0.0


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
