"""The same messages in other words, where the encoder takes them for the same messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from finetune.intent_data import Utterances
from knowledge.encoder import Encoder

SAME_MEANING = 0.7  # least cosine to the message


class Rewriter(Protocol):
    """Puts messages in other words."""

    def rewrite(self, texts: Sequence[str]) -> list[str]:
        """One text for each, in order; "" where it has none."""
        ...


@dataclass(frozen=True)
class Rewriting:
    """Adds to utterances what rewriters make of them, as far as it means the same."""

    rewriters: Sequence[Rewriter]
    encoder: Encoder

    def added_to(self, utterances: Utterances) -> Utterances:
        """The utterances with their rewritings, each text once."""
        found = dict(zip(utterances.texts, utterances.intents, strict=True))
        for rewriter in self.rewriters:
            written = rewriter.rewrite(utterances.texts)
            own, other = self.encoder.embed(utterances.texts), self.encoder.embed(written)
            close = (own * other).sum(1) >= SAME_MEANING
            for text, labels, same in zip(written, utterances.intents, close, strict=True):
                if text and same:
                    found.setdefault(text, labels)
        texts = list(utterances.texts) + [t for t in found if t not in set(utterances.texts)]
        intents = list(utterances.intents) + [found[t] for t in texts[len(utterances.texts) :]]
        return Utterances(tuple(texts), tuple(intents), utterances.outside)
