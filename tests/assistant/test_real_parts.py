"""The whole path with the real encoder, reranker, router and Chroma, on a few demo documents."""

from pathlib import Path

import pytest

from assistant.build import build_assistant
from assistant.contract import reply_to_json
from assistant.pipeline import Assistant
from assistant.settings import load_settings
from assistant.types import Utterance
from knowledge.build import open_refresher
from tests.conftest import REPOSITORY

DOCUMENTS = REPOSITORY / "assistant" / "demo" / "shop" / "documents"
SOURCES = [
    DOCUMENTS / "en" / "en-promo-codes.md",
    DOCUMENTS / "en" / "en-pay-later.md",
    DOCUMENTS / "en" / "en-agents-refund-limits.md",
    DOCUMENTS / "zh" / "zh-payment-huabei.md",
]


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory, engines: Path) -> Assistant:
    home = tmp_path_factory.mktemp("home")
    (home / "engines").symlink_to(engines)
    settings = load_settings(environment={}, home=home)
    refresher = open_refresher(home, settings.engines, settings.knowledge, lambda *_: None)
    refresher.refresh(SOURCES)
    return build_assistant(settings)


@pytest.mark.parametrize(
    ("text", "document", "language"),
    [
        ("How do I use a promo code?", "en-promo-codes", "en"),
        ("How do I pay with Klarna in the Netherlands?", "en-pay-later", "en"),
        ("花呗可以分几期？", "zh-payment-huabei", "zh"),
    ],
)
def test_a_question_is_answered_from_the_right_passage(assistant, text, document, language):
    reply = reply_to_json(assistant.respond(Utterance(text)), "q1")
    assert reply["outcome"] == "answer"
    assert reply["language"] == language
    assert {c["evidence_id"].split("#")[0] for c in reply["citations"]} == {document}
    assert all(s["supported"] for s in reply["sentences"])


@pytest.mark.parametrize("text", ["What will the weather be tomorrow?", "写一首关于春天的诗"])
def test_what_no_passage_answers_is_withheld_without_citations(assistant, text):
    reply = reply_to_json(assistant.respond(Utterance(text)))
    assert reply["outcome"] in {"refuse", "handoff", "clarify"}
    assert reply["citations"] == []


def test_passages_for_staff_are_never_considered_for_customers(assistant):
    reply = assistant.respond(Utterance("How much goodwill may an agent refund without asking?"))
    assert not any(e.id.startswith("en-agents") for e in reply.considered)


def test_a_person_is_one_sentence_away(assistant):
    assert assistant.respond(Utterance("I want to talk to a real person")).kind == "handoff"
    assert assistant.respond(Utterance("我要转人工客服")).kind == "handoff"
