"""The command line of `finetune`; puts its parts together with the knowledge base's.

Results go to stdout (`--json`: one JSON object and nothing else), logs to stderr. Exit 0 done,
1 failed with one line on stderr, 2 wrong usage.
"""

# The training modules are imported where they are used: torch takes seconds, and neither `prepare`
# nor `--help` needs it.

from __future__ import annotations

import json
import logging
import random
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant.errors import AssistantError
from assistant.settings import Settings, load_settings
from finetune.errors import DataError, FinetuneError
from finetune.registry import Registry
from finetune.settings import RECIPES, AdapterRecipe, BaseRecipe, InstructRecipe, load_recipe
from knowledge.command_line import one_line_errors
from knowledge.encoder import Encoder, load_encoder
from knowledge.errors import KnowledgeError

log = logging.getLogger("finetune")
app = typer.Typer(
    help="Train the assistant's models on a shop's own support dialogues.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

SHOPS = Path(__file__).parent / "shops"
UNSEEN_SHOPS = Path(__file__).parent / "unseen_shops"
REPLIES = Path(__file__).parent / "replies"
DEMO = Path(__file__).parents[1] / "assistant" / "demo" / "shop"
_DEMO_WEIGHT = 3  # the demo shop's questions count this often
STARTER = Path(__file__).parents[1] / "assistant" / "weights" / "starter"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Home = Annotated[Path, typer.Option(envvar="FRONTDESK_HOME", help="Folder that holds all state.")]
Base = Annotated[str, typer.Option(help="Folder or hub id of the base model.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
Data = Annotated[Path, typer.Option(help="Folder made by `prepare`.")]
clear_errors = partial(one_line_errors, FinetuneError, KnowledgeError, AssistantError)
DEFAULT_HOME = Path(".frontdesk")


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    for key, value in result.items():
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
        print(f"{key}: {text}")


@app.callback()
def _logging(
    quiet: Annotated[bool, typer.Option("--quiet", help="Only warnings.")] = False,
) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(name)s %(message)s",
        datefmt="%H:%M:%S",
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)


@app.command()
def prepare(
    sources: Annotated[list[Path], typer.Argument(help="Files or folders of .jsonl or .csv.")],
    out: Annotated[Path, typer.Option(help="Folder for the training sets.")],
    passages: Annotated[
        list[Path] | None,
        typer.Option(help="Documents that the dialogues' passage ids name (file or folder)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn support dialogues into training sets: clean, mask personal data, split."""
    from finetune.passages import DocumentPassages
    from finetune.prepare import prepare as run_prepare
    from knowledge.language import Detector

    with clear_errors():
        started, detector = time.monotonic(), Detector()
        lookup = DocumentPassages.load(passages, detector).lookup if passages else None
        report = run_prepare(sources, out, detector, lookup)
        seconds = round(time.monotonic() - started, 1)
        _print({"out": str(out), **asdict(report), "seconds": seconds}, as_json)


@app.command()
def pretrain(
    recipe: Annotated[Path, typer.Option(help="YAML file, such as recipes/tiny-base.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder made by `prepare`, or JSON Lines of texts; may be repeated."),
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Folder of a tokenizer to use instead of training one.")
    ] = None,
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Train a small base model from scratch. Data: HOME/training unless given."""
    from finetune.base import pretrain as run_pretrain

    with clear_errors():
        settings = load_recipe(recipe, BaseRecipe)
        report = run_pretrain(data or [home / "training"], out, settings, resume, tokenizer)
        _print({"out": str(out), **asdict(report)}, as_json)


@app.command()
def instruct(
    recipe: Annotated[Path, typer.Option(help="YAML file, such as recipes/starter-replies.yaml.")],
    base: Annotated[Path, typer.Option(help="Folder of the model to tune.")],
    out: Annotated[Path, typer.Option(help="Folder for the tuned model.")],
    grounded: Annotated[
        list[Path] | None, typer.Option(help="JSON Lines of grounded answers; may be repeated.")
    ] = None,
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Tune all weights of a starter model on written replies, shops and grounded answers."""
    from finetune.instruct import check
    from finetune.instruct import instruct as run_instruct
    from finetune.replies import Sources, lesson
    from finetune.reranker_data import shops_below

    with clear_errors():
        settings = load_recipe(recipe, InstructRecipe)
        check(base, out)
        encoder = _encoder(home)
        sources = Sources(tuple(shops_below(SHOPS)), REPLIES, tuple(grounded or ()))
        unseen = Sources(tuple(shops_below(UNSEEN_SHOPS)), REPLIES)
        held_out = lesson(unseen, encoder, InstructRecipe(copies=1))
        report = run_instruct(
            base, lesson(sources, encoder, settings), held_out, out, settings, resume
        )
        _print({"out": str(out), **asdict(report)}, as_json)


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the adapter.")],
    base: Base = str(STARTER),
    method: Annotated[str | None, typer.Option(help="lora or adalora.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="YAML file; without, recipes/METHOD.yaml.")
    ] = None,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Train an adapter on a 4-bit base."""
    if method not in {None, "lora", "adalora"}:
        raise typer.BadParameter("is lora or adalora", param_hint="--method")
    from finetune.train import train_adapter

    with clear_errors():
        settings = load_recipe(recipe or RECIPES / f"{method or 'lora'}.yaml", AdapterRecipe)
        if method and settings.method != method:
            raise FinetuneError(f"{recipe} is for {settings.method}, but --method says {method}")
        manifest = train_adapter(data, out, base, settings, resume)
        summary = {"base": manifest.base, "method": manifest.method, **manifest.training}
        _print({"out": str(out), **summary, "adapter_sha256": manifest.adapter_sha256}, as_json)


@app.command()
def evaluate(
    data: Data,
    base: Base = str(STARTER),
    adapter: Annotated[Path | None, typer.Option(help="Folder of an adapter.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Replies to evaluate at most.")] = 200,
    as_json: Json = False,
) -> None:
    """Measure a base or an adapter on the test split; an adapter's scores go into its manifest."""
    from finetune.evaluate import evaluate as run_evaluate
    from finetune.examples import supported_by_words

    with clear_errors():
        scores = run_evaluate(data, base, adapter, supported_by_words, limit)
        _print(asdict(scores), as_json)


@app.command()
def adapters(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """List the promoted adapters and the one that is served."""
    with clear_errors():
        registry = Registry(home)
        current = registry.current()
        listed = [
            {
                "name": name,
                "method": m.method,
                "base": m.base,
                "created": m.created,
                "scores": asdict(m.scores.adapter) if m.scores else None,
            }
            for name, m in registry.list().items()
        ]
        _print({"current": current.name if current else None, "adapters": listed}, as_json)


@app.command()
def promote(
    adapter: Annotated[Path, typer.Argument(help="Folder of an evaluated adapter.")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Serve an adapter, if it beats its base on the held-out dialogues."""
    with clear_errors():
        _print({"current": Registry(home).promote(adapter)}, as_json)


@app.command()
def rollback(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Serve the adapter promoted before, or the bare base."""
    with clear_errors():
        _print({"current": Registry(home).rollback()}, as_json)


@app.command()
def intents(
    train_file: Annotated[Path, typer.Argument(help="JSON Lines of {text, intent}.")],
    out: Annotated[Path, typer.Option(help="Folder for the classifier.")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Train the router's classifier."""
    from finetune.intents import read_utterances, train_intents

    with clear_errors():
        encoder = _encoder(home)
        texts, labels = read_utterances(train_file)
        classifier = train_intents(texts, labels, encoder)
        classifier.save(out)
        result = {"n": len(texts), "intents": len(classifier.labels)}
        _print(result | {"temperature": round(classifier.temperature, 4)}, as_json)


@app.command("evaluate-intents")
def evaluate_intents_command(
    classifier_folder: Annotated[Path, typer.Argument(help="Folder made by `intents`.")],
    test_file: Annotated[Path, typer.Argument(help="JSON Lines of {text, intent}.")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Measure a classifier on labelled utterances."""
    from finetune.intents import evaluate_intents, read_utterances
    from knowledge.classify import TextClassifier

    with clear_errors():
        classifier = TextClassifier.load(classifier_folder)
        texts, labels = read_utterances(test_file)
        _print(evaluate_intents(classifier, texts, labels, _encoder(home)), as_json)


@app.command()
def encoder(
    out: Annotated[Path, typer.Option(help="Folder for the adapter and the added words.")],
    shops: Annotated[Path, typer.Option(help="Shops to learn questions from.")] = SHOPS,
    text: Annotated[list[Path] | None, typer.Option(help="More texts whose words count.")] = None,
    words: Annotated[int, typer.Option(min=1, help="Words to add, beside characters.")] = 9000,
    steps: Annotated[int, typer.Option(min=1)] = 480,
    start: Annotated[Path | None, typer.Option(help="Train this one's adapter further.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Teach the encoder Chinese and shops' questions; public sets are found in FRONTDESK_DATA."""
    from finetune.encoder import (
        Recipe,
        added_words,
        answered_questions,
        train_encoder,
        words_of,
    )
    from finetune.encoder_data import chinese_texts, parallel_pairs
    from finetune.reranker_data import demo_shops, shops_below

    with clear_errors():
        settings = load_settings(home=home)
        data = _public_data(settings)
        pairs = parallel_pairs(data, random.Random(Recipe.seed))
        if start:
            added = words_of(start)
        else:
            log.info("adding words")
            added = added_words(chinese_texts(data, [shops, *(text or ())]), pairs, words)
        trained = _embedded_encoder(settings)
        asked = [answered_questions(shop, trained) for shop in shops_below(shops)]
        asked += _DEMO_WEIGHT * [answered_questions(shop, trained) for shop in demo_shops(DEMO)]
        train_encoder(out, added, pairs, asked, Recipe(steps=steps), start=start, log=log.info)
        _print({"tokens": len(added.tokens), "steps": steps}, as_json)


@app.command()
def reranker(
    out: Annotated[Path, typer.Option(help="Folder for the adapter and its calibration.")],
    shops: Annotated[Path, typer.Option(help="Shops to train on.")] = SHOPS,
    unseen: Annotated[Path, typer.Option(help="Shops to calibrate on.")] = UNSEEN_SHOPS,
    start: Annotated[Path | None, typer.Option(help="Adapter to go on from.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 2,
    pairs: Annotated[int | None, typer.Option(min=1, help="Most pairs an epoch.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Train and calibrate the reranker; public sets are found in FRONTDESK_DATA."""
    from finetune.calibrate import calibrate
    from finetune.reranker import train_reranker
    from finetune.reranker_data import Material, demo_shops, shops_below

    with clear_errors():
        settings = load_settings(home=home)
        trained = _embedded_encoder(settings)
        material = Material(
            shops=(*shops_below(shops), *(_DEMO_WEIGHT * demo_shops(DEMO))),
            unseen=tuple(shops_below(unseen)),
        )
        scores = train_reranker(
            out,
            material,
            trained,
            settings.data,
            start=start,
            epochs=epochs,
            most=pairs,
            log=log.info,
        )
        log.info("calibrating")
        thresholds = calibrate(out, material.unseen, trained, settings.engines, settings.knowledge)
        _print(scores | {"thresholds": thresholds}, as_json)


@app.command("calibrate-reranker")
def calibrate_reranker(
    folder: Annotated[Path, typer.Argument(help="Folder made by `reranker`.")],
    unseen: Annotated[Path, typer.Option(help="Shops to calibrate on.")] = UNSEEN_SHOPS,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Fit a reranker's probabilities anew, and show what each answer threshold would give."""
    from finetune.calibrate import calibrate
    from finetune.reranker_data import shops_below

    with clear_errors():
        settings = load_settings(home=home)
        trained = _embedded_encoder(settings)
        thresholds = calibrate(
            folder, shops_below(unseen), trained, settings.engines, settings.knowledge
        )
        _print(thresholds, as_json)


def _public_data(settings: Settings) -> Path:
    if settings.data is None:
        raise DataError("set FRONTDESK_DATA to the folder of the public sets")
    return settings.data


def _embedded_encoder(settings: Settings) -> Encoder:
    """The one whose words the reader reads, whatever the settings say."""
    return load_encoder(None, settings.engines, settings.knowledge.threads)


def _encoder(home: Path) -> Encoder:
    settings = load_settings(home=home)
    return load_encoder(settings.knowledge.encoder, settings.engines, settings.knowledge.threads)


if __name__ == "__main__":
    app()
