"""What was measured: times by kind, errors by cause, and the line of each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.talk import CrossedError, LostError

POINTS = ("sign_of_life", "first_sentence", "reply")
_PERCENTILES = (50, 95, 99)


@dataclass
class Measured:
    """Of a run: milliseconds by kind of message and point (`POINTS`) and by request, milliseconds
    of the stages as replies tell them, and what went wrong.

    `tried_again` are attempts that failed and were repeated by the same message_id, as after a
    kill; `errors` what was given up."""

    times: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    requests: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    stages: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    outcomes: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    tried_again: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)

    def missed(self, error: LostError) -> None:
        """Take in that something is not where it should be."""
        (self.crossed if isinstance(error, CrossedError) else self.lost).append(str(error))

    @property
    def turns(self) -> int:
        """Replies that came."""
        return sum(len(points["reply"]) for points in self.times.values())

    def replies(self) -> list[float]:
        """Milliseconds to every reply, of whatever kind."""
        return [ms for points in self.times.values() for ms in points["reply"]]

    def as_json(self) -> dict[str, Any]:
        """Figures of the run, and the samples that the capacity model is fitted to."""
        whole: dict[str, list[float]] = {
            point: [ms for points in self.times.values() for ms in points[point]]
            for point in POINTS
        }
        return {
            "turns": self.turns,
            "kinds": {kind: percentiles(points) for kind, points in sorted(self.times.items())},
            "all": percentiles(whole),
            "requests": percentiles(self.requests),
            "outcomes": dict(self.outcomes),
            "counts": dict(self.counts),
            "tried_again": dict(self.tried_again),
            "errors": dict(self.errors),
            "lost": self.lost,
            "crossed": self.crossed,
            "samples": {
                "reply_ms": {kind: _rounded(p["reply"]) for kind, p in self.times.items()},
                "sign_of_life_ms": _rounded(whole["sign_of_life"]),
                "stage_ms": {
                    kind: {name: _rounded(values) for name, values in stages.items()}
                    for kind, stages in self.stages.items()
                },
                "arrival_seconds": [round(at, 3) for at in self.arrivals],
            },
        }


def percentiles(series: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """{"n", "p50", "p95", "p99"} of each series that has values, in its unit."""
    return {
        name: {"n": len(values)}
        | {f"p{p}": round(float(np.percentile(values, p)), 1) for p in _PERCENTILES}
        for name, values in series.items()
        if values
    }


def told(report: Mapping[str, Any]) -> str:
    """The table of a report, for people."""
    head = f"{'kind':12} {'turns':>6}" + "".join(f"  {p.replace('_', ' '):>26}" for p in POINTS)
    lines = [head, " " * 20 + f"{'p50 / p95 / p99, ms':>27}" * len(POINTS)]
    for kind, points in (*report["kinds"].items(), ("all", report["all"])):
        cells = "".join(f"  {_cell(points.get(point)):>25}" for point in POINTS)
        lines.append(f"{kind:12} {points.get('reply', {}).get('n', 0):6}{cells}")
    lines += [f"{name:19}  {_cell(row):>25}" for name, row in report["requests"].items()]
    seconds = report["seconds"]
    rate = report["turns"] / seconds
    lines.append(
        f"{report['turns']} turns in {seconds:.0f} s, {rate:.2f} a second;"
        f" {report['customers']} customers"
    )
    cpu = report["cpu_seconds"]
    used = [f"{name} {value:.1f}" for name, value in cpu.items() if value is not None]
    lines.append(f"CPU seconds: {', '.join(used)}")
    for name in ("counts", "outcomes", "tried_again", "errors"):
        lines += [f"{name}: {count} x {what}" for what, count in sorted(report[name].items())]
    lines += [f"event at {e['at']:.0f} s: {e['name']}, {e['result']}" for e in report["events"]]
    lines += [f"lost {len(report['lost'])}, crossed {len(report['crossed'])}"]
    lines += [f"  {what}" for what in (*report["lost"][:10], *report["crossed"][:10])]
    return "\n".join(lines)


def _cell(row: Mapping[str, float] | None) -> str:
    return " / ".join(f"{row[f'p{p}']:,.0f}" for p in _PERCENTILES) if row else "-"


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in values]
