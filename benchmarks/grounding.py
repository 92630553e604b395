"""The grounding check beside simpler ones, on human judgements and on sentences written by hand.

    python -m benchmarks.grounding [--page FILE] [--verifier FOLDER]

BEGIN (dev): replies judged attributable to their text or not, those judged generic left out. MTRAG:
replies with human scores of faithfulness; a reply's score is the mean of its sentences'. `hand`:
benchmarks/grounding.jsonl, 200 sentences to passages of benchmarks/shops. `unseen`: statements to
`finetune/unseen_shops` of kinds of error that training never shows, and true ones. A sentence's
score is that of the passage (cut as it is served) that fits it best, by the verifier, by the cosine
of MiniLM, and by the share of its content words that the passage has. --page draws the curves.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from assistant.grounding import GroundingCheck
from assistant.settings import Settings, load_settings
from assistant.types import Evidence
from benchmarks.passages import data_folder
from benchmarks.shops import SHOPS
from finetune.command_line import UNSEEN_SHOPS
from finetune.reader_commands import UNSEEN_STATEMENTS
from finetune.reranker_data import read_records, read_shop, shops_below
from finetune.verifier_data import SUPPORTED, UNSEEN_KINDS, held_statements
from knowledge.build import WEIGHTS
from knowledge.chunk import chunk_document
from knowledge.encoder import MiniLM
from knowledge.minilm import minilm_folder
from knowledge.rerank import as_read, reading_text
from knowledge.segment import content_words, split_sentences
from knowledge.types import Document
from knowledge.verifier import Verifier

_CHUNK_WORDS, _OVERLAP = 90, 1  # as served
_BEGIN = ("wow", "cmu", "tc")
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A sentence, the passages that it may rest on as they are read, and whether it does."""

    sentence: str
    passages: tuple[str, ...]
    supported: bool


def windows(text: str, title: str = "") -> tuple[str, ...]:
    """A text cut as it would be served."""
    chunks = chunk_document(Document("d", title, text, "", "d"), _CHUNK_WORDS, _OVERLAP)
    return tuple(reading_text(c) if title else " ".join(c.text.split()) for c in chunks)


def begin_cases(data: Path) -> list[Case]:
    """BEGIN's replies; a whole reply is one sentence here, most are."""
    found = []
    for part in _BEGIN:
        for row in _gzipped(data / "data" / "begin" / f"dev_{part}.jsonl.gz"):
            if row["label"] != "Generic":
                supported = row["label"] == "Fully attributable"
                found.append(Case(row["response"], windows(row["knowledge"]), supported))
    return found


def hand_cases() -> list[tuple[Case, Evidence]]:
    """Written by hand, with the passage as evidence of a turn."""
    shops = {p.name: {i: (t, x) for i, t, x in read_shop(p).passages} for p in SHOPS.iterdir()}
    found = []
    for row in read_records(Path(__file__).with_name("grounding.jsonl")):
        title, text = shops[row["shop"]][row["passage"]]
        evidence = Evidence(row["passage"], "passage", row["shop"], title, text, "", 1.0)
        passage = as_read([title], text)
        found.append((Case(row["sentence"], (passage,), row["supported"]), evidence))
    return found


def unseen_cases(encoder: MiniLM) -> list[Case]:
    """Statements of unseen shops: the true ones, and errors of kinds never learnt from."""
    return [
        Case(s.sentence, (s.text,), s.verdict == SUPPORTED)
        for s in held_statements(UNSEEN_STATEMENTS, shops_below(UNSEEN_SHOPS), encoder)
        if s.verdict == SUPPORTED or s.kind in UNSEEN_KINDS
    ]


