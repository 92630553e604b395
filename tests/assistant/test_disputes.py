"""An answer from a passage that another contradicts shows both and offers a person."""

from dataclasses import replace

import pytest

from assistant import phrases
from assistant.disputes import REASON
from assistant.grounding import GroundingCheck
from assistant.types import Answer, Dispute, DraftSentence, SentenceReady, Utterance
from tests.assistant.fakes import PASSAGE, FixedSkill, ScriptedGenerator, assistant_with

OTHER = replace(
    PASSAGE, id="faq#0", title="Questions", text="Shoes may come back within 14 days. Ask us.",
    quote="Shoes may come back within 14 days.", relevance=0.0,
)  # fmt: skip
DISPUTED = replace(PASSAGE, disputes=(Dispute("You can return shoes within 30 days.", OTHER),))
QUESTION = Utterance("Can I send shoes back?")


def test_both_pages_are_quoted_and_cited(word_lengths, detector):
    assistant = assistant_with(word_lengths, detector, skill=FixedSkill(DISPUTED))
    events = []
    outcome = assistant.respond(QUESTION, events.append).outcome
    assert isinstance(outcome, Answer)
    assert outcome.reason == REASON
    assert PASSAGE.quote in outcome.text
    assert OTHER.quote in outcome.text
    assert phrases.say("pages_disagree_person", "en") in outcome.text
    assert [c.evidence_id for c in outcome.citations] == ["returns#0", "faq#0"]
    shown = [e.sentence.text for e in events if isinstance(e, SentenceReady)]
    assert shown == [s.text for s in outcome.sentences]


def test_each_sentence_of_such_an_answer_stands_in_what_it_cites(word_lengths, detector):
    assistant = assistant_with(word_lengths, detector, skill=FixedSkill(DISPUTED))
    outcome = assistant.respond(QUESTION).outcome
    for sentence in outcome.sentences:
        draft = DraftSentence(sentence.text, sentence.evidence_id)
        assert GroundingCheck().check(draft, [DISPUTED, OTHER]).supported


def test_a_sentence_that_nobody_disputes_is_answered_as_ever(word_lengths, detector):
    draft = DraftSentence("Worn shoes are not accepted.", "returns#0")
    assistant = assistant_with(
        word_lengths, detector, generator=ScriptedGenerator([draft]), skill=FixedSkill(DISPUTED)
    )
    outcome = assistant.respond(QUESTION).outcome
    assert outcome.text == draft.text
    assert outcome.reason == ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_words_are_there_in_each_language(language):
    assert "X" in phrases.say("pages_disagree", language, title="X")
