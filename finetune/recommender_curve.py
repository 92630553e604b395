"""An Objective that remembers its losses, for the page of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_EVERY = 10  # steps whose mean is a point of the curve


class Curved:
    """For an Objective that goes on to the last step; `curve` holds means of ten losses, also of
    the steps before it was cut off."""

    def __init__(self) -> None:
        self.curve: list[float] = []
        self._part: list[float] = []

    def noted(self, losses: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The losses of a step, whose sum is remembered."""
        self._part.append(sum(float(loss.detach()) for loss in losses.values()))
        if len(self._part) == _EVERY:
            self.curve.append(round(sum(self._part) / _EVERY, 5))
            self._part = []
        return losses

    def after(self, step: int) -> bool:
        """See Objective."""
        return True

    def state(self) -> Mapping[str, Any]:
        """See Objective."""
        return {"curve": self.curve, "part": self._part}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See Objective."""
        self.curve, self._part = list(state["curve"]), list(state["part"])
