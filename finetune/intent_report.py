"""Measure a router, and show which intents it takes for which: `python -m finetune
evaluate-intents`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from finetune.intent_data import Utterances
from knowledge.intent_classifier import OUT_OF_SCOPE, IntentClassifier, Probabilities

_PAGE = Path(__file__).with_name("intent_report.html")
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Confusion:
    """Messages of an intent that were taken for another, or for out of scope."""

    intent: str
    taken_for: str
    examples: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Report:
    """`scores` as the contract has them, the confusions, most frequent first, and of each intent
    (name, messages, recall, precision)."""

    scores: dict[str, Any]
    confusions: tuple[Confusion, ...]
    intents: tuple[tuple[str, int, float, float], ...]

    def write_page(self, path: Path) -> None:
        """As a page of HTML that needs nothing else."""
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        page = environment.from_string(_PAGE.read_text(encoding="utf-8"))
        path.write_text(page.render(report=self), encoding="utf-8")


def evaluate_intents(classifier: IntentClassifier, utterances: Utterances) -> Report:
    """Accuracy and F1 are over the messages in scope, those below the band counted as wrong; the
    calibration error is theirs too, for nobody knows how many others a shop gets."""
    texts = [*utterances.texts, *utterances.outside]
    probabilities, milliseconds = _timed(classifier, texts)
    labels = classifier.manifest.labels
    advice = [classifier.manifest.bands.advice(p) for p in probabilities.max(1)]
    told = [
        OUT_OF_SCOPE if a == "out_of_scope" else labels[n]
        for a, n in zip(advice, probabilities.argmax(1), strict=True)
    ]
    count = len(utterances.texts)
    named = [*utterances.intents, *[(OUT_OF_SCOPE,)] * len(utterances.outside)]
    truth = [t if t in i else next(iter(i), "") for t, i in zip(told, named, strict=True)]
    right = np.array([a == b for a, b in zip(truth[:count], told, strict=False)])
    refused = np.array([t == OUT_OF_SCOPE for t in told])
    first = [labels[n] for n in probabilities[:count].argmax(1)]
    best = np.array([t in i for t, i in zip(first, utterances.intents, strict=True)])
    outside = len(utterances.outside)
    scores = {
        "n": len(texts),
        "accuracy": round(float(right.mean()), 4),
        "macro_f1": _macro_f1(truth[:count], told[:count]),
        "oos_recall": _share(refused[count:].sum(), outside),
        "oos_precision": _share(refused[count:].sum(), refused.sum()),
        "ece": round(expected_calibration_error(probabilities[:count].max(1), best), 4),
        "p50_ms": round(float(np.median(milliseconds)), 2),
        "clarified": round(advice.count("clarify") / len(texts), 4),
    }
    if utterances.several:
        scores["f1"] = _told_f1(classifier, probabilities[:count], utterances)
    return Report(scores, tuple(_confusions(texts, truth, told)), tuple(_by_intent(truth, told)))


def _timed(classifier: IntentClassifier, texts: Sequence[str]) -> tuple[Probabilities, list[float]]:
    """Each message by itself, as customers send them."""
    rows, milliseconds = [], []
    for text in texts:
        started = time.perf_counter()
        rows.append(classifier.probabilities([text])[0])
        milliseconds.append(1000 * (time.perf_counter() - started))
    return np.stack(rows), milliseconds


def _share(part: int, whole: int) -> float | None:
    return round(float(part / whole), 4) if whole else None


def _macro_f1(truth: Sequence[str], told: Sequence[str]) -> float:
    labels = sorted(set(truth))
    return round(float(f1_score(truth, told, labels=labels, average="macro", zero_division=0)), 4)


def _told_f1(
    classifier: IntentClassifier, probabilities: Probabilities, utterances: Utterances
) -> float:
    """F1 over all (message, intent) pairs, an intent being told from a probability of .5."""
    labels = classifier.manifest.labels
    hits = told = true = 0
    for row, named in zip(probabilities, utterances.intents, strict=True):
        found = {labels[n] for n in np.flatnonzero(row >= 0.5)}
        hits, told, true = hits + len(found & set(named)), told + len(found), true + len(named)
    return round(2 * hits / max(1, told + true), 4)


def expected_calibration_error(
    confidences: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15
) -> float:
    """ECE with equal-width bins (Guo et al., "On calibration of modern neural networks", 2017)."""
    which = np.minimum((confidences * bins).astype(int), bins - 1)
    gaps = [
        abs(confidences[which == b].mean() - right[which == b].mean()) * (which == b).mean()
        for b in range(bins)
        if (which == b).any()
    ]
    return float(sum(gaps))


def _confusions(texts: Sequence[str], truth: Sequence[str], told: Sequence[str]) -> list[Confusion]:
    wrong = [(a, b, x) for a, b, x in zip(truth, told, texts, strict=True) if a != b]
    counts = Counter((a, b) for a, b, _ in wrong)
    return [
        Confusion(a, b, tuple(x for c, d, x in wrong if (c, d) == (a, b))[:_EXAMPLES], count)
        for (a, b), count in counts.most_common()
    ]


def _by_intent(truth: Sequence[str], told: Sequence[str]) -> list[tuple[str, int, float, float]]:
    """The intents with the lowest recall first."""
    hits = Counter(a for a, b in zip(truth, told, strict=True) if a == b)
    rows = [
        (name, count, round(hits[name] / count, 3), round(hits[name] / max(1, told.count(name)), 3))
        for name, count in Counter(truth).items()
    ]
    return sorted(rows, key=lambda row: (row[2], row[0]))
