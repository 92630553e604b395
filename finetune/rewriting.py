"""The same messages in other words, where the encoder takes them for the same messages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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

    def added_to(self, utterances: Utterances, held: Collection[str] = ()) -> Utterances:
        """The utterances with their rewritings, each text once and none that is held."""
        own = self.encoder.embed(utterances.texts)
        known = {*utterances.texts, *held}
        added: dict[str, tuple[str, ...]] = {}
        for rewriter in self.rewriters:
            written = rewriter.rewrite(utterances.texts)
            close = (own * self.encoder.embed(written)).sum(1) >= SAME_MEANING
            for text, labels, same in zip(written, utterances.intents, close, strict=True):
                if text and same and text not in known:
                    added.setdefault(text, labels)
        texts, intents = (*utterances.texts, *added), (*utterances.intents, *added.values())
        return Utterances(texts, intents, utterances.outside)
