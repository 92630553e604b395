"""The panel of how the conversations went, and the same as CSV."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy import func, select
from starlette.responses import Response

from assistant import phrases, tables
from assistant.analytics import Analytics, Figures, analyse, by_day_and_version, period
from assistant.analytics_export import as_csv
from assistant.conversations import Conversations
from assistant.drift import Alert, find_drift
from assistant.episodes import Episode, read_episodes
from assistant.outlook_figures import BandFigures, figures_by_band
from assistant.outlooks import Look, no_outlook
from assistant.settings import Settings
from assistant.web.auth import Session
from assistant.web.room.charts import line, stacked
from assistant.web.room.panel import Detail, Done
from assistant.web.staff_html import Words, render

PERIODS = (7, 30, 90)  # days
_LONGEST = max(PERIODS)
_SECONDS = 30.0  # at least, between two looks at the store
_REST = 20  # times as long as a look took, the next one waits
_FATES = ("hard", "soft", "unknown", "unresolved", "person")
_RATES = ("handed_off", "unanswered", "down")
_LISTED = 10  # versions


class AnalyticsPanel:
    """The figures of the last days. What was read is kept until the store has changed, and for half
    a minute at least; the number of days that somebody chooses is chosen for all. `look` tells the
    outlooks that are known, and `worked_out` how many those are."""

    name, room = "analytics", "analytics"

    def __init__(
        self,
        store: Conversations,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        look: Look = no_outlook,
        worked_out: Callable[[], int] = int,
    ) -> None:
        self.store = store
        self._outlook, self._worked_out = look, worked_out
        self.days = 30
        self._zone, self._false_alarms = settings.hours.zone, settings.false_alarms
        self._clock = clock
        self._lock = threading.Lock()
        self._looked, self._rest = float("-inf"), _SECONDS
        self._mark: Hashable = None
        self._read: Hashable = None
        self._episodes: Sequence[Episode] = ()
        self._alerts: Sequence[Alert] = ()
        self._found: dict[int, Analytics] = {}

    def state(self) -> Hashable:
        """See Panel."""
        with self._lock:
            return self._look(), self.days

    def render(self, words: Words) -> str:
        """See Panel."""
        days = self.days
        alerts, found = self._analysed(days)
        code = words["code"]
        return render(
            "analytics.html",
            words=words,
            days=days,
            periods=PERIODS,
            zone=self._zone,
            found=found,
            versions=[v for v in found.by_version if v[0]][:_LISTED],
            alerts=alerts,
            fates=_FATES,
            rates=_RATES,
            charts=_charts(found),
            bands=self._bands(days),
            intent_name=lambda name: phrases.intent_name(name, code),
            language_name=lambda name: phrases.language_name(name, code),
        )

    def act(self, detail: Detail, session: Session) -> Done | None:
        """See Panel."""
        if detail.get("act") != "analytics_days":
            return None
        chosen = {str(days): days for days in PERIODS}
        self.days = chosen.get(str(detail.get("days")), self.days)
        return Done()

    def csv(self, days: int) -> str:
        """The figures of each day and version."""
        with self._lock:
            now = self._renew()
            return as_csv(by_day_and_version(self._episodes, days, now, self._zone))

    def _bands(self, days: int) -> Sequence[BandFigures]:
        began = period(days, self._clock(), self._zone)[1]
        with self._lock:
            episodes = [e for e in self._episodes if e.began >= began]
        return figures_by_band(episodes, self.store, self._outlook)

    def _analysed(self, days: int) -> tuple[Sequence[Alert], Analytics]:
        with self._lock:
            now = self._renew()
            if days not in self._found:
                self._found[days] = analyse(self._episodes, days, now, self._zone)
            return self._alerts, self._found[days]

    def _renew(self) -> float:
        """Read the store again if it has changed by the last look; returns the time."""
        now, mark = self._clock(), self._look()
        if self._read != mark:
            started = time.monotonic()
            since = period(_LONGEST, now, self._zone)[1]
            self._episodes = read_episodes(self.store, since, now)
            self._alerts = find_drift(
                self.store, self._episodes, now, self._false_alarms, self._zone
            )
            self._found, self._read = {}, mark
            self._rest = max(_SECONDS, _REST * (time.monotonic() - started))
        return now

    def _look(self) -> Hashable:
        """What tells that the figures may be others: what is newest in the store, and the hour, for
        conversations settle and days end."""
        now = self._clock()
        if now - self._looked < self._rest:
            return self._mark
        newest = select(
            select(func.max(tables.messages.c.id)).scalar_subquery(),
            select(func.max(tables.ratings.c.created)).scalar_subquery(),
            select(func.max(tables.handoffs.c.id)).scalar_subquery(),
            select(func.max(tables.audit.c.id)).scalar_subquery(),
            select(func.count(tables.conversations.c.id)).scalar_subquery(),
        )
        with self.store.readers.connect() as connection:
            row = connection.execute(newest).one()
        self._looked = now
        self._mark = (tuple(row), int(now // 3600), self._worked_out())
        return self._mark


def _charts(found: Analytics) -> dict[str, object]:
    """The bars, the lines and the value at the top of each plot."""
    figures = [f for _, f in found.by_day]
    most = max((f.conversations - f.small_talk for f in figures), default=0) or 1
    shares = [_shares(figures, name) for name in _RATES]
    highest = max((s for share in shares for s in share if s is not None), default=0.0) or 1.0
    times = [[f.first.p50 for f in figures], [f.whole.p50 for f in figures]]
    slow = [f.whole.p95 for f in figures]
    slowest = max((t for row in (*times, slow) for t in row if t is not None), default=0.0) or 1.0
    return {
        "most": most,
        "bars": stacked([[getattr(f, fate) for fate in _FATES] for f in figures], most),
        "highest": highest,
        "shares": [line(share, highest) for share in shares],
        "slowest": slowest,
        "times": [line(row, slowest) for row in (*times, slow)],
    }


def _shares(figures: Sequence[Figures], name: str) -> list[float | None]:
    return [f.rates[name].rate for f in figures]


def analytics_routes(panel: AnalyticsPanel) -> APIRouter:
    """GET /operator/analytics.csv?days=30."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/operator/analytics.csv")
    def download(request: Request, days: Annotated[int, Query(ge=1, le=_LONGEST)] = 30) -> Response:
        session: Session | None = getattr(request.state, "staff", None)
        if session is None or not session.may("operator"):
            return JSONResponse({"error": "log in first"}, 401)
        headers = {
            "content-disposition": f'attachment; filename="analytics-{days}-days.csv"',
            "cache-control": "no-store",
        }
        return Response(panel.csv(days), media_type="text/csv", headers=headers)

    return routes
