"""The same question from other people: does it get the same outcome?

    python -m benchmarks.fairness [--json] [--home HOME] [--language LANGUAGE]

122 questions to the demo shop, each asked as it stands and then under other names, with words about
who asks (gender, age, disability, religion), in other dialects and scripts, in learners' grammar,
misspelt, in lower case and without punctuation. A pair is the question and one of these.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from opencc import OpenCC

from benchmarks.asking import ask, command, document_of, refresh

SHOP = Path(__file__).parent.parent / "assistant" / "demo" / "shop"
QUESTIONS = Path(__file__).with_suffix("")
LANGUAGES = ("en", "zh", "de", "es")
_PUNCTUATION = str.maketrans("", "", ".,;:!?¿¡。，？！、")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in some words; `kind` is what was changed, nothing in the base question."""

    base: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Pair:
    """What became of a question in other words, beside the base question."""

    base: str
    kind: str
    text: str
    outcomes: tuple[str, str]
    documents: tuple[str, str]
    same_outcome: bool
    same_document: bool
    same_reply: bool | None  # None where the reply is in another language


def questions(language: str) -> Iterator[Asked]:
    """Each base question of a language, followed by its other wordings."""
    held = yaml.safe_load((QUESTIONS / f"{language}.yaml").read_text(encoding="utf-8"))
    for number, row in enumerate(held["questions"]):
        base, text = f"{language}-{number + 1:02}", row["text"]
        yield Asked(base, "", text)
        for kind, frames in held["frames"].items():
            yield Asked(base, kind, frames[number % len(frames)].format(text))
        for kind, wording in (_mechanical(text, language) | row).items():
            if kind != "text" and wording != text:
                yield Asked(base, kind, wording)


def _mechanical(text: str, language: str) -> dict[str, str]:
    """Changes that need no writer. Taiwan's characters come with its words."""
    changed = {"no punctuation": text.translate(_PUNCTUATION)}
    if language == "zh":
        return changed | {"traditional": OpenCC("s2twp").convert(text)}
    return changed | {"lower case": text.lower()}


def pairs(asked: Sequence[Asked], replies: Sequence[dict[str, Any]]) -> list[Pair]:
    """Each other wording beside its base question."""
    found: list[Pair] = []
    first: dict[str, Any] = {}
    for question, reply in zip(asked, replies, strict=True):
        if not question.kind:
            first = reply
            continue
        documents = [
            {document_of(c["evidence_id"]) for c in r["citations"]} for r in (first, reply)
        ]
        in_one_language = first["language"] == reply["language"]
        found.append(
            Pair(
                question.base, question.kind, question.text,
                (_outcome(first), _outcome(reply)),
                tuple(", ".join(sorted(d)) for d in documents),  # type: ignore[arg-type]
                first["outcome"] == reply["outcome"],
                documents[0] == documents[1],
                first["reply"] == reply["reply"] if in_one_language else None,
            )
        )  # fmt: skip
    return found


def _outcome(reply: dict[str, Any]) -> str:
    """What a list of differences shows of a reply."""
    return f"{reply['outcome']} ({reply['reason'] or reply['intent']}, {reply['language']})"


def shares(found: Sequence[Pair]) -> dict[str, float]:
    """The figures over some pairs; replies are compared where their languages are the same."""
    spoken = [p.same_reply for p in found if p.same_reply is not None]
    return {
        "pairs": len(found),
        "same outcome": sum(p.same_outcome for p in found) / len(found),
        "same document": sum(p.same_document for p in found) / len(found),
        "same language": len(spoken) / len(found),
        "same reply": sum(spoken) / max(len(spoken), 1),
    }


def tables(found: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """The figures over all pairs, by language, and by kind of change."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in found:
        for name in ("all", pair.base.split("-")[0], pair.kind):
            groups[name].append(pair)
    return {name: shares(group) for name, group in groups.items()}


def measure(home: Path, languages: Sequence[str]) -> list[Pair]:
    """Ask everything of the demo shop, orders included, each time in a new conversation."""
    refresh(home, SHOP / "documents")
    command("-m", "assistant.demo", "--home", str(home), home=home)
    asked = [question for language in languages for question in questions(language)]
    return pairs(asked, ask(home, [{"id": str(n), "text": q.text} for n, q in enumerate(asked)]))


def main() -> None:
    """Print the figures and the pairs that differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="keep the knowledge base here")
    parser.add_argument("--language", choices=LANGUAGES, action="append")
    parser.add_argument("--json", action="store_true", help="one object, with every pair")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments.home or Path(folder), arguments.language or LANGUAGES)
    figures = tables(found)
    if arguments.json:
        print(json.dumps({"figures": figures, "pairs": [asdict(p) for p in found]}))
        return
    print(f"{'':20}{''.join(f'{name:>15}' for name in figures['all'])}")
    for name, row in figures.items():
        rest = "".join(f"{value:15.3f}" for key, value in row.items() if key != "pairs")
        print(f"{name:20}{row['pairs']:15}{rest}")
    for pair in found:
        if not (pair.same_outcome and pair.same_document):
            print(f"{pair.base} {pair.kind}: {' -> '.join(pair.outcomes)}", end=" ")
            print(f"[{' -> '.join(pair.documents)}] {pair.text!r}")


if __name__ == "__main__":
    main()
