"""A verifier: does this passage support the sentence, contradict it, or not say?

MiniLM with a LoRA adapter and a head of three verdicts, trained by `python -m finetune verifier`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from knowledge.engines import in_length_order
from knowledge.pair_engine import PairEngine

if TYPE_CHECKING:
    from knowledge.heads import Headed

CALIBRATION = "calibration.json"
MAX_TOKENS = 224  # as in training: a long sentence, a title and a passage as it is served


@dataclass(frozen=True, slots=True)
class Verdict:
    """Probabilities, which sum to 1, that a passage supports a sentence, that it says otherwise,
    and that it does not say."""

    supported: float
    contradicted: float
    unstated: float


class Verifier:
    """Judges sentences by passages; `bulk` is for thousands of them. What it must be sure of is in
    the folder's calibration.

    Raises EncoderError when the folder holds no verifier.
    """

    def __init__(
        self, folder: Path, engines: Path, threads: int = 2, *, bulk: bool = False
    ) -> None:
        self._engine = PairEngine(
            folder,
            engines,
            _network,
            ["verdict"],
            threads=threads,
            max_tokens=MAX_TOKENS,
            bulk=bulk,
        )
        self.name = self._engine.name
        calibration = folder / CALIBRATION
        # Not there while it is being calibrated.
        known = json.loads(calibration.read_text()) if calibration.is_file() else {"supported": 1}
        self.least = float(known["supported"])

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        """One verdict a (sentence, passage), in order."""
        return in_length_order(
            [len(sentence) + len(passage) for sentence, passage in pairs],
            lambda rows: self._judge([pairs[r] for r in rows]),
        )

    def objection(self, verdict: Verdict) -> str:
        """Why a sentence of this verdict is not shown, or ""."""
        if verdict.supported >= self.least:
            return ""
        if verdict.contradicted > verdict.unstated:
            return "the passage says otherwise"
        return "the passage does not say so"

    def _judge(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        logits = np.array([row for _, (row,) in self._engine.run(pairs)], dtype=np.float64)
        return [Verdict(*map(float, row)) for row in softmax(logits, axis=1)]


def _network(backbone: Any) -> Headed:
    from knowledge.verdict_net import VerdictNet  # torch takes seconds

    return VerdictNet(backbone)
