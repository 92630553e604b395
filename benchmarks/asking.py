"""Put questions to the command line, as a shop's own script would, and read the replies back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON Lines file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def command(*arguments: str, home: Path, stdin: str = "") -> str:
    """Standard output of `python ARGUMENTS` with FRONTDESK_HOME set; raises on failure."""
    environment = os.environ | {"FRONTDESK_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], input=stdin, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return done.stdout


def refresh(home: Path, *sources: Path) -> dict[str, Any]:
    """Publish sources in home; the report."""
    names = [str(s) for s in sources]
    report: dict[str, Any] = json.loads(
        command("-m", "knowledge", "refresh", *names, "--json", home=home)
    )
    return report


def ask(home: Path, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replies to questions ({id, text}), in order."""
    lines = "\n".join(json.dumps({"id": q["id"], "text": q["text"]}) for q in questions)
    out = command("-m", "assistant", "ask", "--batch", "-", home=home, stdin=lines)
    return [json.loads(line) for line in out.splitlines()]


def document_of(evidence_id: str) -> str:
    """The document that a passage id belongs to."""
    return evidence_id.rsplit("#", 1)[0]


def holds_facts(text: str, facts: list[list[str]]) -> bool:
    """True when text holds one alternative of each fact."""
    folded = " ".join(text.split())
    return all(any(" ".join(f.split()) in folded for f in alternatives) for alternatives in facts)
