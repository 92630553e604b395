"""What replies are worth: a row of measures each, and their means with intervals."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.chrf import CHRF

from finetune.errors import AdapterError
from finetune.examples import MARK, Example
from finetune.manifest import Scores
from knowledge.language import Detector
from knowledge.segment import words

# (reply, passages) -> the share of what the reply claims that the passages support, or None.
SupportScorer = Callable[[str, Sequence[str]], float | None]
_DRAWS, _SEED = 1000, 1


@dataclass(frozen=True, slots=True)
class ReplyScore:
    """Of one reply: cross-entropy of the reference in nats and its tokens, ROUGE-L (Lin, 2004) and
    chrF (Popović, 2015) of the model's own, 0 to 1, and how many words it has.

    `supported` is the share of what it claims, None without passages or claims; `cites` says
    whether it cites exactly when the reference does, and so refuses when the reference does;
    `same_language` that it is in the question's.
    """

    loss: float
    tokens: int
    rouge_l: float
    chrf: float
    supported: float | None
    cites: bool
    same_language: bool
    words: int
    language: str
    intent: str


class _Words:
    """ROUGE's tokenizer for any language; the library's own drops all but a-z and 0-9."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


class ReplyScorer:
    """Scores replies beside their references."""

    def __init__(self, supports: SupportScorer) -> None:
        self.supports = supports
        self._rouge = RougeScorer(["rougeL"], tokenizer=_Words())
        self._chrf = CHRF()
        self._detector = Detector()

    def score(self, example: Example, reply: str, loss: float, tokens: int) -> ReplyScore:
        """A reply's row."""
        asked = example.language or self._detector.detect(example.question).language
        spoken = self._detector.detect(reply, asked).language
        return ReplyScore(
            loss=loss,
            tokens=tokens,
            rouge_l=self._rouge.score(example.reply, reply)["rougeL"].fmeasure,
            chrf=self._chrf.sentence_score(reply, [example.reply]).score / 100,
            supported=self.supports(reply, example.passages) if example.passages else None,
            cites=bool(MARK.search(reply)) == bool(MARK.search(example.reply)),
            same_language=not asked or spoken == asked,
            words=len(words(reply)),
            language=asked,
            intent=example.intent,
        )


def mean_scores(rows: Sequence[ReplyScore]) -> Scores:
    """The means, with 95% bootstrap intervals over replies, of all and by language and intent.

    Raises AdapterError when the loss is not a finite number.
    """
    if not math.isfinite(sum(r.loss for r in rows)):
        raise AdapterError("the model's loss is not a finite number; train with a lower rate")
    found = _means(rows)
    draws = np.random.default_rng(_SEED).integers(len(rows), size=(_DRAWS, len(rows)))
    drawn = [_means([rows[n] for n in draw]) for draw in draws.tolist()]
    intervals = {
        name: (
            round(float(np.quantile([d[name] for d in drawn], 0.025)), 4),
            round(float(np.quantile([d[name] for d in drawn], 0.975)), 4),
        )
        for name in ("perplexity", "rouge_l", "supported")
    }
    groups: defaultdict[str, list[ReplyScore]] = defaultdict(list)
    for row in rows:
        groups[f"language:{row.language or 'unknown'}"].append(row)
        groups[f"intent:{row.intent or 'none'}"].append(row)
    return Scores(
        **found,
        n=len(rows),
        intervals=intervals,
        groups={name: _means(group) | {"n": len(group)} for name, group in sorted(groups.items())},
    )


def _means(rows: Sequence[ReplyScore]) -> dict[str, float]:
    judged = [r.supported for r in rows if r.supported is not None]
    tokens = sum(r.tokens for r in rows)

    def mean(values: Sequence[float]) -> float:
        return round(sum(values) / len(values), 4) if values else 0.0

    return {
        "perplexity": round(math.exp(min(sum(r.loss for r in rows) / max(1, tokens), 100.0)), 4),
        "rouge_l": mean([r.rouge_l for r in rows]),
        "chrf": mean([r.chrf for r in rows]),
        "supported": mean(judged),
        "cites": mean([r.cites for r in rows]),
        "same_language": mean([r.same_language for r in rows]),
        "words": mean([r.words for r in rows]),
    }
