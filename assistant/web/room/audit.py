"""The audit log: what to look for in it, who did what and when, and the same as CSV."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.responses import Response

from assistant import cited
from assistant.audit import MOST_COUNTED, AuditQuery, AuditTrail
from assistant.spreadsheet import csv_lines
from assistant.web.auth import Session
from assistant.web.room.panel import Detail, Done, Notice
from assistant.web.staff_html import Words, render
from knowledge.types import parse_day

DOWNLOAD = "/operator/audit.csv"
_MAX_CHARACTERS = 100  # of a field


@dataclass(frozen=True, slots=True)
class Filter:
    """What the form holds, as it was written; both days are included."""

    who: str = ""
    what: str = ""
    since: str = ""
    until: str = ""
    words: str = ""

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Filter:
        """The fields that an event or an address has; the others are empty."""
        held = {f.name: values.get(f.name) for f in fields(cls)}
        return cls(
            **{n: v.strip()[:_MAX_CHARACTERS] for n, v in held.items() if isinstance(v, str)}
        )

    def query(self, zone: str) -> AuditQuery:
        """The same for the log, days in a time zone. Raises ValueError when one is no day, or the
        last one comes before the first."""
        first, last = parse_day(self.since), parse_day(self.until)
        if first and last and last < first:
            raise ValueError("the last day is before the first")
        return AuditQuery(
            who=self.who,
            whats=(self.what,) if self.what else (),
            since=_midnight(first, zone),
            until=_midnight(last, zone, timedelta(days=1)),
            words=self.words,
        )


class AuditFindPanel:
    """The form; it never changes by itself, for somebody may be writing in it."""

    name, room = "audit_find", "audit"

    def __init__(self, trail: AuditTrail, zone: str) -> None:
        self.trail, self.zone = trail, zone

    def state(self) -> Hashable:
        """See Panel."""
        return ()

    def render(self, words: Words) -> str:
        """See Panel."""
        kinds = {what: action(words, what) for what in self.trail.kinds()}
        return render(
            "audit_find.html",
            words=words,
            people=self.trail.people(),
            kinds=sorted(kinds.items(), key=lambda kind: kind[1]),
            zone=self.zone,
            most=_MAX_CHARACTERS,
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel; what is written here, the list answers."""
        return None


class AuditPanel:
    """A page of the log. Whoever looks for something, or pages, keeps that while the log grows."""

    name, room = "audit", "audit"

    def __init__(self, trail: AuditTrail, zone: str) -> None:
        self.trail, self.zone = trail, zone

    def state(self) -> Hashable:
        """See Panel."""
        return self.trail.last()

    def render(self, words: Words) -> str:
        """See Panel."""
        return self._html(Filter(), AuditQuery(), 0, 0, words)

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        if detail.get("act") != "audit_find":
            return None
        wanted = Filter.of(detail)
        try:
            query = wanted.query(self.zone)
        except ValueError:
            return Done(Notice("trail_days"))
        before, after = (_id(detail.get(name)) for name in ("before", "after"))
        return Done(view=partial(self._html, wanted, query, before, after))

    def csv(self, query: AuditQuery) -> Iterator[str]:
        """All that is found, the newest first."""
        yield from csv_lines([("id", "time", "who", "what", "detail")])
        yield from csv_lines(
            (e.id, datetime.fromtimestamp(e.created, UTC).isoformat("T", "seconds"), e.who, e.what,
             e.detail)
            for e in self.trail.walk(query)
        )  # fmt: skip

    def _html(
        self, wanted: Filter, query: AuditQuery, before: int, after: int, words: Words
    ) -> str:
        page, written = self.trail.page(query, before, after), asdict(wanted)
        return render(
            "audit.html",
            words=words,
            page=page,
            rows=[(entry, self.trail.cited(entry)) for entry in page.entries],
            filter=written,
            filtered=wanted != Filter(),
            found=self.trail.count(query),
            most=MOST_COUNTED,
            most_cited=cited.MOST_COUNTED,
            action=partial(action, words),
            download=f"{DOWNLOAD}?{urlencode({n: v for n, v in written.items() if v})}",
        )


def audit_routes(panel: AuditPanel) -> APIRouter:
    """GET /operator/audit.csv with the fields of the form."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(DOWNLOAD)
    def download(request: Request) -> Response:
        session: Session | None = getattr(request.state, "staff", None)
        if session is None or not session.may("operator"):
            return JSONResponse({"error": "log in first"}, 401)
        try:
            query = Filter.of(request.query_params).query(panel.zone)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 422)
        headers = {
            "content-disposition": 'attachment; filename="audit-log.csv"',
            "cache-control": "no-store",
        }
        return StreamingResponse(panel.csv(query), media_type="text/csv", headers=headers)

    return routes


def action(words: Words, what: str) -> str:
    """A kind of action in words; one that has none is shown as it is."""
    return words.get(f"audit_{what}", what)


def _midnight(day: date | None, zone: str, later: timedelta = timedelta()) -> float | None:
    """When a day begins, or the one so much later. Raises ValueError where time ends."""
    try:
        return datetime.combine(day + later, time(), ZoneInfo(zone)).timestamp() if day else None
    except OverflowError as error:
        raise ValueError(f"{day} is too far away") from error


def _id(value: object) -> int:
    """The number of an entry that the page has sent back; 0 when it is none."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value) else 0
