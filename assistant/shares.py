"""Shares of what was counted, with their uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z = 1.959964  # of the normal distribution, for 95%


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`."""

    hits: int
    of: int

    @property
    def rate(self) -> float | None:
        """The share, 0 to 1; None of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The score interval at 95% of Wilson, "Probable inference, the law of succession, and
        statistical inference", JASA 22 (1927); None of nothing."""
        if self.rate is None:
            return None
        whole = 1 + _Z**2 / self.of
        middle = (self.rate + _Z**2 / (2 * self.of)) / whole
        spread = self.rate * (1 - self.rate) / self.of + _Z**2 / (4 * self.of**2)
        reach = _Z * math.sqrt(spread) / whole
        return max(0.0, middle - reach), min(1.0, middle + reach)


def difference(before: Share, after: Share) -> tuple[float, float, float] | None:
    """By how much a share has risen, and the interval of that at 95%: the hybrid score interval of
    Newcombe, "Interval estimation for the difference between independent proportions", Statistics
    in Medicine 17 (1998), method 10. None where one of them is of nothing."""
    if before.rate is None or after.rate is None or not (before.interval and after.interval):
        return None
    (low_before, high_before), (low, high) = before.interval, after.interval
    rise = after.rate - before.rate
    below = math.hypot(after.rate - low, high_before - before.rate)
    above = math.hypot(high - after.rate, before.rate - low_before)
    return rise, rise - below, rise + above
