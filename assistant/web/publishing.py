"""Compare, publish and undo: the operators' side of the knowledge base's versions.

A comparison prepares the new version, in a process of its own, so the served one is never touched
and answering goes on. Publishing moves the pointer to what was looked at.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from assistant.audit import AuditQuery, AuditTrail
from assistant.conversations import Conversations
from assistant.settings import Settings
from assistant.web.uploads import Upload, Uploads
from knowledge.diff import DocumentChange, compare
from knowledge.errors import KnowledgeError
from knowledge.quarantine import Quarantine
from knowledge.store import MANIFEST
from knowledge.versions import Versions

log = logging.getLogger(__name__)
Kind = Literal["preview", "publish"]
COMMAND = (sys.executable, "-m", "knowledge")
# A refresh that hangs must not keep the operators out for ever.
_LONGEST_SECONDS = 4 * 3600
_PUBLISHED = AuditQuery(whats=("publish",))
_PUBLICATIONS = 1000  # that are searched for who made a version


@dataclass(frozen=True, slots=True)
class Basis:
    """What a comparison was made from: the published version, and the documents uploaded."""

    version: str
    uploads: tuple[Upload, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A comparison or a publication; it runs until it has a report or an error."""

    kind: Kind
    who: str
    started: float
    basis: Basis
    report: Mapping[str, Any] | None = None
    differences: tuple[DocumentChange, ...] = ()
    error: str = ""

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.report is None and not self.error


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the knowledge base; `who` is empty when the command line made it."""

    name: str
    created: float
    documents: int
    passages: int
    added: int
    changed: int
    removed: int
    who: str
    current: bool


class Publisher:
    """Runs one comparison or publication at a time and remembers the last one."""

    def __init__(
        self,
        settings: Settings,
        uploads: Uploads,
        audit: Conversations,
        command: Sequence[str] = (),
    ) -> None:
        self.home = settings.home.resolve()
        self.uploads = uploads
        self.versions = Versions(self.home)
        self.audit = audit
        self.last: Run | None = None
        self._command = tuple(command or COMMAND)
        self._environment = _environment(settings)
        self._lock = threading.Lock()

    def basis(self) -> Basis:
        """What a comparison made now would start from."""
        return Basis(self.versions.served(), self.uploads.all())

    def reviewed(self) -> bool:
        """Whether an operator has seen what publishing would change, and that is something."""
        last = self.last
        if last is None or last.kind != "preview" or last.report is None:
            return False
        waiting = last.report.get("version") in self.versions.prepared()
        return waiting and last.basis == self.basis()

    def start(self, kind: Kind, who: str) -> bool:
        """Begin; False while another run is under way."""
        with self._lock:
            if self.last and self.last.running:
                return False
            reviewed = self.last
            self.last = Run(kind, who, time.time(), self.basis())
            work = self.last, reviewed
        threading.Thread(target=self._work, args=work, daemon=True, name=kind).start()
        return True

    def allow(self, passage: str, reason: str, who: str) -> None:
        """Let a passage in that is held back, from the next comparison on. Raises SourceError."""
        Quarantine(self.versions.root).allow(passage, reason, who)
        self.audit.log(who, "allow", f"{passage}: {reason.strip()}")
        self.last = None

    def undo(self, who: str) -> str:
        """Go back to the version before; returns its name. Raises VersionError."""
        name = self.versions.rollback()
        self.audit.log(who, "undo", name)
        self.last = None
        return name

    def before(self) -> str:
        """The version that undoing would go back to, or nothing."""
        return self.versions.before()

    def history(self) -> list[Version]:
        """The versions, newest first."""
        by = {e.detail: e.who for e in AuditTrail(self.audit).newest(_PUBLISHED, _PUBLICATIONS)}
        current = self.versions.served()
        waiting = self.versions.prepared()
        names = [n for n in reversed(self.versions.complete()) if n not in waiting]
        return [_version(self._manifest(n), n, by.get(n, ""), n == current) for n in names]

    def sources(self) -> list[Path]:
        """The documents uploaded, then what the published version was made from.

        In this order an upload takes the place of a document with the same id.
        """
        earlier = [Path(s) for s in self._manifest(self.versions.served()).get("sources", ())]
        folder = self.uploads.folder
        others = [source for source in earlier if source != folder]
        if not self.uploads.all() or any(folder.is_relative_to(source) for source in others):
            return others
        return [folder, *others]

    def _work(self, run: Run, reviewed: Run | None) -> None:
        report: Mapping[str, Any]
        try:
            if run.kind == "publish" and reviewed and reviewed.report:
                report = self._publish(reviewed.report)
                self.audit.log(run.who, "publish", str(report["version"]))
                done = replace(run, report=report, differences=reviewed.differences)
            else:
                report = self._prepare()
                done = replace(run, report=report, differences=self._differences(report))
        except Exception as error:
            log.warning("%s failed: %s", run.kind, error)
            done = replace(run, error=str(error) or type(error).__name__)
        self.last = done

    def _prepare(self) -> Mapping[str, Any]:
        """The report of a new version. Raises RuntimeError with the error line."""
        sources = self.sources()
        if not sources:
            raise RuntimeError("there is no document yet; upload one first")
        options = ["--home", str(self.home), "--prepare", "--json"]
        return self._run(["refresh", *options, "--", *map(str, sources)])

    def _publish(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """The report of what is published now. Raises RuntimeError with the error line."""
        options = ["--home", str(self.home), "--json"]
        self._run(["publish", *options, "--", str(report["version"])])
        return {**report, "published": True}

    def _differences(self, report: Mapping[str, Any]) -> tuple[DocumentChange, ...]:
        """What the prepared version has otherwise than the published one, word by word."""
        try:
            after = self.versions.folder_of(str(report.get("version")))
            current = self.versions.served()
            before = self.versions.folder_of(current) if current else None
            return tuple(compare(before, after))
        except KnowledgeError:
            return ()

    def _run(self, arguments: Sequence[str]) -> Mapping[str, Any]:
        """The report of a command in another process. Raises RuntimeError with its error line."""
        command = [*self._command, *arguments]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self._environment, text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        try:
            output, errors = process.communicate(timeout=_LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise RuntimeError("took too long and was stopped; nothing was published") from None
        if process.returncode != 0:
            raise RuntimeError(_error_line(errors) or f"ended with code {process.returncode}")
        report: Mapping[str, Any] = json.loads(output)
        return report

    def _manifest(self, name: str) -> Mapping[str, Any]:
        """A version's manifest; empty when there is none, or it was pruned just now."""
        try:
            text = (self.versions.folder / name / MANIFEST).read_text(encoding="utf-8")
            manifest: Mapping[str, Any] = json.loads(text)
        except (OSError, ValueError):
            return {}
        return manifest


def changes(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """The ids of documents added, changed and removed."""
    found: dict[str, list[str]] = {"added": [], "changed": [], "removed": []}
    for kind, document in report.get("changes", ()):
        found[str(kind)].append(str(document))
    return found


def _version(manifest: Mapping[str, Any], name: str, who: str, current: bool) -> Version:
    kinds = [kind for kind, _ in manifest.get("changes", ())]
    created = manifest.get("created")
    return Version(
        name=name,
        created=datetime.fromisoformat(created).timestamp() if created else 0.0,
        documents=int(manifest.get("documents", 0)),
        passages=int(manifest.get("passages", 0)),
        added=kinds.count("added"),
        changed=kinds.count("changed"),
        removed=kinds.count("removed"),
        who=who,
        current=current,
    )


def _environment(settings: Settings) -> dict[str, str]:
    """The environment, with the settings that the served knowledge base is built with."""
    values = settings.knowledge.model_dump(mode="json", exclude_none=True)
    prefix = "FRONTDESK_KNOWLEDGE__"
    return os.environ | {f"{prefix}{key.upper()}": str(value) for key, value in values.items()}


def _error_line(text: str) -> str:
    """The last line that says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (told or lines or [""])[-1][:500]
