"""The promoted recommenders of a home (home/recommender), and what earns promotion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knowledge.errors import RecommenderError
from knowledge.promoted import PromotedModels
from knowledge.recommend.artefact import Manifest, whole_manifest

_METRICS = ("recall@20", "ndcg@10")


def recommenders(home: Path) -> PromotedModels[Manifest]:
    """Those of a home."""
    return PromotedModels(
        home / "recommender", "recommender", whole_manifest, _check_gate, RecommenderError
    )


def _check_gate(manifest: Manifest) -> None:
    """Raise RecommenderError unless recall@20 or NDCG@10 on the held-out day is surely above that
    of every reference.

    The interval of the difference that each customer sees has to be above 0. Means are not enough:
    where customers buy at random, they are above both references one time in three. The methods'
    own intervals are too much: they overlap even where it is ahead for nearly everybody.
    """
    ahead = manifest.scores.get("ahead")
    if not ahead:
        raise RecommenderError(
            "it was not measured beside what needs no training; train it again, with `cuts` of 2"
            " or more in its recipe"
        )
    try:
        passed = any(all(row[f"{m}_interval"][0] > 0 for row in ahead.values()) for m in _METRICS)
        told = "; ".join(_told(metric, ahead) for metric in _METRICS)
    except (LookupError, TypeError, AttributeError) as error:
        raise RecommenderError("its manifest has no readable scores; train it again") from error
    if not passed:
        raise RecommenderError(
            f"it may foretell no better than what needs no training: {told}. Train it on more"
            " baskets, or by another recipe; report.html shows how it learnt"
        )


def _told(metric: str, ahead: Mapping[str, Any]) -> str:
    """By how much it is ahead in a metric: "ndcg@10 +0.003 [-0.004, +0.010] beside popular"."""
    rows = (
        f"{row[metric]:+.4f} [{row[f'{metric}_interval'][0]:+.4f},"
        f" {row[f'{metric}_interval'][1]:+.4f}] beside {name}"
        for name, row in ahead.items()
    )
    return f"{metric} {', '.join(rows)}"
