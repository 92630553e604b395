"""Routers trained on public sets and measured on rows that they were not trained on.

    python -m benchmarks.intents [--slips .3] [--synonyms 0] [--adversarial 0] [SET ...]

Each set is trained by `python -m finetune intents` as it stands and measured by `evaluate-intents`:
as it is, and with slips of typing in a sixth of the words. HINT3's bots, whose shared part is small
and holds nothing out of scope, are cross-validated in three parts, with CLINC150's out-of-scope
rows in the place of their own.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from assistant.settings import load_settings
from benchmarks.passages import data_folder
from finetune.intent_data import Utterances, outliers
from finetune.intent_report import evaluate_intents
from finetune.intent_training import Recipe
from finetune.intents import train_intents
from finetune.slips import with_slips
from finetune.synonyms import Synonyms
from knowledge.encoder import load_encoder
from knowledge.intent_classifier import IntentClassifier

SETS = (
    "banking77", "hwu64", "clinc150", "crosswoz_intents_zh", "nlupp", "hint3-curekart",
    "hint3-sofmattress",
)  # fmt: skip
_FOLDS = 3
_SLIPS = 0.15  # of the words
_SEED = 1
Part = tuple[Utterances, Utterances]  # learnt, measured


def parts(name: str, data: Path) -> Iterator[Part]:
    """What is learnt and what is measured: once, or for each fold."""
    folder = data / "data" / name.split("-")[0]
    if name == "hwu64":
        yield _read(folder, "train"), _read(folder, "val")
    elif name == "clinc150":
        yield _read(folder, "train", "oos_train"), _read(folder, "val", "oos_val")
    elif name.startswith("hint3-"):
        rows = _read(folder, f"{name.split('-')[1]}_train")
        outside = _read(data / "data" / "clinc150", "oos_train", "oos_val").outside
        for fold in range(_FOLDS):
            learnt, measured = _cut(rows, fold, _FOLDS)
            yield learnt, replace(measured, outside=outside)
    else:
        share = 5 if name in ("crosswoz_intents_zh", "nlupp") else 10
        yield _cut(_read(folder, "train"), 0, share)


def _read(folder: Path, *names: str) -> Utterances:
    return Utterances.read([folder / f"{name}.jsonl.gz" for name in names])


def _cut(rows: Utterances, fold: int, folds: int) -> Part:
    """One row in `folds` is measured, spread over the intents."""
    order = list(range(len(rows.texts)))
    random.Random(_SEED).shuffle(order)
    order.sort(key=lambda n: rows.intents[n])
    measured = set(order[fold::folds])

    learnt = (n for n in range(len(order)) if n not in measured)
    return rows.chosen(learnt), rows.chosen(sorted(measured))


def with_slips_in(rows: Utterances) -> Utterances:
    """The rows as hurried customers would have typed them."""
    rng = random.Random(_SEED)
    return replace(rows, texts=tuple(with_slips(text, _SLIPS, rng) for text in rows.texts))


def measure(part: Part, folder: Path, recipe: Recipe) -> dict[str, Any]:
    """Train and evaluate one part."""
    learnt, measured = part
    settings = load_settings()
    synonyms = None
    if recipe.replacing:
        encoder = load_encoder(None, settings.engines, settings.knowledge.threads)
        synonyms = Synonyms.for_texts(encoder, learnt.texts)
    train_intents(folder, learnt, outliers(), recipe, synonyms=synonyms)
    classifier = IntentClassifier(folder, settings.engines, settings.knowledge.threads)
    scores = evaluate_intents(classifier, measured).scores
    slipped = evaluate_intents(classifier, with_slips_in(measured)).scores
    bands = classifier.manifest.bands
    found = scores | {"low": bands.low, "sure": bands.sure}
    return found | {f"slips_{k}": slipped[k] for k in ("accuracy", "macro_f1", "ece")}


def main() -> None:
    """Measure the sets named, or all; a line of JSON for each, means over the folds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"default: {' '.join(SETS)}")
    parser.add_argument("--slips", type=float, default=Recipe.slipping)
    parser.add_argument("--synonyms", type=float, default=Recipe.replacing)
    parser.add_argument("--adversarial", type=float, default=Recipe.adversarial)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--work", type=Path, help="folder that keeps the classifiers")
    arguments = parser.parse_args()
    recipe = Recipe(
        epochs=arguments.epochs,
        slipping=arguments.slips,
        replacing=arguments.synonyms,
        adversarial=arguments.adversarial,
    )
    data = data_folder()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        for name in arguments.sets or SETS:
            found = [
                measure(part, work / f"{name}-{fold}", recipe)
                for fold, part in enumerate(parts(name, data))
            ]
            means = {
                key: round(float(np.mean([f[key] for f in found])), 4)
                for key in found[0]
                if found[0][key] is not None
            }
            print(json.dumps({"set": name} | means), flush=True)


if __name__ == "__main__":
    main()
