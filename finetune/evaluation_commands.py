"""Commands that measure what reads: intents, the encoder, the reranker, the inspector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assistant.settings import load_settings
from finetune.command_line import DEFAULT_HOME, UNSEEN_SHOPS, Home, Json, clear_errors, show
from finetune.reader_commands import UNSEEN_STATEMENTS, embedded_encoder
from knowledge.encoder import MiniLM
from knowledge.minilm import minilm_folder

evaluations = typer.Typer()


@evaluations.command("evaluate-intents")
def evaluate_intents_command(
    classifier_folder: Annotated[Path, typer.Argument(help="Folder made by `intents`.")],
    test_file: Annotated[Path, typer.Argument(help="JSON Lines of {text, intent}.")],
    page: Annotated[Path | None, typer.Option(help="HTML page of the confusions.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Measure a classifier on labelled utterances."""
    from finetune.intent_data import Utterances
    from finetune.intent_report import evaluate_intents
    from knowledge.intent_classifier import IntentClassifier

    with clear_errors():
        settings = load_settings(home=home)
        classifier = IntentClassifier(
            classifier_folder, settings.engines, settings.knowledge.threads
        )
        report = evaluate_intents(classifier, Utterances.read([test_file]))
        if page:
            report.write_page(page)
        show(report.scores, as_json)


@evaluations.command("evaluate-encoder")
def evaluate_encoder_command(
    encoder_folder: Annotated[Path, typer.Argument(help="Folder made by `encoder`.")],
    shops: Annotated[Path, typer.Option(help="Shops with questions.")] = UNSEEN_SHOPS,
    pairs: Annotated[
        Path | None, typer.Option(help="JSON Lines of {en, and another language's code}.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Measure how well questions find their passages, and sentences their translations."""
    from finetune.encoder_report import question_scores, read_pairs, translation_scores
    from finetune.reranker_data import shops_below

    with clear_errors():
        settings = load_settings(home=home)
        threads = settings.knowledge.threads
        measured = MiniLM(minilm_folder(), settings.engines, threads, encoder_folder)
        found = question_scores(measured, shops_below(shops))
        if pairs:
            found |= translation_scores(measured, read_pairs(pairs))
        show(found, as_json)


@evaluations.command("evaluate-reranker")
def evaluate_reranker_command(
    reranker_folder: Annotated[Path, typer.Argument(help="Folder made by `reranker`.")],
    shops: Annotated[Path, typer.Option(help="Shops with questions.")] = UNSEEN_SHOPS,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Measure, for each answer threshold, what is answered rightly, wrongly and withheld."""
    from finetune.calibrate import evaluate_reranker
    from finetune.reranker_data import shops_below

    with clear_errors():
        settings = load_settings(home=home)
        thresholds = evaluate_reranker(
            reranker_folder, shops_below(shops), embedded_encoder(settings),
            settings.engines, settings.knowledge,
        )  # fmt: skip
        show(thresholds, as_json)


@evaluations.command("evaluate-verifier")
def evaluate_verifier_command(
    verifier_folder: Annotated[Path, typer.Argument(help="Folder made by `verifier`.")],
    statements: Annotated[Path, typer.Option(help="Written to the shops.")] = UNSEEN_STATEMENTS,
    shops: Annotated[Path, typer.Option(help="The shops.")] = UNSEEN_SHOPS,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Measure how many unsupported statements are caught, and supported ones refused."""
    from finetune.reranker_data import shops_below
    from finetune.verifier_data import held_statements
    from finetune.verifier_report import verifier_scores
    from knowledge.verifier import Verifier

    with clear_errors():
        settings = load_settings(home=home)
        verifier = Verifier(verifier_folder, settings.engines, settings.knowledge.threads)
        held = held_statements(statements, shops_below(shops), embedded_encoder(settings))
        show(verifier_scores(verifier, held, verifier.least), as_json)


@evaluations.command("evaluate-inspector")
def evaluate_inspector_command(
    inspector_folder: Annotated[Path, typer.Argument(help="Folder made by `inspector`.")],
    cases: Annotated[list[Path], typer.Argument(help="JSON Lines of cases.")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Measure what is found of what was planted: precision and recall for each kind."""
    from finetune.inspector_report import inspection_scores
    from knowledge.build import open_inspector

    with clear_errors():
        settings = load_settings(home=home)
        encoder = embedded_encoder(settings, bulk=True)
        inspector = open_inspector(encoder, settings.engines, settings.knowledge, inspector_folder)
        show(inspection_scores(cases, encoder, inspector), as_json)
