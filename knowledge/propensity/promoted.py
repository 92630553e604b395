"""The promoted propensity models of a home, and which one is served.

home/propensity/
  <name>/        a promoted model: manifest.json, model.safetensors
  pointer.json   names in order of promotion, the served one last; replaced atomically
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from knowledge.digests import file_digest
from knowledge.errors import PropensityError
from knowledge.propensity.model import MANIFEST, Manifest, Model


class PromotedModels:
    """See the module."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "propensity"
        self.pointer = self.folder / "pointer.json"

    def current(self) -> Path | None:
        """Folder of the served model, or None."""
        names = self._names()
        return self.folder / names[-1] if names else None

    def promote(self, source: Path) -> str:
        """Copy a model in and serve it; returns its name. Raises PropensityError for one that is
        damaged, or that does no better than chance."""
        manifest = Model.read(source).manifest
        _check_gate(manifest)
        suffix = (
            f"-{file_digest(source / MANIFEST)[:12]}"  # the manifest has the digest of the weights
        )
        name = source.resolve().name.removesuffix(suffix) + suffix
        if not (self.folder / name).exists():
            partial = self.folder / f".{name}.{os.getpid()}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(source, partial)
            partial.replace(self.folder / name)
        self._point([*(n for n in self._names() if n != name), name])
        return name

    def rollback(self) -> str | None:
        """Serve the model promoted before; None: none is served. Raises PropensityError when none
        is served already."""
        names = self._names()
        if not names:
            raise PropensityError("no propensity model is served, so nothing can be rolled back")
        self._point(names[:-1])
        return names[-2] if names[1:] else None

    def _names(self) -> list[str]:
        try:
            held = json.loads(self.pointer.read_text(encoding="utf-8"))
            return [str(name) for name in held["promoted"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise PropensityError(f"{self.pointer} is damaged; promote a model again") from error

    def _point(self, names: list[str]) -> None:
        partial = self.pointer.with_name(f"{self.pointer.name}.{os.getpid()}.partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump({"promoted": names}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.pointer)


def _check_gate(manifest: Manifest) -> None:
    """Raise PropensityError unless the model was measured and tells buyers from others."""
    try:
        low, buyers = manifest.scores["intervals"]["pr_auc"][0], manifest.scores["positives"]
    except (LookupError, TypeError) as error:
        raise PropensityError("the model says nothing of its PR-AUC; train it again") from error
    if not low > buyers:  # which is what guessing reaches
        raise PropensityError(
            f"it may tell nobody apart: PR-AUC is {low} at least (95%), and guessing reaches the"
            f" share of buyers, {buyers}"
        )
