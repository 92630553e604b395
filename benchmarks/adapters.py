"""Adapters on dialogues that the base never saw: what each does beside its base.

    python -m benchmarks.adapters [--recipe YAML] [--engine NAME] [--replay FILE] [SET ...]

demo: the demo shop's dialogues, made up; star: RasaHQ/STAR in english_dialogues; crosswoz: CrossWOZ
val, Chinese. Each is prepared, split by conversation, learnt from and measured on its test split
(`finetune prepare`, `train`, `evaluate`); what is done already is kept in --folder. `forgets` is by
how much the perplexity of what the base could do before grows: replies over unseen shops (--kept,
made by `finetune draw`), and other people's dialogues that the base was pre-trained on. Data is
found in FRONTDESK_DATA.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from assistant.demo.__main__ import main as make_demo
from benchmarks.latency import DEMO
from benchmarks.passages import data_folder
from benchmarks.starter import STARTER
from benchmarks.training import SHOP_SEED
from finetune.evaluate import evaluate
from finetune.examples import supported_share
from finetune.manifest import INT8_ENGINE, NF4_ENGINE, validate_adapter
from finetune.passages import DocumentPassages
from finetune.prepare import prepare
from finetune.reranker_data import read_records
from finetune.settings import RECIPES, AdapterRecipe, load_recipe
from finetune.train import train_adapter
from knowledge.language import Detector

STAR, CROSSWOZ = "RasaHQ/STAR", "thu-coai/CrossWOZ"
OTHERS = 150  # other dialogues of a language
SEED = 7


def demo(folder: Path) -> None:
    """The demo shop's dialogues, each with the passages that its agent had."""
    make_demo(folder / "made", seed=SHOP_SEED)
    detector = Detector()
    lookup = DocumentPassages.load([DEMO / "documents"], detector).lookup
    prepare([folder / "made" / "dialogues.jsonl"], folder / "data", detector, lookup)


def star(folder: Path) -> None:
    """English dialogues about bookings, banks and parties, without passages."""
    write(folder / "star.jsonl", star_records())
    prepare([folder / "star.jsonl"], folder / "data", Detector())


def crosswoz(folder: Path) -> None:
    """Chinese dialogues about places to stay, to see and to eat at, without passages."""
    prepare([data_folder() / "data" / "crosswoz" / "val.jsonl.gz"], folder / "data", Detector())


SETS: dict[str, Callable[[Path], None]] = {"demo": demo, "star": star, "crosswoz": crosswoz}


def star_records() -> Iterator[dict[str, Any]]:
    """STAR's dialogues as native records."""
    rows = read_records(data_folder() / "corpora" / "english_dialogues.jsonl.zst")
    for number, row in enumerate(r for r in rows if r["source"] == STAR):
        yield {"id": f"star-{number}", "turns": row["turns"]}


def others(folder: Path) -> Path:
    """Dialogues of neither set, all of them to measure on, prepared once."""
    if not (folder / "manifest.json").is_file():
        rng, records = random.Random(SEED), []
        for name in ("english", "chinese"):
            rows = read_records(data_folder() / "corpora" / f"{name}_dialogues.jsonl.zst")
            usable = [r["turns"] for r in rows if r["source"] not in {STAR, CROSSWOZ}]
            records += [{"turns": t, "split": "test"} for t in rng.sample(usable, OTHERS)]
        write(folder.with_suffix(".jsonl"), records)
        prepare([folder.with_suffix(".jsonl")], folder, Detector())
    return folder


def write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """JSON Lines; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(r, ensure_ascii=False) + "\n" for r in records)
    path.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    """Print the scores of base and adapter for each set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], default=[], metavar="SET")
    parser.add_argument("--recipe", type=Path, default=RECIPES / "quick-lora.yaml")
    parser.add_argument("--engine", choices=(NF4_ENGINE, INT8_ENGINE), default=INT8_ENGINE)
    parser.add_argument("--replay", type=Path, help="lessons of the base to learn from again")
    parser.add_argument("--kept", type=Path, help="lessons that the base must not forget")
    parser.add_argument("--folder", type=Path, default=Path(".frontdesk/adapters-measured"))
    parser.add_argument("--limit", type=int, default=200, help="replies to measure on")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe = load_recipe(arguments.recipe, AdapterRecipe)
    unseen = [
        others(arguments.folder / "other-dialogues"),
        *([arguments.kept] if arguments.kept else []),
    ]
    for name in arguments.sets or SETS:
        folder: Path = arguments.folder / name
        if not (folder / "data" / "manifest.json").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            SETS[name](folder)
        adapter = folder / arguments.recipe.stem
        train_adapter(folder / "data", adapter, STARTER, recipe, True, arguments.replay)
        evaluate(
            folder / "data", STARTER, adapter, supported_share, arguments.folder / "engines",
            arguments.engine, arguments.limit, unseen,
        )  # fmt: skip
        card = validate_adapter(adapter).scores
        assert card
        for who, scores in (("base", card.base), ("adapter", card.adapter)):
            print(
                f"{name:9} {who:8} perplexity {scores.perplexity:.2f} ROUGE-L {scores.rouge_l:.3f} "
                f"chrF {scores.chrf:.3f} supported {scores.supported:.3f} cites {scores.cites:.3f} "
                f"language {scores.same_language:.3f} words {scores.words:.1f} n {scores.n}"
            )
        print(f"{name:9} forgets  {card.forgetting}", flush=True)


if __name__ == "__main__":
    main()
