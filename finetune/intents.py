"""Train a router and calibrate it: `python -m finetune intents`.

A part of the utterances is held out: they stop the training, set the temperature that calibrates
the probabilities, and the bands in which a message is routed, asked about, or out of scope.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from finetune.fit import (
    Plan,
    finish,
    fit,
    rows_digest,
    training_folder,
    weights_digest,
)
from finetune.intent_bands import Costs, cheapest_bands
from finetune.intent_data import Utterances
from finetune.intent_training import IntentObjective, Recipe, TrainableRouter, targets
from finetune.lora import save_headed
from finetune.rewriting import Rewriting
from finetune.synonyms import Synonyms
from knowledge.intent_classifier import Bands, Manifest
from knowledge.language import Detector

_FEW = 0.05  # share of the texts that may be taken for another language by mistake
_EVERY_OTHER = 5  # one in so many of the messages on other things is held


def train_intents(
    out: Path,
    utterances: Utterances,
    others: Sequence[str],
    recipe: Recipe | None = None,
    costs: Costs | None = None,
    *,
    synonyms: Synonyms | None = None,
    rewriting: Rewriting | None = None,
    resume: bool = False,
) -> Manifest:
    """Train on utterances, and on messages about `others`, and write the classifier to out.

    A run that was cut off goes on with `resume`; its checkpoints and TensorBoard logs are in a
    folder beside out. Raises DataError when an intent has too few utterances.
    """
    recipe, costs = recipe or Recipe(), costs or Costs()
    utterances.require_enough()
    labels = utterances.labels
    learnt, held = utterances.parted(recipe.held, recipe.seed)
    if rewriting:  # never what is held, or its words would be learnt
        learnt = rewriting.added_to(learnt, held.texts)
    held_others = [*held.outside, *others[::_EVERY_OTHER]]
    others = [text for n, text in enumerate(others) if n % _EVERY_OTHER]
    torch.manual_seed(recipe.seed)
    router = TrainableRouter(labels, recipe)
    start = weights_digest(router.net)
    objective = IntentObjective(router, learnt, held, others, recipe, synonyms)
    plan = Plan(objective.steps, seed=recipe.seed)
    run = {
        "recipe": asdict(recipe),
        "data": rows_digest((utterances, learnt, others)),
        "start": start,
    }
    fit(objective, plan, training_folder(out), run, resume=resume)
    objective.keep_best()
    logits, target = router.logits(held.texts), targets(held, labels).numpy()
    languages = languages_of(learnt.texts)
    raw = Manifest(tuple(labels), 1.0, Bands(0.0, 0.0), learnt.several, languages)
    manifest = calibrated(raw, logits, target, router.logits(held_others), costs)
    out.mkdir(parents=True, exist_ok=True)
    save_headed(router.net, out)
    manifest.write(out)
    finish(out)
    return manifest


def languages_of(texts: Sequence[str]) -> tuple[str, ...]:
    """The languages of more than a few of the texts, as far as short messages tell."""
    detector = Detector()
    found = Counter(detector.detect(text).language for text in texts)
    del found[""]
    return tuple(sorted(n for n, count in found.items() if count >= _FEW * len(texts)))


def calibrated(
    raw: Manifest,
    logits: NDArray[np.float32],
    target: NDArray[np.float32],
    outside: NDArray[np.float32],
    costs: Costs,
) -> Manifest:
    """The manifest with the temperature that makes the held utterances likeliest, and the bands
    that cost least on them and on the logits of messages from outside."""

    def loss(log_temperature: float) -> float:
        manifest = replace(raw, temperature=float(np.exp(log_temperature)))
        likely = manifest.probabilities(logits).clip(1e-9, 1 - 1e-9)
        found = np.log(likely) * target
        if raw.several:
            found = found + np.log(1 - likely) * (1 - target)
        return float(-found.sum(1).mean())

    fitted: Any = minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    manifest = replace(raw, temperature=round(float(np.exp(fitted.x)), 4))
    bands = cheapest_bands(
        manifest.probabilities(logits), target, manifest.probabilities(outside), costs
    )
    return replace(manifest, bands=bands)
