"""Train the router's head: logistic regression over the encoder's vector and hashed terms.

The temperature that calibrates it is fitted on out-of-fold predictions (Guo et al., ICML 2017), so
no labelled row is lost to calibration.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from finetune.errors import DataError
from knowledge.classify import TextClassifier, feature_rows
from knowledge.encoder import Encoder
from knowledge.formats import read_json_lines

_FOLDS = 4
_REGULARISATION = 12.0  # C of scikit-learn; chosen by cross-validation on the demo utterances
_MAX_BYTES = 200_000_000
OUT_OF_SCOPE = "out_of_scope"


def read_utterances(path: Path) -> tuple[list[str], list[str]]:
    """Texts and intents of a JSON Lines file; `oos` is read as out_of_scope. Raises DataError."""
    try:
        rows = list(read_json_lines(path, _MAX_BYTES))
        texts = [str(row["text"]) for row in rows]
        intents = [OUT_OF_SCOPE if row["intent"] == "oos" else str(row["intent"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not JSON Lines of {{text, intent}}: {error}") from error
    return texts, intents


def train_intents(texts: Sequence[str], intents: Sequence[str], encoder: Encoder) -> TextClassifier:
    """Fit and calibrate. Raises DataError when an intent has too few examples."""
    labels = sorted(set(intents))
    counts = {label: list(intents).count(label) for label in labels}
    scarce = [label for label, count in counts.items() if count < _FOLDS]
    if len(labels) < 2 or scarce:
        raise DataError(f"needs two intents with {_FOLDS} utterances each; scarce: {scarce}")
    rows = feature_rows(texts, encoder)
    model = LogisticRegression(C=_REGULARISATION, class_weight="balanced", max_iter=400)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    logits = cross_val_predict(model, rows, intents, cv=folds, method="decision_function")
    model.fit(rows, intents)
    return TextClassifier(
        labels=tuple(model.classes_),
        weights=model.coef_.astype(np.float32),
        bias=model.intercept_.astype(np.float32),
        temperature=_temperature(logits, [labels.index(i) for i in intents]),
        encoder_name=encoder.name,
    )


def _temperature(logits: NDArray[np.float64], targets: Sequence[int]) -> float:
    """The temperature with the least negative log-likelihood."""

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - scaled.max(1, keepdims=True)
        log_probabilities = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
        return float(-log_probabilities[np.arange(len(targets)), targets].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def expected_calibration_error(
    confidences: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15
) -> float:
    """ECE with equal-width bins (Guo et al., 2017)."""
    which = np.minimum((confidences * bins).astype(int), bins - 1)
    gaps = [
        abs(confidences[which == b].mean() - right[which == b].mean()) * (which == b).mean()
        for b in range(bins)
        if (which == b).any()
    ]
    return float(sum(gaps))


def evaluate_intents(
    classifier: TextClassifier, texts: Sequence[str], intents: Sequence[str], encoder: Encoder
) -> dict[str, Any]:
    """Scores as in the contract; accuracy and F1 over in-scope rows."""
    rows, times = [], []
    for text in texts:
        started = time.perf_counter()
        rows.append(classifier.probabilities(feature_rows([text], encoder)[0]))
        times.append(1000 * (time.perf_counter() - started))
    probabilities = np.stack(rows)
    predicted = [classifier.labels[i] for i in probabilities.argmax(1)]
    right = np.array([p == t for p, t in zip(predicted, intents, strict=True)])
    in_scope = np.array([t != OUT_OF_SCOPE for t in intents])
    refused = np.array([p == OUT_OF_SCOPE for p in predicted])
    inside = [i for i, flag in enumerate(in_scope) if flag]
    macro = f1_score(
        [intents[i] for i in inside], [predicted[i] for i in inside], average="macro",
        labels=sorted({intents[i] for i in inside}), zero_division=0,
    )  # fmt: skip
    outside = int((~in_scope).sum())
    return {
        "n": len(texts),
        "accuracy": round(float(right[in_scope].mean()), 4),
        "macro_f1": round(float(macro), 4),
        "oos_recall": round(float(refused[~in_scope].mean()), 4) if outside else None,
        "oos_precision": round(float((~in_scope)[refused].mean()), 4) if refused.any() else None,
        "ece": round(expected_calibration_error(probabilities.max(1).astype(float), right), 4),
        "p50_ms": round(float(np.median(times)), 2),
    }
