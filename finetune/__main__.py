"""The command line of `finetune`; puts its parts together with the knowledge base's.

Results go to stdout (`--json`: one JSON object and nothing else), logs to stderr. Exit 0 done,
1 failed with one line on stderr, 2 wrong usage.
"""

# The training modules are imported where they are used: torch takes seconds, and neither `prepare`
# nor `--help` needs it.

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.settings import load_settings
from finetune.command_line import (
    DEFAULT_HOME,
    REPLIES,
    SHOPS,
    UNSEEN_SHOPS,
    Base,
    Data,
    Home,
    Json,
    Resume,
    clear_errors,
    configured_encoder,
    fetched_passages,
    show,
)
from finetune.errors import FinetuneError
from finetune.evaluation_commands import evaluations
from finetune.manifest import INT8_ENGINE, NF4_ENGINE
from finetune.product_commands import product_searches
from finetune.propensity_commands import propensities
from finetune.reader_commands import readers
from finetune.recommender_commands import recommenders
from finetune.registry import Registry
from finetune.settings import (
    METHODS,
    RECIPES,
    AdapterRecipe,
    BaseRecipe,
    InstructRecipe,
    WholeModelRecipe,
    load_recipe,
)
from knowledge.masked_logs import mask_logs

if TYPE_CHECKING:
    from finetune.examples import Example

app = typer.Typer(
    help="Train the assistant's models on a shop's own support dialogues.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Grounded = Annotated[
    list[Path] | None, typer.Option(help="JSON Lines of grounded answers; may be repeated.")
]
KEPT_BACK = "kept-back.jsonl.zst"
STARTER = Path(__file__).parents[1] / "assistant" / "weights" / "starter"


@app.callback()
def _logging(
    quiet: Annotated[bool, typer.Option("--quiet", help="Only warnings.")] = False,
) -> None:
    mask_logs()
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
    fetch: Annotated[
        bool, typer.Option(help="Give each reply the passages that HOME's knowledge base finds.")
    ] = False,
    least_quality: Annotated[
        float, typer.Option(min=0, max=1, help="Least share of an agent's turns that answer.")
    ] = 0.0,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Turn support dialogues into training sets: clean, flag, mask personal data, split."""
    from finetune.passages import DocumentPassages
    from finetune.prepare import prepare as run_prepare
    from knowledge.language import Detector

    with clear_errors():
        started, detector = time.monotonic(), Detector()
        lookup = DocumentPassages.load(passages, detector).lookup if passages else None
        retrieve = fetched_passages(home) if fetch else None
        report = run_prepare(sources, out, detector, lookup, retrieve, least_quality)
        seconds = round(time.monotonic() - started, 1)
        show({"out": str(out), **asdict(report), "seconds": seconds}, as_json)


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
        show({"out": str(out), **asdict(report)}, as_json)


@app.command()
def instruct(
    recipe: Annotated[Path, typer.Option(help="YAML file, such as recipes/starter-replies.yaml.")],
    base: Annotated[Path, typer.Option(help="Folder of the model to tune.")],
    out: Annotated[Path, typer.Option(help="Folder for the tuned model.")],
    grounded: Grounded = None,
    lessons: Annotated[
        Path | None, typer.Option(help="What `draw` has drawn, instead of drawing it.")
    ] = None,
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Tune all weights of a starter model on written replies, shops and grounded answers."""
    from finetune.instruct import check
    from finetune.instruct import instruct as run_instruct
    from finetune.lessons import read_lessons

    with clear_errors():
        settings = load_recipe(recipe, InstructRecipe)
        check(base, out)
        if lessons:
            drawn, held_out = read_lessons(lessons), read_lessons(lessons.with_name(KEPT_BACK))
        else:
            drawn, held_out = _drawn(settings, grounded or (), home)
        report = run_instruct(base, drawn, held_out, out, settings, resume)
        show({"out": str(out), **asdict(report)}, as_json)


