"""When the shop's team is there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

_SPAN = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-4]):([0-5]\d)")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Hours(BaseModel):
    """The week, a day like "09:00-17:30"; a day without hours is closed, a week without any never.

    Times are those of `zone`, summer time included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: str = Field("UTC", description="Time zone, by its IANA name: Europe/Dublin.")
    monday: str = Field("", description="From and to, hh:mm-hh:mm; empty: closed.")
    tuesday: str = ""
    wednesday: str = ""
    thursday: str = ""
    friday: str = ""
    saturday: str = ""
    sunday: str = ""

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no time zone {zone!r}") from error
        return zone

    @field_validator(*_DAYS)
    @classmethod
    def _in_order(cls, span: str) -> str:
        if span:
            start, end = _minutes(span)
            if start >= end or end > 24 * 60:
                raise ValueError(f"{span!r} does not end after it begins")
        return span

    @cached_property
    def week(self) -> tuple[tuple[int, int] | None, ...]:
        """Monday to Sunday: minutes of the day from and to, None where closed."""
        spans: list[Any] = [getattr(self, day) for day in _DAYS]
        return tuple(_minutes(span) if span else None for span in spans)

    def opens(self, now: float) -> float | None:
        """When the team is there again, in seconds since 1970; None while it is there."""
        if not any(self.week):
            return None
        zone = ZoneInfo(self.zone)
        local = datetime.fromtimestamp(now, UTC).astimezone(zone)
        minute = local.hour * 60 + local.minute
        for days in range(8):
            day = local.date() + timedelta(days=days)
            span = self.week[day.weekday()]
            if span is None or (days == 0 and minute >= span[1]):
                continue
            if days == 0 and minute >= span[0]:
                return None
            opening = time(*divmod(span[0], 60))
            return datetime.combine(day, opening, zone).timestamp()
        raise AssertionError("a week with hours opens within eight days")


def _minutes(span: str) -> tuple[int, int]:
    match = _SPAN.fullmatch(span.replace(" ", ""))
    if match is None:
        raise ValueError(f"{span!r} is not of the form 09:00-17:30")
    from_hour, from_minute, to_hour, to_minute = map(int, match.groups())
    return 60 * from_hour + from_minute, 60 * to_hour + to_minute
