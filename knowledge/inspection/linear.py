"""A linear model over named features: what claims are weighed with, and duplicates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Weights by the name of the feature, and the logit from which something counts."""

    weights: Mapping[str, float]
    threshold: float

    @classmethod
    def load(cls, path: Path) -> LinearModel:
        """From the JSON file that `finetune inspector` writes."""
        row = json.loads(path.read_text())
        return cls(row["weights"], row["threshold"])

    def reaches(self, values: Mapping[str, float]) -> bool:
        """Whether the features, all of them by name, reach the threshold."""
        return sum(self.weights[name] * value for name, value in values.items()) >= self.threshold
