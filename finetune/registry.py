"""The promoted adapters of a home, which one is served, and which answers a share.

home/adapters/
  <name>/        a promoted adapter: adapter_model.safetensors, adapter_config.json, manifest.json
  pointer.json   names in order of promotion, the served one last, and the canary; replaced
                 atomically

All that serving needs to know of `finetune` is here, free of torch and transformers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune.errors import AdapterError, BaseModelError, FinetuneError, GateError
from finetune.export import exported
from finetune.manifest import (
    INT8_ENGINE,
    MANIFEST,
    NF4,
    NF4_ENGINE,
    AdapterManifest,
    Scorecard,
    base_digest,
    check_gate,
    has_weights,
    replace_file,
    resolve_base,
    validate_adapter,
    validate_base,
)
from finetune.prompt import Prompt, PromptTemplate, Turn, titled

__all__ = [
    "INT8_ENGINE", "NF4", "NF4_ENGINE", "AdapterError", "AdapterManifest", "BaseModelError",
    "Canary", "FinetuneError", "GateError", "Prompt", "PromptTemplate", "Registry", "Scorecard",
    "Turn", "base_digest", "check_gate", "exported", "has_weights", "resolve_base", "titled",
    "validate_adapter", "validate_base",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Canary:
    """A promoted adapter that answers a share of the conversations, since a time (seconds since
    1970)."""

    name: str
    share: float
    since: float

    def takes(self, conversation_id: str) -> bool:
        """Whether a conversation falls to it: always the same ones, by their hash."""
        digest = hashlib.sha256(f"{self.name} {conversation_id}".encode()).digest()
        return bool(conversation_id) and int.from_bytes(digest[:4]) < self.share * 2**32


class Registry:
    """The promoted adapters of a home folder."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "adapters"
        self.pointer = self.folder / "pointer.json"

    def list(self) -> dict[str, AdapterManifest]:
        """Whole adapters by name, oldest first."""
        # A name with a leading dot is a copy that was cut off.
        folders = [path.parent for path in self.folder.glob(f"[!.]*/{MANIFEST}")]
        found = {folder.name: validate_adapter(folder) for folder in folders}
        return dict(sorted(found.items(), key=lambda item: item[1].created))

    def current(self) -> Path | None:
        """Folder of the served adapter, or None while the bare base is served."""
        promoted = self._promoted()
        return self.folder / promoted[-1] if promoted else None

    def before(self) -> Path | None:
        """Folder of the adapter promoted before it, or None: a rollback would serve the bare
        base."""
        promoted = self._promoted()
        return self.folder / promoted[-2] if promoted[1:] else None

    def canary(self) -> Canary | None:
        """The adapter that answers a share of the conversations, if there is one."""
        held = self._pointer().get("canary")
        return (
            Canary(str(held["name"]), float(held["share"]), float(held["since"])) if held else None
        )

    def promote(self, source: Path, share: float | None = None) -> str:
        """Copy an adapter in and serve it, or only to a share of the conversations; returns its
        name. Raises AdapterError, GateError."""
        manifest = validate_adapter(source)
        check_gate(manifest)
        # One that was promoted before keeps its name.
        suffix = f"-{manifest.adapter_sha256[:12]}"
        name = source.resolve().name.removesuffix(suffix) + suffix
        # A scorecard can be renewed for the same weights, so the copy is always made anew.
        partial = self.folder / f".{name}.{os.getpid()}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
        if (self.folder / name).exists():
            (partial / MANIFEST).replace(self.folder / name / MANIFEST)
            shutil.rmtree(partial)
        else:
            partial.replace(self.folder / name)
        if share is None:
            self._point([*(n for n in self._promoted() if n != name), name])
        else:
            self._point(self._promoted(), Canary(name, share, time.time()))
        return name

    def stop_canary(self) -> str | None:
        """Give the canary no more conversations; its name, or None when there is none."""
        canary = self.canary()
        if canary is None:
            return None
        self._point(self._promoted())
        return canary.name

    def rollback(self) -> str | None:
        """Serve the adapter promoted before, or the served one alone where there is a canary; None:
        the bare base. Raises AdapterError."""
        promoted = self._promoted()
        if self.stop_canary():
            return promoted[-1] if promoted else None
        if not promoted:
            raise AdapterError("no adapter is served, so there is nothing to roll back")
        self._point(promoted[:-1])
        return promoted[-2] if promoted[1:] else None

    def _promoted(self) -> Sequence[str]:
        return [str(name) for name in self._pointer().get("promoted", ())]

    def _pointer(self) -> dict[str, Any]:
        try:
            held: dict[str, Any] = json.loads(self.pointer.read_text())
            held["promoted"] = list(held["promoted"])
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as error:
            raise AdapterError(f"{self.pointer} is damaged; promote an adapter again") from error
        return held

    def _point(self, names: Sequence[str], canary: Canary | None = None) -> None:
        held = {"promoted": [*names], "canary": asdict(canary) if canary else None}
        replace_file(self.pointer, json.dumps(held).encode())
