"""A propensity model in a folder: two files, no code and nothing pickled.

manifest.json       what it is, how it came about and what it reached; written last
model.safetensors   the arrays of its parts
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from knowledge.digests import file_digest
from knowledge.errors import PropensityError
from knowledge.propensity.features import NAMES, Matrix, Scale
from knowledge.propensity.scorers import KINDS, Inputs, Scorer

MANIFEST, WEIGHTS = "manifest.json", "model.safetensors"
MOST_BYTES = 20_000_000
Band = Literal["likely", "unsure", "leaving"]


@dataclass(frozen=True)
class Manifest:
    """What a model says of itself.

    `parts` are the kinds of its scorers with their shares of the margin. A probability is
    sigmoid(slope * margin + shift): temperature scaling (Guo et al., ICML 2017) with a shift, for
    the share of buyers moves with the season. `likely_from` and `leaving_below` are probabilities;
    between them nobody can tell. `half_life_days` is how fast what was bought fades in what a
    network reads of it, `taste_width` its width, 0 where no part reads it. `scores` are those of
    the last moment, which nothing was fitted to; `scores_of` those of each kind, `chosen_by` their
    validation PR-AUC.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    features: tuple[str, ...]
    horizon_days: float
    typical: Mapping[str, float]
    home: str
    parts: Mapping[str, float]
    slope: float
    shift: float
    likely_from: float
    leaving_below: float
    weights_sha256: str
    data_sha256: str
    recipe: Mapping[str, Any]
    training: Mapping[str, Any]
    created: str
    half_life_days: float = 90.0
    taste_width: int = 0
    scores: Mapping[str, Any] = field(default_factory=dict)
    scores_of: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    chosen_by: Mapping[str, float] = field(default_factory=dict)

    @property
    def scale(self) -> Scale:
        """What amounts are measured by."""
        return Scale(self.typical, self.home)

    def probabilities(self, margins: Matrix) -> Matrix:
        """Calibrated, of log-odds."""
        return np.asarray(1 / (1 + np.exp(-(self.slope * margins + self.shift).clip(-40, 40))))

    def band(self, probability: float) -> Band:
        """See the class."""
        if probability >= self.likely_from:
            return "likely"
        return "leaving" if probability < self.leaving_below else "unsure"

    def dump(self) -> bytes:
        """As it stands in its file."""
        return _MANIFEST.dump_json(self, indent=1) + b"\n"


_MANIFEST = TypeAdapter(Manifest)


@dataclass(frozen=True, slots=True)
class Model:
    """The scorers of a manifest."""

    manifest: Manifest
    scorers: Mapping[str, Scorer]

    def margins(self, inputs: Inputs) -> Matrix:
        """(rows,) log-odds, not calibrated yet."""
        shares = self.manifest.parts
        found = [shares[kind] * scorer.margins(inputs) for kind, scorer in self.scorers.items()]
        return np.asarray(sum(found, np.zeros(len(inputs.features))))

    def probabilities(self, inputs: Inputs) -> Matrix:
        """(rows,) that they buy again in time."""
        return self.manifest.probabilities(self.margins(inputs))

    def contributions(self, inputs: Inputs) -> Matrix:
        """(features + 1,) by how much each raises the calibrated log-odds of a single row: Shapley
        values, which add up over the parts as their margins do."""
        shares = self.manifest.parts
        found = [shares[k] * scorer.contributions(inputs) for k, scorer in self.scorers.items()]
        return np.asarray(self.manifest.slope * sum(found, np.zeros(len(NAMES) + 1)))

    def write(self, folder: Path) -> Model:
        """Write the folder, the manifest last; returns the model as it is read from there."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        save_file(tensors_of(self.scorers), folder / WEIGHTS)
        manifest = replace(self.manifest, weights_sha256=file_digest(folder / WEIGHTS))
        (folder / MANIFEST).write_bytes(manifest.dump())
        return Model.read(folder)

    @classmethod
    def read(cls, folder: Path) -> Model:
        """A folder that is whole and safe. Raises PropensityError."""
        manifest = validate(folder)
        try:
            held = load_file(folder / WEIGHTS)
            scorers = {kind: _scorer(kind, held) for kind in manifest.parts}
            rows = np.full((1, len(NAMES)), np.nan)
            probe = Inputs(rows, np.zeros((1, manifest.taste_width)))
            for scorer in scorers.values():
                scorer.margins(probe)
        except (SafetensorError, OSError, LookupError, ValueError, TypeError) as error:
            raise PropensityError(f"{folder}/{WEIGHTS} is damaged: {error}") from error
        return cls(manifest, scorers)


def validate(folder: Path) -> Manifest:
    """The manifest of a folder that holds the two files and nothing else, as they were written.

    Raises PropensityError.
    """
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
    if missing := sorted({MANIFEST, WEIGHTS} - names):
        raise PropensityError(f"{folder} is no finished propensity model: no {', '.join(missing)}")
    strange = sorted(
        p.name for p in folder.iterdir()
        if p.name not in {MANIFEST, WEIGHTS} or p.is_symlink() or not p.is_file()
    )  # fmt: skip
    if strange:
        raise PropensityError(f"{folder} holds files that no model has: {', '.join(strange)}")
    if (folder / WEIGHTS).stat().st_size > MOST_BYTES:
        raise PropensityError(f"{folder}/{WEIGHTS} is larger than a propensity model can be")
    try:
        manifest = _MANIFEST.validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise PropensityError(f"{folder}: unreadable manifest: {error}") from error
    if manifest.features != NAMES or not manifest.parts.keys() <= KINDS.keys():
        raise PropensityError(f"{folder} reads other features than this version; train it again")
    if file_digest(folder / WEIGHTS) != manifest.weights_sha256:
        raise PropensityError(f"{folder} was changed after training; train it again")
    return manifest


def tensors_of(scorers: Mapping[str, Scorer]) -> dict[str, NDArray[Any]]:
    """All arrays, each under the kind of its scorer."""
    return {
        f"{kind}/{name}": tensor
        for kind, scorer in scorers.items()
        for name, tensor in scorer.tensors().items()
    }


def _scorer(kind: str, held: Mapping[str, NDArray[Any]]) -> Scorer:
    start = f"{kind}/"
    return KINDS[kind].of({n[len(start) :]: t for n, t in held.items() if n.startswith(start)})
