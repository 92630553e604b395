"""What operators see of the language model's adapters, and what they may do with them.

Promoted adapters are in the registry. Those that wait to be promoted are folders in home/trained,
where `finetune train --out HOME/trained/NAME` puts them; no other folder can be named from a page.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from assistant.audit import AuditEntry, AuditQuery, AuditTrail
from assistant.served import ServedModel
from assistant.service import ChatService
from assistant.settings import Settings
from finetune.registry import (
    AdapterError,
    AdapterManifest,
    Canary,
    FinetuneError,
    GateError,
    Registry,
    Scorecard,
    check_gate,
    resolve_base,
    validate_adapter,
)

TRAINED = "trained"  # in the home
FIGURES = ("perplexity", "supported", "rouge_l", "chrf", "cites", "same_language")
_ACTIONS = AuditQuery(
    whats=("promote_adapter", "start_canary", "stop_canary", "roll_back_adapter", "stopped")
)


@dataclass(frozen=True, slots=True)
class Listed:
    """An adapter; `refusal` is why the gate, or the registry, would not let it in."""

    id: str
    folder: Path
    promoted: bool
    manifest: AdapterManifest | None
    refusal: str = ""

    @property
    def created(self) -> float:
        """When it was trained, in seconds since 1970; 0 where its manifest does not tell."""
        try:
            return datetime.fromisoformat(
                self.manifest.created if self.manifest else ""
            ).timestamp()
        except ValueError:
            return 0.0

    @property
    def card(self) -> Scorecard | None:
        """Its scores, if it was evaluated."""
        return self.manifest.scores if self.manifest else None

    @property
    def forgets(self) -> float | None:
        """By how much it raises the perplexity of other dialogues at most, where that is known."""
        return max(self.card.forgetting.values(), default=None) if self.card else None


@dataclass(frozen=True, slots=True)
class Pointed:
    """What the registry says is to be served; names are empty for the bare base. With `problem`
    the pointer is damaged, and nothing else is known."""

    current: str = ""
    before: str = ""
    canary: Canary | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure of two adapters; `about` names the other dialogues that forgetting is about.

    `verdict` is on the second beside the first, `doubtful` where their intervals overlap.
    """

    name: str
    about: str
    values: tuple[float, float]
    intervals: tuple[tuple[float, float] | None, tuple[float, float] | None]
    verdict: Literal["", "better", "worse"]
    doubtful: bool


class Adapters:
    """The adapters of a home, beside what the running server has loaded."""

    def __init__(self, settings: Settings, service: ChatService) -> None:
        self.settings = settings
        self.registry = Registry(settings.home)
        self.audit = service.conversations
        self._service = service

    def pointed(self) -> Pointed:
        """What is to be served."""
        try:
            current, before = self.registry.current(), self.registry.before()
            return Pointed(
                current.name if current else "",
                before.name if before else "",
                self.registry.canary(),
            )
        except AdapterError as error:
            return Pointed(problem=str(error))

    @property
    def served(self) -> ServedModel | None:
        """What writes in the running server, where a language model does."""
        generator = self._service.assistant.generator
        return generator if isinstance(generator, ServedModel) else None

    def answers(self, canary: Canary | None) -> bool:
        """Whether conversations fall to the canary in the running server; without one, yes."""
        return canary is None or (self.served is not None and self.served.canary == canary)

    def listed(self) -> list[Listed]:
        """Those that wait, then those promoted; newest first."""
        promoted = [_listed(folder, "", True) for folder in _folders(self.registry.folder)]
        known = [p.manifest for p in promoted]
        waiting = [
            one
            for folder in _folders(self.settings.home / TRAINED)
            if (one := _listed(folder, f"{TRAINED}/", False)).manifest not in known
            or one.manifest is None
        ]
        return sorted(waiting + promoted, key=lambda a: (a.promoted, -a.created))

    def stamps(self) -> tuple[tuple[str, int], ...]:
        """Changes with the pointer, and with every adapter that comes, goes or is evaluated."""
        folders = [*_folders(self.registry.folder), *_folders(self.settings.home / TRAINED)]
        files = [self.registry.pointer, *(folder / "manifest.json" for folder in folders)]
        return tuple((str(file), file.stat().st_mtime_ns) for file in files if file.is_file())

    def promote(self, adapter: str, who: str, percent: int | None = None) -> str:
        """Serve an adapter, or let it have a share of the conversations; returns its name.

        The registry's gate decides. Refused, too, is what the server could not load. Raises
        FinetuneError.
        """
        folder = self._folder(adapter)
        self._check_loads(folder)
        name = self.registry.promote(folder, None if percent is None else percent / 100)
        if percent is None:
            self.audit.log(who, "promote_adapter", name)
        else:
            self.audit.log(who, "start_canary", f"{name}: {percent}%")
        self._heed()
        return name

    def stop_canary(self, who: str) -> str | None:
        """Give the canary no more conversations, from now on; its name, or None without one."""
        name = self.registry.stop_canary()
        if name:
            self.audit.log(who, "stop_canary", name)
            self._heed()
        return name

    def roll_back(self, who: str) -> str:
        """Serve the adapter promoted before; its name, empty for the base. Raises AdapterError."""
        name = self.registry.rollback() or ""
        self.audit.log(who, "roll_back_adapter", name)
        self._heed()
        return name

    def entries(self) -> list[AuditEntry]:
        """What was done with adapters, by people and by the watch over the canary; newest first."""
        return AuditTrail(self.audit).newest(_ACTIONS)

    def _folder(self, adapter: str) -> Path:
        """The folder of one that is listed. Raises AdapterError."""
        for one in self.listed():
            if one.id == adapter:
                return one.folder
        raise AdapterError(f"there is no adapter {adapter!r} any more")

    def _check_loads(self, folder: Path) -> None:
        """Raise FinetuneError where a server with these settings would not start with it."""
        model = self.settings.model
        if not model.base or model.is_remote:  # the server is asked when it is served
            return
        engine = validate_adapter(folder, resolve_base(model.base)).engine
        if model.engine not in {"auto", engine}:
            raise AdapterError(
                f"it was evaluated on {engine}; evaluate it with --engine {model.engine}"
            )

    def _heed(self) -> None:
        """Serve it; loading takes seconds, and the page shows when it is done."""
        if served := self.served:
            served.take_back()
            threading.Thread(target=served.heed, name="adapter", daemon=True).start()


