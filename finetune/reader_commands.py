"""Commands that train what reads: intents, encoder, reranker, inspector, verifier."""

# The training modules are imported where they are used: torch takes seconds.

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.settings import Settings, load_settings
from finetune.command_line import (
    DEFAULT_HOME,
    DEMO,
    REPLIES,
    SHOPS,
    UNSEEN_SHOPS,
    Home,
    Json,
    Resume,
    clear_errors,
    log,
    show,
)
from finetune.errors import DataError
from knowledge.encoder import Encoder, load_encoder

if TYPE_CHECKING:
    from finetune.reranker_data import Shop
    from finetune.rewriting import Rewriter
    from finetune.verifier_data import Statement

readers = typer.Typer()
_DEMO_WEIGHT = 3  # the demo shop's questions count this often
FINDINGS = Path(__file__).parent / "findings"
STATEMENTS = Path(__file__).parent / "statements"
UNSEEN_STATEMENTS = Path(__file__).parent / "unseen_statements"
RERANKER = Path(__file__).parents[1] / "knowledge" / "weights" / "reranker"


@readers.command()
def intents(
    train_files: Annotated[list[Path], typer.Argument(help="JSON Lines of {text, intent}.")],
    out: Annotated[Path, typer.Option(help="Folder for the classifier.")],
    epochs: Annotated[int, typer.Option(min=1, help="Most passes over the messages.")] = 10,
    wrong_route: Annotated[float, typer.Option(min=0, help="Cost of a wrong route.")] = 5.0,
    clarification: Annotated[float, typer.Option(min=0, help="Cost of a needless question.")] = 1.0,
    hand_off: Annotated[float, typer.Option(min=0, help="Cost of a needless hand-off.")] = 3.0,
    outside: Annotated[float, typer.Option(min=0, max=1, help="Share out of scope.")] = 0.1,
    slips: Annotated[float, typer.Option(min=0, max=1, help="Share seen with slips.")] = 0.3,
    synonyms: Annotated[float, typer.Option(min=0, max=1, help="Share with synonyms.")] = 0.0,
    adversarial: Annotated[float, typer.Option(min=0, help="Move of the embeddings.")] = 0.0,
    rewrite: Annotated[bool, typer.Option(help="Let the language model say it anew.")] = False,
    translate: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Models that translate there and back.")
    ] = None,
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Train the router's classifier."""
    from finetune.intent_bands import Costs
    from finetune.intent_data import Utterances, outliers
    from finetune.intent_training import Recipe
    from finetune.intents import train_intents
    from finetune.rewriting import Rewriting
    from finetune.synonyms import Synonyms

    with clear_errors():
        settings = load_settings(home=home)
        costs = Costs(wrong_route, clarification, hand_off, outside)
        recipe = Recipe(epochs=epochs, slipping=slips, replacing=synonyms, adversarial=adversarial)
        utterances = Utterances.read(train_files)
        trained = embedded_encoder(settings) if synonyms or rewrite or translate else None
        rewriters = _rewriters(settings, rewrite, translate)
        manifest = train_intents(
            out,
            utterances,
            outliers(),
            recipe,
            costs,
            synonyms=Synonyms.for_texts(trained, utterances.texts)
            if trained and synonyms
            else None,
            rewriting=Rewriting(rewriters, trained) if trained and rewriters else None,
            resume=resume,
        )
        result = {"intents": len(manifest.labels), "temperature": manifest.temperature}
        show(result | asdict(manifest.bands), as_json)


def _rewriters(
    settings: Settings, by_model: bool, translate: tuple[Path, Path] | None
) -> list[Rewriter]:
    """The configured models that say messages in other words."""
    from finetune.manifest import resolve_base
    from finetune.rewriters import BackTranslation, LanguageModelRewriter

    found: list[Rewriter] = []
    if by_model:
        if not settings.model.base:
            raise DataError("set model.base to a language model, or leave --rewrite out")
        found.append(LanguageModelRewriter(resolve_base(settings.model.base)))
    if translate:
        found.append(BackTranslation(*translate))
    return found


