"""What is read of 200 questions that customers may ask for products, half of them Chinese.

    python -m benchmarks.constraints [--aside] [--all] [--wrong]

The share of questions whose constraints are exactly right (bar: .95), with its 95% interval, and of
those whose free text has just the words expected as well. A third of the questions is kept aside:
written with the others, looked at once (`--aside`). `--wrong` prints what was read otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from assistant.shares import Share
from knowledge.catalogue.names import Names
from knowledge.catalogue.parsing import parse
from knowledge.segment import content_words

_FOLDER = Path(__file__).with_suffix("")
LANGUAGES = ("en", "zh")


def questions() -> list[dict[str, Any]]:
    """All questions: text, language, constraints, rest, aside."""
    lines = (_FOLDER / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def names(language: str) -> Names:
    """What the shop of the questions sells."""
    held = yaml.safe_load((_FOLDER / "names.yaml").read_text(encoding="utf-8"))
    return Names(**{k: tuple(v) for k, v in held[language].items()}, sizes=tuple(held["sizes"]))


def judged(question: dict[str, Any]) -> tuple[bool, bool, str]:
    """Whether the constraints are right, whether the rest is as well, and what was read."""
    wanted = parse(question["text"], question["language"], names(question["language"]))
    read = {str(c) for c in wanted.constraints}
    right = read == set(question["constraints"]) - {""}
    rest = set(content_words(wanted.text)) == set(content_words(question["rest"]))
    return right, right and rest, f"{', '.join(sorted(read))} | {wanted.text}"


def report(asked: Sequence[dict[str, Any]], label: str, show_wrong: bool) -> None:
    """Print the shares of some questions."""
    found = [judged(question) for question in asked]
    right, whole = (sum(f[n] for f in found) for n in (0, 1))
    low, high = Share(right, len(asked)).interval or (0.0, 1.0)
    print(
        f"{label:9} {len(asked):4} questions  exact {right / len(asked):.3f} "
        f"[{low:.3f}, {high:.3f}]  with the rest {whole / len(asked):.3f}"
    )
    for question, (is_right, is_whole, read) in zip(asked, found, strict=True):
        if show_wrong and not is_whole:
            expected = f"{', '.join(sorted(question['constraints']))} | {question['rest']}"
            print(f"  {'rest ' if is_right else 'WRONG'} {question['text']}")
            print(f"        read     {read}\n        expected {expected}")


def main() -> None:
    """Judge the questions that are not kept aside, those that are, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--aside", action="store_true", help="those that were kept aside")
    parser.add_argument("--all", action="store_true", help="these and those")
    parser.add_argument("--wrong", action="store_true", help="print what was read otherwise")
    arguments = parser.parse_args()
    asked = [q for q in questions() if arguments.all or q["aside"] == arguments.aside]
    for language in LANGUAGES:
        report([q for q in asked if q["language"] == language], language, arguments.wrong)
    report(asked, "together", False)


if __name__ == "__main__":
    sys.exit(main())