def is_stop(entry: AuditEntry) -> bool:
    """Whether an entry of the audit log tells that the watch stopped a canary."""
    return (entry.who, entry.what) == ("canary", "stopped")


def same_dialogues(first: Listed, second: Listed) -> bool:
    """Whether two adapters were measured on the same dialogues."""
    one, other = first.card, second.card
    return (
        one is not None
        and other is not None
        and (one.data_sha256, one.adapter.n) == (other.data_sha256, other.adapter.n)
    )


def differences(first: Listed, second: Listed) -> list[Difference]:
    """The scores of two evaluated adapters side by side; without verdicts where they were measured
    on other dialogues, or of perplexities where their bases cut text into other tokens."""
    one, other = first.card, second.card
    if one is None or other is None:
        return []
    found = []
    for name in FIGURES:
        values = (float(getattr(one.adapter, name)), float(getattr(other.adapter, name)))
        intervals = (one.adapter.intervals.get(name), other.adapter.intervals.get(name))
        fair = same_dialogues(first, second) and (name != "perplexity" or _same_base(first, second))
        found.append(_difference(name, "", values, intervals, fair))
    for about in sorted(one.forgetting.keys() & other.forgetting.keys()):
        values = (one.forgetting[about], other.forgetting[about])
        found.append(_difference("forgetting", about, values, (None, None), True))
    return found


def _same_base(first: Listed, second: Listed) -> bool:
    bases = {a.manifest.base_sha256 for a in (first, second) if a.manifest}
    return len(bases) == 1


def _difference(
    name: str,
    about: str,
    values: tuple[float, float],
    intervals: tuple[tuple[float, float] | None, tuple[float, float] | None],
    fair: bool,
) -> Difference:
    gain = values[1] - values[0]
    if name in {"perplexity", "forgetting"}:  # less of it is better
        gain = -gain
    verdict: Literal["", "better", "worse"] = ""
    if fair and gain:
        verdict = "better" if gain > 0 else "worse"
    return Difference(name, about, values, intervals, verdict, _overlap(intervals))


def _overlap(intervals: Sequence[tuple[float, float] | None]) -> bool:
    known = [i for i in intervals if i]
    return len(known) == 2 and max(i[0] for i in known) <= min(i[1] for i in known)


def _folders(parent: Path) -> Iterator[Path]:
    """Folders of finished adapters; a name with a leading dot is a copy that was cut off."""
    return (path.parent for path in sorted(parent.glob("[!.]*/manifest.json")))


def _listed(folder: Path, prefix: str, promoted: bool) -> Listed:
    name = prefix + folder.name
    try:
        manifest = validate_adapter(folder)
    except (FinetuneError, OSError) as error:
        return Listed(name, folder, promoted, None, str(error))
    try:
        check_gate(manifest)
    except GateError as error:
        return Listed(name, folder, promoted, manifest, str(error))
    return Listed(name, folder, promoted, manifest)