@app.command()
def draw(
    recipe: Annotated[Path, typer.Option(help="YAML file, such as recipes/starter-replies.yaml.")],
    out: Annotated[Path, typer.Option(help="File for the lessons (.jsonl.zst).")],
    grounded: Grounded = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Draw what `instruct` would learn from to a file, and the replies kept back beside it."""
    from finetune.lessons import write_lessons

    with clear_errors():
        drawn, held_out = _drawn(load_recipe(recipe, InstructRecipe), grounded or (), home)
        write_lessons(out, drawn)
        write_lessons(out.with_name(KEPT_BACK), held_out)
        show({"out": str(out), "examples": len(drawn), "kept_back": len(held_out)}, as_json)


def _drawn(
    recipe: InstructRecipe, grounded: Sequence[Path], home: Path
) -> tuple[Sequence[Example], Sequence[Example]]:
    """What to learn from, and the unseen shops' replies, which are kept back."""
    from finetune.replies import Sources, lesson
    from finetune.reranker_data import shops_below

    encoder = configured_encoder(home)
    sources = Sources(tuple(shops_below(SHOPS)), REPLIES, tuple(grounded))
    unseen = Sources(tuple(shops_below(UNSEEN_SHOPS)), REPLIES)
    held_out = lesson(unseen, encoder, InstructRecipe(copies=1))
    return lesson(sources, encoder, recipe), held_out


@app.command()
def prune(
    out: Annotated[Path, typer.Option(help="Folder for the smaller model.")],
    base: Base = str(STARTER),
    keep: Annotated[float, typer.Option(min=0.05, max=1, help="Share of the units.")] = 0.75,
    shops: Annotated[Path, typer.Option(help="Shops whose passages weigh the units.")] = SHOPS,
    as_json: Json = False,
) -> None:
    """Cut a base's least important feed-forward units out; `instruct` mends what it lost."""
    from finetune.manifest import resolve_base
    from finetune.prune import prune as run_prune
    from finetune.prune import weighing_texts
    from finetune.reranker_data import shops_below

    with clear_errors():
        texts = weighing_texts(shops_below(shops))
        report = run_prune(resolve_base(base), texts, out, keep)
        show({"out": str(out), **asdict(report)}, as_json)


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the adapter.")],
    base: Base = str(STARTER),
    method: Annotated[str | None, typer.Option(help=", ".join(METHODS))] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="YAML file; without, recipes/METHOD.yaml.")
    ] = None,
    search: Annotated[
        int, typer.Option(min=0, help="Try so many recipes first, and take the best.")
    ] = 0,
    replay: Annotated[
        Path | None, typer.Option(help="Prepared folder, or file of `draw`, to learn from again.")
    ] = None,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Train an adapter on a 4-bit base; with --method full a whole model, to compare it with."""
    if method not in {None, *METHODS}:
        raise typer.BadParameter(f"is one of {', '.join(METHODS)}", param_hint="--method")
    from finetune.processes import processes
    from finetune.train import train_adapter, train_whole

    with clear_errors():
        if method == "full":
            whole = load_recipe(recipe or RECIPES / "full.yaml", WholeModelRecipe)
            tuned = train_whole(data, out, base, whole, resume)
            if processes().is_main_process:
                show({"out": str(out), "method": method, **asdict(tuned)}, as_json)
            return
        settings = load_recipe(recipe or RECIPES / f"{method or 'lora'}.yaml", AdapterRecipe)
        if method and settings.method != method:
            raise FinetuneError(f"{recipe} is for {settings.method}, but --method says {method}")
        if search:
            from finetune.search import best_recipe

            settings = best_recipe(data, out, base, settings, search)
        manifest = train_adapter(data, out, base, settings, resume, replay)
        summary = {"base": manifest.base, "method": manifest.method, **manifest.training}
        if processes().is_main_process:
            show({"out": str(out), **summary, "adapter_sha256": manifest.adapter_sha256}, as_json)


@app.command()
def evaluate(
    data: Data,
    base: Base = str(STARTER),
    adapter: Annotated[Path | None, typer.Option(help="Folder of an adapter.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Replies to evaluate at most.")] = 200,
    engine: Annotated[str, typer.Option(help=f"{NF4_ENGINE} or {INT8_ENGINE}.")] = NF4_ENGINE,
    others: Annotated[
        list[Path] | None,
        typer.Option(help="Prepared folder, or file of `draw`, not to be forgotten; repeatable."),
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Measure a base or an adapter on the test split; an adapter's scores go into its manifest, and
    the engine that it is served on from then."""
    if engine not in {NF4_ENGINE, INT8_ENGINE}:
        raise typer.BadParameter(f"is {NF4_ENGINE} or {INT8_ENGINE}", param_hint="--engine")
    from finetune.evaluate import evaluate as run_evaluate
    from finetune.examples import supported_share

    with clear_errors():
        engines = load_settings(home=home).engines
        scores = run_evaluate(
            data, base, adapter, supported_share, engines, engine, limit, others or ()
        )
        show(asdict(scores), as_json)


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
        canary = registry.canary()
        result = {
            "current": current.name if current else None,
            "canary": asdict(canary) if canary else None,
            "adapters": listed,
        }
        show(result, as_json)


@app.command()
def promote(
    adapter: Annotated[Path, typer.Argument(help="Folder of an evaluated adapter.")],
    canary: Annotated[
        float | None, typer.Option(min=0.001, max=0.5, help="Only to so many conversations.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Serve an adapter, if it beats its base on the held-out dialogues. A canary gets a share of
    the conversations, and is stopped when they go worse than the others."""
    with clear_errors():
        name = Registry(home).promote(adapter, canary)
        show({"canary" if canary else "current": name}, as_json)


@app.command()
def rollback(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Stop the canary; without one, serve the adapter promoted before, or the bare base."""
    with clear_errors():
        show({"current": Registry(home).rollback()}, as_json)


app.add_typer(readers)
app.add_typer(evaluations)
app.add_typer(recommenders)
app.add_typer(propensities)
app.add_typer(product_searches)

if __name__ == "__main__":
    app()
