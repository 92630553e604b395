"""The figures of a period as CSV, as JSON values, and as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from assistant.analytics import Analytics, Figures, Times
from assistant.drift import Alert, in_words
from assistant.outlook_figures import BandFigures
from assistant.shares import Share
from assistant.spreadsheet import csv_lines

_COUNTS = [f for f in Figures.__slots__ if f not in ("first", "whole", "waited")]
_TIMES = {"first": "first_sentence_ms", "whole": "whole_reply_ms", "waited": "waited_seconds"}


def as_csv(rows: Sequence[tuple[date, str, Figures]]) -> str:
    """One row a day and version, under a row of names."""
    times = [f"{name}_{p}" for name in _TIMES.values() for p in ("p50", "p95")]
    lines: list[Sequence[object]] = [["day", "version", *_COUNTS, *times]]
    for day, version, figures in rows:
        held = [getattr(figures, name) for name in _COUNTS]
        for name in _TIMES:
            measured: Times = getattr(figures, name)
            held += [measured.p50, measured.p95]
        lines.append((day.isoformat(), version, *held))
    return "".join(csv_lines(lines))


def as_json(
    analytics: Analytics, alerts: Sequence[Alert], bands: Sequence[BandFigures] = ()
) -> dict[str, Any]:
    """All of it; each rate with its 95% interval."""

    def named(groups: Sequence[tuple[object, Figures]], name: str) -> list[dict[str, Any]]:
        return [{name: str(key)} | _figures(figures) for key, figures in groups]

    return {
        "since": analytics.since.isoformat(),
        "days": len(analytics.by_day),
        "total": _figures(analytics.total),
        "by_day": named(analytics.by_day, "day"),
        "by_version": named(analytics.by_version, "version"),
        "intents": named(analytics.intents, "intent"),
        "languages": named(analytics.languages, "language"),
        "handoffs": [{"reason": reason, "count": n} for reason, n in analytics.handoffs],
        "complaints": [{"text": text, "count": n} for text, n in analytics.complaints],
        "bands": [
            asdict(b) | {"hard": _share(b.hard), "handed_off": _share(b.handed_off)} for b in bands
        ],
        "alerts": [
            {
                "measure": a.measure,
                "since": a.since,
                "found": a.found,
                "before": _share(a.before),
                "after": _share(a.after),
                "rise": list(a.rise),
                "changes": [asdict(c) for c in a.changes],
            }
            for a in alerts
        ],
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return asdict(figures) | {"rates": {n: _share(s) for n, s in figures.rates.items()}}


def _share(share: Share) -> dict[str, Any]:
    return {"rate": share.rate, "interval": share.interval, "hits": share.hits, "of": share.of}


def as_lines(
    analytics: Analytics, alerts: Sequence[Alert], bands: Sequence[BandFigures] = ()
) -> Iterator[str]:
    """The most important of it, for a terminal."""
    total = analytics.total
    yield from (f"ALERT: {in_words(alert)}" for alert in alerts)
    yield f"{total.conversations} conversations since {analytics.since}"
    yield (
        f"  {total.hard} confirmed, {total.soft} answered and silent, {total.unknown} not known"
        f" yet, {total.person} with a person, {total.unresolved} unresolved,"
        f" {total.small_talk} small talk"
    )
    for name, share in total.rates.items():
        if share.interval:
            low, high = share.interval
            yield f"  {name:11} {share.rate:6.1%}  ({low:.1%} to {high:.1%}) of {share.of}"
    for name in ("first", "whole", "waited"):
        times: Times = getattr(total, name)
        if times.n:
            unit = _TIMES[name]
            yield f"  {unit}: p50 {times.p50:.0f}, p95 {times.p95:.0f} of {times.n}"
    for version, figures in analytics.by_version:
        if version:
            shares = ("handed_off", "unanswered", "down")
            told = [f"{n} {_percent(figures.rates[n])}" for n in shares]
            yield f"  version {version}: {figures.questions} questions, {', '.join(told)}"
    for band in bands:
        yield (
            f"  outlook {band.band}: {band.customers} customers, {band.conversations} talks,"
            f" hard {_percent(band.hard)}, handed_off {_percent(band.handed_off)}"
        )


def _percent(share: Share) -> str:
    return "–" if share.rate is None else f"{share.rate:.1%}"
