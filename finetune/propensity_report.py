"""What a propensity model reaches and what moves it, as a page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from finetune.propensity_data import Table
from finetune.propensity_scores import reliability
from knowledge.propensity.features import FEATURES, Matrix
from knowledge.propensity.model import Manifest, Model
from knowledge.propensity.scorers import TASTE, Inputs

_PAGE = Path(__file__).with_name("propensity_report.html")
_EXPLAINED = 300  # rows, at most
_SHOWN = 14  # features
WIDTH, ROW = 640.0, 26.0  # of the plot and of one feature in it, in its own units


@dataclass(frozen=True, slots=True)
class Dot:
    """A row in the plot of a feature; `shade` is the rank of its value, 0 low to 1 high, or None
    where the customer has none."""

    x: float
    y: float
    shade: float | None


@dataclass(frozen=True, slots=True)
class Influence:
    """A feature: by how much it moves the log-odds, in the mean of the absolute values, and the
    dots of its rows."""

    name: str
    unit: str
    meaning: str
    mean: float
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class PropensityReport:
    """`scores` are those of the shipped model on these rows; `points` its reliability: mean
    probability, share that bought, rows. The plot is `zero` at no influence."""

    manifest: Manifest
    scores: dict[str, Any]
    points: Sequence[tuple[float, float, int]]
    influences: Sequence[Influence]
    zero: float

    @property
    def shipped(self) -> str:
        """The kind that ships, or `blend`."""
        return "blend" if len(self.manifest.parts) > 1 else next(iter(self.manifest.parts))

    def write_page(self, path: Path) -> None:
        """See the module."""
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        page = environment.from_string(_PAGE.read_text(encoding="utf-8"))
        path.write_text(page.render(report=self, width=WIDTH, row=ROW), encoding="utf-8")


def report_of(model: Model, test: Table, scores: dict[str, Any], seed: int) -> PropensityReport:
    """The reliability of all rows, and the influence of the features on some drawn at random."""
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.permutation(len(test))[:_EXPLAINED])
    values = test.features[drawn]
    moved = np.stack([
        model.contributions(Inputs(test.features[n : n + 1], test.tastes[n : n + 1]))
        for n in drawn
    ])  # fmt: skip
    most = float(np.abs(moved).max()) or 1.0
    named = [(f.name, f.unit, f.meaning) for f in FEATURES]
    named.append((TASTE, "other", "what was bought, as the encoder reads its titles"))
    order = np.argsort(-np.abs(moved).mean(0))[:_SHOWN]
    influences = []
    for n in map(int, order):
        shades = _ranks(values[:, n]) if n < len(FEATURES) else [None] * len(drawn)
        jitter = rng.uniform(-0.32, 0.32, len(drawn)) * ROW
        dots = tuple(
            Dot(round(WIDTH / 2 * (1 + float(shift) / most), 1), round(float(up), 1), shade)
            for shift, up, shade in zip(moved[:, n], jitter, shades, strict=True)
        )
        name, unit, meaning = named[n]
        mean = round(float(np.abs(moved[:, n]).mean()), 3)
        influences.append(Influence(name, unit, meaning, mean, dots))
    points = reliability(model.probabilities(test.inputs), test.labels)
    return PropensityReport(model.manifest, scores, points, influences, WIDTH / 2)


def _ranks(column: Matrix) -> list[float | None]:
    """Each value's place among the column's, 0 to 1; None for a missing one."""
    known = np.sort(column[~np.isnan(column)])
    last = max(1, len(known) - 1)
    return [
        None if np.isnan(v) else round(float(np.searchsorted(known, v)) / last, 2) for v in column
    ]
