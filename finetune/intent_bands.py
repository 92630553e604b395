"""From which probability on a message is routed, and below which it is out of scope: by what
mistakes cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.intent_classifier import Bands, Probabilities

_GRID = 200


@dataclass(frozen=True, slots=True)
class Costs:
    """What a mistake costs, in any unit: only their ratios count.

    A wrong route answers another question than was asked; a needless clarification asks a customer
    who was clear; a needless hand-off takes a person's time. `outside` is the share of messages
    that are about nothing the intents cover.
    """

    wrong_route: float = 5.0
    clarification: float = 1.0
    hand_off: float = 3.0
    outside: float = 0.1


def cheapest_bands(
    inside: Probabilities, target: NDArray[np.float32], outside: Probabilities, costs: Costs
) -> Bands:
    """The bands that cost least a message, of a grid over the probabilities that occur.

    `inside` and `target` are (messages, labels) of messages in scope, `outside` of the others.
    """
    best, right, in_two = _best_two(inside, target)
    strange = outside.max(1) if len(outside) else np.zeros(1)
    grid = np.unique(np.quantile(np.concatenate([best, strange]), np.linspace(0, 1, _GRID)))

    def cost(low: float, sure: float) -> float:
        routed, asked = best >= sure, (best >= low) & (best < sure)
        within = costs.wrong_route * (routed & ~right).mean()
        within += costs.clarification * asked.mean()
        within += costs.wrong_route * (asked & ~in_two).mean()
        within += costs.hand_off * (best < low).mean()
        beyond = costs.wrong_route * (strange >= sure).mean()
        beyond += costs.clarification * ((strange >= low) & (strange < sure)).mean()
        return float((1 - costs.outside) * within + costs.outside * beyond)

    found = min((cost(low, sure), low, sure) for low in grid for sure in grid if low <= sure)
    return Bands(round(float(found[1]), 4), round(float(found[2]), 4))


def _best_two(
    probabilities: Probabilities, target: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """(the best intent's probability, whether it is right, whether one of the best two is)."""
    order = np.argsort(-probabilities, axis=1)[:, :2]
    hit: NDArray[np.bool_] = np.take_along_axis(target, order, axis=1) > 0
    in_two: NDArray[np.bool_] = hit[:, 0] | hit[:, -1]
    best: NDArray[np.float64] = probabilities.max(1)
    return best, hit[:, 0], in_two
