"""Geometry of the plots: a day is one unit wide, and the plot 100 high whatever it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_HEIGHT = 100.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a day's bar, of the series with this number."""

    series: int
    y: float
    height: float


def stacked(days: Sequence[Sequence[int]], top: float) -> list[list[Bar]]:
    """A bar a day of the values of each series, the first one lowest; `top` fills the plot."""
    bars: list[list[Bar]] = []
    for values in days:
        y, bar = _HEIGHT, []
        for series, value in enumerate(values):
            height = _HEIGHT * value / top
            y -= height
            if value:
                bar.append(Bar(series, round(y, 2), round(height, 2)))
        bars.append(bar)
    return bars


def line(values: Sequence[float | None], top: float) -> str:
    """The path of a line through the middles of the days; it breaks where there is no value."""
    steps: list[str] = []
    before: float | None = None
    for day, value in enumerate(values):
        if value is not None:
            point = f"{day + 0.5} {round(_HEIGHT * (1 - value / top), 2)}"
            # A line of no length is drawn as a dot where its ends are round.
            steps.append(f"L{point}" if before is not None else f"M{point}L{point}")
        before = value
    return "".join(steps)