@readers.command()
def encoder(
    out: Annotated[Path, typer.Option(help="Folder for the adapter and the added words.")],
    shops: Annotated[Path, typer.Option(help="Shops to learn questions from.")] = SHOPS,
    text: Annotated[list[Path] | None, typer.Option(help="More texts whose words count.")] = None,
    words: Annotated[int, typer.Option(min=1, help="Words to add, beside characters.")] = 9000,
    steps: Annotated[int, typer.Option(min=1)] = 480,
    start: Annotated[Path | None, typer.Option(help="Train this one's adapter further.")] = None,
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Teach the encoder languages and questions; public sets are found in FRONTDESK_DATA."""
    from finetune.encoder import Lessons, Recipe, train_encoder
    from finetune.encoder_data import chinese_texts, parallel_pairs
    from finetune.encoder_questions import (
        answered_questions,
        grounded_files,
        grounded_questions,
    )
    from finetune.encoder_words import added_words, words_of
    from finetune.reranker_data import demo_shops, shops_below

    with clear_errors():
        settings = load_settings(home=home)
        data = _public_data(settings)
        rng = random.Random(Recipe.seed)
        pairs = parallel_pairs(data, rng)
        if start:
            added = words_of(start)
        else:
            log.info("adding words")
            added = added_words(chinese_texts(data, [shops, *(text or ())]), pairs, words)
        trained = embedded_encoder(settings)
        asked = [answered_questions(shop, trained) for shop in shops_below(shops)]
        asked += _DEMO_WEIGHT * [answered_questions(shop, trained) for shop in demo_shops(DEMO)]
        documents = [grounded_questions(path, rng) for path in grounded_files(data)]
        lessons = Lessons(pairs, asked, documents)
        train_encoder(out, added, lessons, Recipe(steps=steps), start=start, resume=resume)
        show({"tokens": len(added.tokens), "steps": steps}, as_json)


@readers.command()
def reranker(
    out: Annotated[Path, typer.Option(help="Folder for the adapter and its calibration.")],
    shops: Annotated[Path, typer.Option(help="Shops to train on.")] = SHOPS,
    unseen: Annotated[Path, typer.Option(help="Shops to calibrate on.")] = UNSEEN_SHOPS,
    start: Annotated[Path | None, typer.Option(help="Adapter to go on from.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 2,
    pairs: Annotated[int | None, typer.Option(min=1, help="Most pairs an epoch.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Smaller to go on from --start.")] = 5e-4,
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Train and calibrate the reranker; public sets are found in FRONTDESK_DATA."""
    from finetune.calibrate import calibrate
    from finetune.reranker import train_reranker
    from finetune.reranker_data import Material, demo_shops, shops_below, with_replied

    with clear_errors():
        settings = load_settings(home=home)
        trained = embedded_encoder(settings)
        learned = [with_replied(shop, REPLIES) for shop in shops_below(shops)]
        material = Material(
            shops=(*learned, *(_DEMO_WEIGHT * demo_shops(DEMO))),
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
            rate=rate,
            resume=resume,
            log=log.info,
        )
        log.info("calibrating")
        public = _public_shops(settings)
        thresholds = calibrate(
            out, material.unseen, trained, settings.engines, settings.knowledge, public
        )
        show(scores | {"thresholds": thresholds}, as_json)


@readers.command("calibrate-reranker")
def calibrate_reranker(
    folder: Annotated[Path, typer.Argument(help="Folder made by `reranker`.")],
    unseen: Annotated[Path, typer.Option(help="Shops to calibrate on.")] = UNSEEN_SHOPS,
    keep_order: Annotated[
        bool, typer.Option(help="Leave the order of candidates: the encoder is the same.")
    ] = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Fit a reranker's probabilities anew, and show what each answer threshold would give; public
    sets are found in FRONTDESK_DATA."""
    from finetune.calibrate import calibrate
    from finetune.reranker_data import shops_below

    with clear_errors():
        settings = load_settings(home=home)
        trained = embedded_encoder(settings)
        public = [] if keep_order else _public_shops(settings)
        thresholds = calibrate(
            folder,
            shops_below(unseen),
            trained,
            settings.engines,
            settings.knowledge,
            public,
            keep_order,
        )
        show(thresholds, as_json)


@readers.command()
def inspector(
    out: Annotated[Path, typer.Option(help="Folder for the adapter and what goes with it.")],
    findings: Annotated[Path, typer.Option(help="Cases; *-held.jsonl set the limits.")] = FINDINGS,
    shops: Annotated[Path, typer.Option(help="Shops that hold no finding.")] = SHOPS,
    start: Annotated[Path, typer.Option(help="The reranker to go on from.")] = RERANKER,
    told: Annotated[Path | None, typer.Option(help="An adapter that stage one has made.")] = None,
    epochs: Annotated[int, typer.Option(min=0, help="0: only what goes with the adapter.")] = 3,
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Train what looks for findings; public sets are found in FRONTDESK_DATA."""
    from finetune.inspector import Lessons, train_inspector
    from finetune.inspector_limits import fit_beside
    from finetune.ordinary import Ordinary
    from finetune.reranker_data import demo_shops, shops_below

    with clear_errors():
        settings = load_settings(home=home)
        trained = embedded_encoder(settings, bulk=True)
        ordinary = Ordinary.read(_public_data(settings))
        held = [*shops_below(shops), *demo_shops(DEMO)]
        lessons = Lessons.read(findings, held, REPLIES, ordinary)
        if epochs:
            train_inspector(
                out, lessons, trained, start,
                told=told, epochs=epochs, resume=resume, log=log.info,
            )  # fmt: skip
        show(fit_beside(out, lessons, trained, settings.engines, log.info), as_json)


@readers.command()
def verifier(
    out: Annotated[Path, typer.Option(help="Folder for the adapter and its calibration.")],
    shops: Annotated[Path, typer.Option(help="Shops to train on.")] = SHOPS,
    statements: Annotated[Path, typer.Option(help="What was written to them.")] = STATEMENTS,
    held: Annotated[Path, typer.Option(help="Written to the unseen shops.")] = UNSEEN_STATEMENTS,
    unseen: Annotated[Path, typer.Option(help="Shops to calibrate on.")] = UNSEEN_SHOPS,
    start: Annotated[Path, typer.Option(help="The reranker to go on from.")] = RERANKER,
    epochs: Annotated[int, typer.Option(min=1)] = 1,
    rate: Annotated[float, typer.Option(min=0)] = 2e-4,
    plenty: Annotated[
        float, typer.Option(min=0.1, help="Times as many statements as two cores can learn from.")
    ] = 1.0,
    resume: Resume = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Train and calibrate what verifies replies; public sets are found in FRONTDESK_DATA."""
    from finetune.pair_training import PairRecipe
    from finetune.reranker_data import shops_below
    from finetune.verifier import Lessons, train_verifier
    from finetune.verifier_data import held_statements
    from finetune.verifier_report import calibrate_verifier, verifier_scores
    from knowledge.verifier import Verifier

    with clear_errors():
        settings = load_settings(home=home)
        trained = embedded_encoder(settings)
        kept = held_statements(held, shops_below(unseen), trained)
        asked = shops_below(shops)
        lessons = Lessons.of(asked, trained, statements, REPLIES, settings.data, plenty)
        recipe = PairRecipe(epochs, 32, rate)
        train_verifier(out, lessons, start, recipe, resume=resume, log=log.info)
        found = Verifier(out, settings.engines, settings.knowledge.threads)
        judged = [s for s in kept if _passes_rules(s)]
        least = calibrate_verifier(out, found, judged)
        scores = verifier_scores(found, kept, least)
        beside = {"after_rules": verifier_scores(found, judged, least)}
        show({"supported_from": least} | scores | beside, as_json)


def _passes_rules(statement: Statement) -> bool:
    """Whether the exact rules let a statement through: only then is the verifier asked."""
    from assistant.grounding import GroundingCheck
    from assistant.types import Evidence

    passage = Evidence("", "passage", "", "", statement.text, "", 1.0, "")
    return not GroundingCheck().objection(statement.sentence, passage)


def _public_data(settings: Settings) -> Path:
    if settings.data is None:
        raise DataError("set FRONTDESK_DATA to the folder of the public sets")
    return settings.data


def _public_shops(settings: Settings) -> list[Shop]:
    """What the order of candidates is learnt from beside the shops; nothing without the sets."""
    from finetune.public_questions import public_shops

    return list(public_shops(settings.data)) if settings.data else []


def embedded_encoder(settings: Settings, *, bulk: bool = False) -> Encoder:
    """The one whose words the reader reads, whatever the settings say."""
    return load_encoder(None, settings.engines, settings.knowledge.threads, bulk=bulk)
