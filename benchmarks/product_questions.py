"""Questions about one product of the demo shop, answered from its attributes or not at all.

    python -m benchmarks.product_questions [--home HOME] [--wrong]

60 questions, 24 of them Chinese, written for this from the catalogue (`product_questions.jsonl`):
40 whose answer stands there, and 20 whose answer does not. Right: an answer from that product with
the fact in it. Printed are the shares that are right, wrong (another fact or product) and withheld,
of those that can be answered; and of the others the share withheld (bar of near-miss shops: .95).
A list of products that answers nothing counts as wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from assistant.build import build_assistant
from assistant.pipeline import Assistant
from assistant.settings import load_settings
from assistant.shares import Share
from assistant.types import Answer, Utterance
from benchmarks.asking import read_jsonl
from benchmarks.serving import make_home

QUESTIONS = Path(__file__).with_suffix(".jsonl")


def verdict(assistant: Assistant, question: dict[str, Any]) -> tuple[str, str]:
    """right, wrong or withheld; and what was said."""
    reply = assistant.respond(Utterance(question["text"], language=question["language"]))
    outcome = reply.outcome
    if not isinstance(outcome, Answer):
        return "withheld", outcome.text
    ours = any(
        c.evidence_id.startswith(f"product:{question['product']}") for c in outcome.citations
    )
    right = ours and any(fact in outcome.text for fact in question["facts"])
    return ("right" if right else "wrong"), outcome.text


def main() -> None:
    """Ask them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home", type=Path, help="one with the demo shop's documents and products")
    parser.add_argument("--wrong", action="store_true", help="print what was not right")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        home = arguments.home or Path(work)
        make_home(home)
        assistant = build_assistant(load_settings(home=home, environment={}))
        asked = [(q, *verdict(assistant, q)) for q in read_jsonl(QUESTIONS)]
    for language in ("en", "zh"):
        for can in (True, False):
            found = [
                v for q, v, _ in asked if q["language"] == language and bool(q["facts"]) == can
            ]
            told = "  ".join(
                f"{kind} {found.count(kind) / len(found):.3f}"
                for kind in ("right", "wrong", "withheld")
            )
            low, high = Share(found.count("withheld"), len(found)).interval or (0.0, 1.0)
            known = "answerable" if can else f"unanswerable [{low:.2f}, {high:.2f}]"
            print(f"{language} {known:28} {len(found):3}  {told}")
    for question, kind, text in asked if arguments.wrong else ():
        expected = "right" if question["facts"] else "withheld"
        if kind != expected:
            print(f"  {kind:9} {question['text']}\n            {text[:160]!r}")


if __name__ == "__main__":
    sys.exit(main())
