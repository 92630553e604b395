"""Language of short messages: the house's detector beside langdetect alone.

    python -m benchmarks.languages [ROWS.jsonl]

Rows are {"text", "lang", "unit"}; by default language_id below FRONTDESK_DATA. Shares are means
over the languages of the set; an abstention is neither right nor wrong.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from langdetect import LangDetectException, detect

from benchmarks.passages import data_folder
from knowledge.formats import read_json_lines
from knowledge.language import Detector

_MAX_BYTES = 100_000_000


def langdetect(text: str) -> str:
    """What langdetect says, without the region."""
    try:
        return str(detect(text)).split("-")[0]
    except LangDetectException:
        return ""


def shares(tell: Callable[[str], str], rows: list[dict[str, str]]) -> dict[str, float]:
    """Right, wrong and abstained, means over languages; median milliseconds a text."""
    told: dict[str, list[tuple[bool, bool]]] = {}
    times = []
    for row in rows:
        started = time.perf_counter()
        found = tell(row["text"])
        times.append(1000 * (time.perf_counter() - started))
        told.setdefault(row["lang"], []).append((found == row["lang"], not found))
    right, none = np.mean([np.mean(t, axis=0) for t in told.values()], axis=0)
    return {
        "right": float(right),
        "wrong": float(1 - right - none),
        "abstained": float(none),
        "p50_ms": float(np.median(times)),
    }


def main() -> None:
    """Measure the rows named, or the public set."""
    named = sys.argv[1:] or [str(data_folder() / "data/language_id/dev.jsonl.gz")]
    rows = [row for path in named for row in read_json_lines(Path(path), _MAX_BYTES)]
    detector = Detector()
    detector.load()
    tools = {"frontdesk": lambda text: detector.detect(text).language, "langdetect": langdetect}
    for unit in sorted({row["unit"] for row in rows}):
        for name, tell in tools.items():
            found = shares(tell, [row for row in rows if row["unit"] == unit])
            print(f"{unit:9} {name:10}", "  ".join(f"{k} {v:.4f}" for k, v in found.items()))


if __name__ == "__main__":
    main()