class Scorers:
    """The verifier and two simpler ways: scores of cases, the higher the more supported."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.encoder = MiniLM(minilm_folder(), settings.engines, settings.knowledge.threads)
        self.verifier = Verifier(folder, settings.engines, settings.knowledge.threads)
        self.ways: dict[str, Callable[[Sequence[Case]], Scores]] = {
            "verifier": self._verified,
            "MiniLM cosine": self._cosine,
            "word overlap": self._overlap,
        }

    def _verified(self, cases: Sequence[Case]) -> Scores:
        pairs = [(c.sentence, p) for c in cases for p in c.passages]
        return _best(cases, [v.supported for v in self.verifier.judge(pairs)])

    def _cosine(self, cases: Sequence[Case]) -> Scores:
        said = self.encoder.embed([c.sentence for c in cases])
        texts = list(dict.fromkeys(p for c in cases for p in c.passages))
        held = dict(zip(texts, self.encoder.embed(texts), strict=True))
        return np.array(
            [max(float(held[p] @ s) for p in c.passages) for c, s in zip(cases, said, strict=True)]
        )

    def _overlap(self, cases: Sequence[Case]) -> Scores:
        def share(sentence: str, passage: str) -> float:
            words = content_words(sentence)
            held = set(content_words(passage))
            return sum(w in held for w in words) / max(1, len(words))

        return np.array([max(share(c.sentence, p) for p in c.passages) for c in cases])


def _best(cases: Sequence[Case], scores: Sequence[float]) -> Scores:
    rest = iter(scores)
    return np.array([max(islice(rest, len(c.passages))) for c in cases])


def told_apart(cases: Sequence[Case], scores: Scores) -> dict[str, float]:
    """How well scores tell the supported cases: the area under the curve, the balanced accuracy at
    the best threshold there is, and the share caught at 5% of the supported ones refused."""
    true = np.array([c.supported for c in cases])
    refused_at = float(np.quantile(scores[true], 0.05))
    best = max(
        balanced_accuracy_score(true, scores >= t)
        for t in np.unique(np.quantile(scores, np.linspace(0, 1, 201)))
    )
    return {
        "auc": round(float(roc_auc_score(true, scores)), 3),
        "balanced accuracy": round(float(best), 3),
        "caught at 5% refused": round(float((scores[~true] < refused_at).mean()), 3),
    }


def checked(cases: Sequence[tuple[Case, Evidence]], check: GroundingCheck) -> dict[str, float]:
    """The whole check: what is caught of the unsupported ones, and refused of the others."""
    passed = np.array([not check.objection(c.sentence, e) for c, e in cases])
    true = np.array([c.supported for c, _ in cases])
    return {
        "caught": round(float((~passed[~true]).mean()), 3),
        "refused": round(float((~passed[true]).mean()), 3),
        "balanced accuracy": round(float(balanced_accuracy_score(true, passed)), 3),
    }


def mtrag(data: Path, scorers: Scorers) -> dict[str, dict[str, float]]:
    """Correlation of the scores of replies with the mean human faithfulness, 1 to 4."""
    replies = [
        (split_sentences(row["response"]), row["passages"], np.mean(row["human"]["faithfulness"]))
        for row in _gzipped(data / "data" / "mtrag_faithfulness" / "dev.jsonl.gz")
        if row["passages"] and row["response"].strip()
    ]
    cases, counts = [], []
    for sentences, passages, _ in replies:
        held = tuple(w for p in passages for w in windows(p))
        cases += [Case(s, held, True) for s in sentences]
        counts.append(len(sentences))
    human = [score for _, _, score in replies]
    ends = np.cumsum(counts)
    found = {}
    for name, way in scorers.ways.items():
        scores = way(cases)
        means = [float(scores[e - n : e].mean()) for n, e in zip(counts, ends, strict=True)]
        found[name] = {
            "n": len(replies),
            "pearson": round(float(pearsonr(means, human)[0]), 3),
            "spearman": round(float(spearmanr(means, human)[0]), 3),
        }
    return found


def draw(curves: dict[str, dict[str, tuple[Any, Any]]], page: Path) -> None:
    """An HTML page of ROC curves: caught against refused, one plot a set."""
    colours = ("#0b6e4f", "#b3541e", "#555")
    plots = []
    for name, ways in curves.items():
        lines, legend = [], []
        for (way, (refused, caught)), colour in zip(ways.items(), colours, strict=False):
            points = " ".join(
                f"{10 + 280 * r:.1f},{290 - 280 * c:.1f}"
                for r, c in zip(refused, caught, strict=True)
            )
            style = f'fill="none" stroke="{colour}" stroke-width="2"'
            lines.append(f'<polyline {style} points="{points}"/>')
            legend.append(f'<span style="color:{colour}">{way}</span>')
        plots.append(
            f"<figure><figcaption>{name}: caught (up) against refused (right); "
            f'{" · ".join(legend)}</figcaption><svg viewBox="0 0 300 300" width="420" role="img" '
            f'aria-label="ROC curves of {name}"><rect x="10" y="10" width="280" height="280" '
            f'fill="none" stroke="#bbb"/>{"".join(lines)}</svg></figure>'
        )
    page.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Grounding</title>'
        '<body style="font:15px system-ui;max-width:960px;margin:2rem auto">'
        f"<h1>Grounding: unsupported sentences caught</h1>{''.join(plots)}</body></html>",
        encoding="utf-8",
    )


def _gzipped(path: Path) -> Iterable[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def main() -> None:
    """Measure all sets; a line of JSON for each set and way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, help="HTML page of the ROC curves")
    parser.add_argument("--verifier", type=Path, default=WEIGHTS / "verifier")
    arguments = parser.parse_args()
    scorers = Scorers(load_settings(), arguments.verifier)
    by_hand = hand_cases()
    sets = {"hand": [c for c, _ in by_hand], "unseen": unseen_cases(scorers.encoder)}
    sets["begin"] = begin_cases(data_folder())
    curves: dict[str, dict[str, tuple[Any, Any]]] = {}
    for name, cases in sets.items():
        for way, score in scorers.ways.items():
            scores = score(cases)
            row = {"set": name, "way": way, "n": len(cases)} | told_apart(cases, scores)
            print(json.dumps(row), flush=True)
            # What is caught are low scores of what is not supported.
            unsupported = [not c.supported for c in cases]
            refused, caught, _ = roc_curve(unsupported, -scores)
            curves.setdefault(name, {})[way] = (refused, caught)
    for way, check in (
        ("rules", GroundingCheck()),
        ("rules and verifier", GroundingCheck(scorers.verifier)),
        ("rules without coverage, verifier", GroundingCheck(scorers.verifier, 0.0)),
    ):
        print(json.dumps({"set": "hand", "way": way} | checked(by_hand, check)), flush=True)
    for way, found in mtrag(data_folder(), scorers).items():
        print(json.dumps({"set": "mtrag", "way": way} | found), flush=True)
    if arguments.page:
        draw(curves, arguments.page)


if __name__ == "__main__":
    main()
