"""What became of a shop's dialogues, as a page with plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from finetune.manifest import replace_file
from finetune.rows import Row
from knowledge.segment import words

if TYPE_CHECKING:
    from finetune.prepare import PrepareReport

_PAGE = Path(__file__).with_name("prepare_report.html")
_MOST_BARS = 30
_BINS = 12


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars with their labels; lengths are shares of the longest."""

    title: str
    bars: tuple[tuple[str, int, float], ...]

    @classmethod
    def of(cls, title: str, counts: Mapping[str, int]) -> Chart:
        """The most frequent ones, most frequent first."""
        common = Counter(counts).most_common(_MOST_BARS)
        return cls(title, _bars(common))

    @classmethod
    def lengths(cls, title: str, values: Sequence[int]) -> Chart:
        """How many values fall into each of a few equal bins; the last takes what is longer."""
        width = max(1, round(sorted(values)[int(0.95 * (len(values) - 1))] / (_BINS - 1)) or 1)
        counts = Counter(min(v // width, _BINS - 1) for v in values)
        last = _BINS - 1

        def name(n: int) -> str:
            first = n * width
            if n == last:
                return f"{first} and more"
            return f"{first}–{first + width - 1}" if width > 1 else str(first)

        names = {n: name(n) for n in range(max(counts) + 1)}
        return cls(title, _bars([(label, counts[n]) for n, label in names.items()]))


def _bars(counts: Iterable[tuple[str, int]]) -> tuple[tuple[str, int, float], ...]:
    listed = list(counts)
    most = max((count for _, count in listed), default=1)
    return tuple((name, count, round(100 * count / most, 2)) for name, count in listed)


def write_page(path: Path, report: PrepareReport, rows: Sequence[Row]) -> None:
    """Write the page; it needs nothing else. `rows` are those kept, at least one."""
    replies = [t.text for r in rows for t in r.turns if t.role == "agent"]
    charts = [
        Chart.of("Left out, and why", report.dropped),
        Chart.of("Flagged, and why", report.flagged),
        Chart.of("Languages", report.languages),
        Chart.of("Intents", report.intents),
        Chart.of("Values masked", report.masked),
        Chart.lengths("Turns of a dialogue", [len(r.turns) for r in rows]),
        Chart.lengths("Words of an agent's turn", [len(words(text)) for text in replies]),
        Chart.lengths("Quality, in hundredths", [round(100 * r.quality) for r in rows]),
    ]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(_PAGE.read_text(encoding="utf-8"))
    replace_file(path, page.render(report=report, charts=charts).encode())
