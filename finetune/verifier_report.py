"""What a verifier makes of statements: how many errors it catches, and what it refuses besides."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from finetune.errors import DataError
from finetune.verifier_data import SUPPORTED, UNSEEN_KINDS, Statement
from knowledge.verifier import CALIBRATION, Verifier

# Share of the supported statements that may be refused: a reply then loses one sentence in twenty,
# and the passage is still quoted.
REFUSED = 0.05


def support(verifier: Verifier, statements: Sequence[Statement]) -> Any:
    """(statements,) probabilities that they are supported."""
    return np.array([v.supported for v in verifier.judge([s.texts for s in statements])])


def calibrate_verifier(folder: Path, verifier: Verifier, held: Sequence[Statement]) -> float:
    """Write how sure of support it must be, so that few supported statements are refused; kinds
    kept for measuring tell nothing here. Raises DataError when none is supported."""
    kept = [s for s in held if s.verdict == SUPPORTED]
    if not kept:
        raise DataError("a verifier is calibrated on statements of which some are supported")
    # Rounded down: with 8 bits a probability depends a little on what is judged beside it.
    least = math.floor(100 * float(np.quantile(support(verifier, kept), REFUSED))) / 100
    (folder / CALIBRATION).write_text(json.dumps({"supported": least}) + "\n", encoding="utf-8")
    return least


def verifier_scores(
    verifier: Verifier, statements: Sequence[Statement], least: float
) -> dict[str, Any]:
    """Shares of the unsupported statements caught and of the supported ones refused; `unseen` are
    of kinds that training never shows; `kinds` are caught of each."""
    likely = support(verifier, statements)
    true = np.array([s.verdict == SUPPORTED for s in statements])
    passed = likely >= least
    unseen = np.array([s.kind in UNSEEN_KINDS for s in statements])
    kinds = sorted({s.kind for s in statements if s.verdict != SUPPORTED})
    return {
        "n": len(statements),
        "caught": _share(~passed[~true]),
        "refused": _share(~passed[true]),
        "unseen_caught": _share(~passed[unseen & ~true]),
        "balanced_accuracy": round(float(balanced_accuracy_score(true, passed)), 4),
        "auc": round(float(roc_auc_score(true, likely)), 4),
        "kinds": {
            kind: _share(~passed[[s.kind == kind for s in statements] & ~true]) for kind in kinds
        },
    }


def _share(found: Any) -> float | None:
    return round(float(np.mean(found)), 4) if len(found) else None
