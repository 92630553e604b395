"""What the knowledge skill does where no passage answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from assistant.settings import load_settings
from assistant.skills import KnowledgeSkill
from assistant.types import Clarify, Handoff, Intent, Message, Question, Refuse
from knowledge.intent_classifier import OUT_OF_SCOPE
from knowledge.retrieve import KnowledgeBase

UNSURE = Intent("returns", 0.5, (("refund", 0.4),), is_sure=False, either=("returns", "refund"))
SURE = Intent("returns", 0.9)


def outcome(
    text: str, intent: Intent, language: str = "en", history: tuple[Message, ...] = ()
) -> Any:
    """What the skill ends a turn with over a knowledge base in which nothing is found."""
    encoder = SimpleNamespace(
        embed=lambda texts: np.zeros((len(texts), 4), np.float32),
        known_share=lambda _, language: float(language in ("en", "zh")),
    )
    nothing = SimpleNamespace(encoder=encoder, candidates=lambda *asked, depth: [], version="v1")
    skill = KnowledgeSkill(cast(KnowledgeBase, nothing), load_settings(environment={}))
    return skill.fetch(Question(text, text, language, history), intent).outcome


@pytest.mark.parametrize(
    ("language", "choices"),
    [("en", ("returning something", "a refund")), ("zh", ("退货", "退款"))],
)
def test_between_two_intents_the_customer_is_asked_which_is_meant(language, choices):
    asked = outcome("My blue parcel money came back wrong", UNSURE, language)
    assert isinstance(asked, Clarify)
    assert (asked.reason, asked.choices) == ("intent:unsure", choices)


def test_who_has_chosen_is_not_asked_again():
    asked = Message("assistant", outcome("My blue parcel money came back wrong", UNSURE).text)
    assert isinstance(outcome("returning something blue", UNSURE, history=(asked,)), Handoff)


def test_an_intent_that_a_shop_has_named_itself_is_shown_by_its_label():
    own = Intent("pet_food", 0.5, is_sure=False, either=("pet_food", "refund"))
    assert outcome("kibble came back in the wrong parcel", own).choices == ("pet food", "a refund")


def test_a_sure_intent_without_a_passage_goes_to_a_person_and_another_subject_is_refused():
    assert isinstance(outcome("My blue parcel money came back wrong", SURE), Handoff)
    assert isinstance(outcome("Who wrote the play Hamlet?", Intent(OUT_OF_SCOPE, 0.9)), Refuse)


def test_in_a_language_that_the_router_does_not_know_nobody_is_told_to_be_out_of_scope():
    asked = outcome("где мой заказ, я жду уже неделю", Intent(OUT_OF_SCOPE, 0.9), "ru")
    assert isinstance(asked, Handoff)


def test_the_version_that_was_searched_is_told():
    encoder = SimpleNamespace(embed=lambda texts: np.zeros((1, 4), np.float32))
    knowledge = SimpleNamespace(
        encoder=encoder, candidates=lambda *asked, depth: [], version="20260901-1"
    )
    skill = KnowledgeSkill(cast(KnowledgeBase, knowledge), load_settings(environment={}))
    assert skill.fetch(Question("Hm", "Hm", "en"), SURE).version == "20260901-1"
