"""The promoted propensity models of a home (home/propensity), and what earns promotion."""

from __future__ import annotations

from pathlib import Path

from knowledge.errors import PropensityError
from knowledge.promoted import PromotedModels
from knowledge.propensity.model import Manifest, Model


def propensity_models(home: Path) -> PromotedModels[Manifest]:
    """Those of a home."""
    return PromotedModels(
        home / "propensity", "propensity model", _manifest, _check_gate, PropensityError
    )


def _manifest(folder: Path) -> Manifest:
    return Model.read(folder).manifest


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
