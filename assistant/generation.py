"""The generator seam: evidence to a draft, sentence by sentence."""

from __future__ import annotations

import collections.abc
from collections.abc import Sequence
from typing import Protocol, TypeAlias

from assistant import phrases
from assistant.types import DraftSentence, Evidence, GeneratorName, Question
from knowledge.segment import split_sentences

# Sentences in order; closed, it ends the generation.
Drafts: TypeAlias = collections.abc.Generator[DraftSentence, None, None]


class Generator(Protocol):
    """Proposes a reply. Whatever it says is checked before a customer sees it."""

    name: GeneratorName

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
        """Yield sentences in order; evidence is sorted best first and never empty.

        Raises GenerationError when nothing can be generated.
        """
        ...


class QuotingComposer:
    """Answers by quoting the passage's own sentences; needs no model and invents nothing."""

    name: GeneratorName = "quote"

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
        """Quote the best evidence; in another language than the reply's, under a short lead-in."""
        best = evidence[0]
        if best.kind != "passage":  # what the shop or the order says is not cut
            yield from _word_for_word(best)
            return
        if best.language != question.language:
            lead_in = phrases.foreign_lead_in(question.language, best.language)
            yield DraftSentence(lead_in, best.id, is_frame=True)
        for line in (best.quote or best.text).splitlines():
            for position, sentence in enumerate(split_sentences(line)):
                yield DraftSentence(sentence, best.id, starts_line=position == 0)


def _word_for_word(evidence: Evidence) -> Drafts:
    """The whole text, with all that stands between its sentences."""
    end = 0
    for sentence in split_sentences(evidence.text):
        start = evidence.text.index(sentence, end)
        yield DraftSentence(sentence, evidence.id, joint=evidence.text[end:start])
        end = start + len(sentence)
