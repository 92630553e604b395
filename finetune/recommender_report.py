"""The page of a recommender's training: what it foretells, what it goes by, how it learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from finetune.manifest import replace_file

_PAGE = Path(__file__).with_name("recommender_report.html")
_METRICS = ("recall@20", "ndcg@10")
_WIDTH, _HEIGHT = 320, 120  # of a curve, in pixels
_MOST_FEATURES = 15


@dataclass(frozen=True, slots=True)
class Page:
    """`scores` by method and group of customers, on the held-out `day`; `weights` are losses of
    NDCG@10 without each feature; `curves` the losses of each stage, a point for ten steps."""

    day: str
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]]
    weights: Mapping[str, float]
    curves: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Bar:
    """A labelled length, in percent of the longest, with the ends of its interval."""

    label: str
    value: float
    length: float
    low: float = 0.0
    high: float = 0.0


def write_page(path: Path, page: Page) -> None:
    """Write the page; it needs nothing else."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_PAGE.read_text(encoding="utf-8"))
    text = template.render(
        day=page.day, charts=_charts(page.scores), features=_features(page.weights),
        curves={name: _line(points) for name, points in page.curves.items() if len(points) > 1},
        width=_WIDTH, height=_HEIGHT,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode())


def _charts(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, list[Bar]]:
    charts: dict[str, list[Bar]] = {}
    groups = dict.fromkeys(group for groups in scores.values() for group in groups)
    for group in groups:
        for metric in _METRICS:
            told = {name: held[group] for name, held in scores.items() if held[group]["n"]}
            most = max((row[f"{metric}_interval"][1] for row in told.values()), default=1.0) or 1.0
            bars = []
            for name, row in told.items():
                low, high = row[f"{metric}_interval"]
                bars.append(
                    Bar(name, row[metric], *(round(100 * v / most, 2)
                        for v in (row[metric], low, high)))
                )  # fmt: skip
            if bars:
                count = next(iter(told.values()))["n"]
                charts[f"{metric}, {group} ({count} customers)"] = bars
    return charts


def _features(weights: Mapping[str, float]) -> list[Bar]:
    ordered = sorted(weights.items(), key=lambda item: -item[1])[:_MOST_FEATURES]
    most = max((value for _, value in ordered), default=1.0) or 1.0
    return [Bar(name, value, round(max(0.0, 100 * value / most), 2)) for name, value in ordered]


def _line(points: Sequence[float]) -> tuple[str, float, float]:
    """The points of a polyline, and the least and the largest value."""
    low, high = min(points), max(points)
    rise = (high - low) or 1.0
    step = _WIDTH / (len(points) - 1)
    places = (
        f"{n * step:.1f},{_HEIGHT - _HEIGHT * (value - low) / rise:.1f}"
        for n, value in enumerate(points)
    )
    return " ".join(places), round(low, 3), round(high, 3)
