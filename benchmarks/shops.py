"""Near-miss shops: answered rightly, answered wrongly, withheld.

    python -m benchmarks.shops [SHOP_FOLDER ...]

A right answer cites a relevant passage and holds every fact asked for. Each shop is loaded with
`knowledge refresh` into a fresh home and asked through `assistant ask --batch`, quoting only.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.asking import ask, document_of, holds_facts, read_jsonl, refresh

SHOPS = Path(__file__).parent / "shops"


def measure(shop: Path, home: Path) -> dict[str, float]:
    """Shares of a shop's questions."""
    refresh(home, shop / "corpus.jsonl")
    questions = read_jsonl(shop / "questions.jsonl")
    replies = ask(home, questions)
    right = wrong = withheld = stray = 0
    for question, reply in zip(questions, replies, strict=True):
        answered = reply["outcome"] == "answer" and bool(reply["citations"])
        cited = {document_of(c["evidence_id"]) for c in reply["citations"]}
        stray += bool(reply["citations"]) and reply["outcome"] != "answer"
        if not question["answerable"]:
            withheld += not answered
        elif (
            answered
            and cited & set(question["relevant"])
            and holds_facts(reply["reply"], question["facts"])
        ):
            right += 1
        elif answered:
            wrong += 1
    answerable = sum(q["answerable"] for q in questions)
    return {
        "answered rightly": right / answerable,
        "answered wrongly": wrong / answerable,
        "unanswerable withheld": withheld / (len(questions) - answerable),
        "citations without an answer": stray,
    }


def main() -> None:
    """Measure the shops named, or all."""
    folders = [Path(a) for a in sys.argv[1:]] or sorted(p for p in SHOPS.iterdir() if p.is_dir())
    for shop in folders:
        with tempfile.TemporaryDirectory() as folder:
            scores = measure(shop, Path(folder))
        print(f"{shop.name:10}", "  ".join(f"{k} {v:.3g}" for k, v in scores.items()), flush=True)


if __name__ == "__main__":
    main()
