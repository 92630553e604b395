"""Golden questions of the demo shop: retrieval, replies, and a check of every sentence.

    python -m benchmarks.golden [--home HOME]

The sentence check imports nothing from the assistant: every number, date, amount and name of a
sentence, and at least 80% of its content words, must stand in the passage that it cites.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from benchmarks.asking import ask, command, document_of, holds_facts, read_jsonl, refresh

DEMO = Path(__file__).parent.parent / "assistant" / "demo" / "shop"
COMMON = frozenset(
    "a an and are as at be by for from has have if in is it its of on or our that the this to we"
    " will with you your not no do does can may it's than then there they their".split()
)


def folded(text: str) -> str:
    """Text without differences of width, case and spacing."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def unsupported(sentence: str, passage: str) -> list[str]:
    """What in sentence does not stand in passage: numbers, names, or too many words."""
    own, held = folded(sentence), folded(passage)
    missing = [n for n in re.findall(r"\d+(?:[.,:]\d+)*", own) if n not in held]
    names = re.findall(r"(?<=[a-z,;:] )[A-Z][\w-]+", unicodedata.normalize("NFKC", sentence))
    missing += [n for n in names if n.casefold() not in held]
    cjk = re.findall(r"[\u4e00-\u9fff]{2}", own)
    words = [w for w in re.findall(r"[a-zà-ÿ]+", own) if w not in COMMON] + cjk
    absent = [w for w in words if w not in held]
    if len(absent) > 0.2 * len(words):
        missing += absent
    return missing


def recall_at_5(home: Path, questions: list[dict[str, Any]]) -> float:
    """Share of right documents among the first five, through `knowledge evaluate`."""
    queries = home / "queries.jsonl"
    rows = [{k: q[k] for k in ("id", "text", "relevant")} for q in questions]
    queries.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows))
    out = command(
        "-m", "knowledge", "evaluate", "--corpus", str(DEMO / "documents"),
        "--queries", str(queries), "--json", home=home,
    )  # fmt: skip
    return float(json.loads(out)["recall@5"])


def is_right(question: dict[str, Any], reply: dict[str, Any]) -> bool:
    """True when the reply cites a right document and holds every fact."""
    cited = {document_of(c["evidence_id"]) for c in reply["citations"]}
    return bool(cited & set(question["relevant"])) and holds_facts(
        reply["reply"], question["facts"]
    )


def measure(home: Path) -> dict[str, Any]:
    """All figures over the golden set."""
    refresh(home, DEMO / "documents")
    questions = read_jsonl(DEMO / "golden.jsonl")
    replies = {r["id"]: r for r in ask(home, questions)}
    answerable = [q for q in questions if q["answerable"]]
    scores: dict[str, Any] = {}
    for language in ("en", "zh"):
        asked = [q for q in answerable if q["language"] == language]
        cited = [
            bool(
                {document_of(c["evidence_id"]) for c in replies[q["id"]]["citations"]}
                & set(q["relevant"])
            )
            for q in asked
        ]
        right = [is_right(q, replies[q["id"]]) for q in asked]
        answered = [bool(replies[q["id"]]["citations"]) for q in asked]
        scores |= {
            f"{language}: right document in top 5": recall_at_5(home, asked),
            f"{language}: answered": sum(answered) / len(asked),
            f"{language}: from the right document": sum(cited) / len(asked),
            f"{language}: and with every fact": sum(right) / len(asked),
        }
    leaked = [q["id"] for q in questions if not q["answerable"] and replies[q["id"]]["citations"]]
    sentences = [(s, r) for r in replies.values() for s in r["sentences"]]
    bad = [s["text"] for s, r in sentences if unsupported(s["text"], cited_passage(s, r))]
    print("answered though unanswerable:", ", ".join(leaked) or "none")
    print("first unsupported sentences:", bad[:3])
    return scores | {
        "unanswerable answered": len(leaked),
        "sentences": len(sentences),
        "sentences not supported": len(bad),
    }


def cited_passage(sentence: dict[str, Any], reply: dict[str, Any]) -> str:
    """Title and text of the passage that a sentence cites."""
    cited = [c for c in reply["citations"] if c["evidence_id"] == sentence["evidence_id"]]
    return f"{cited[0]['title']}\n{cited[0]['text']}" if cited else ""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="keep the knowledge base here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, value in measure(arguments.home or Path(folder)).items():
            print(f"{name:36} {value:.3f}" if isinstance(value, float) else f"{name:36} {value}")


if __name__ == "__main__":
    main()
