"""When the team is there."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from assistant.hours import Hours

DUBLIN = Hours(zone="Europe/Dublin", monday="09:00-17:30", friday="10:00-12:00")


def at(text: str, zone: str = "Europe/Dublin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-23T09:00", None),  # a Monday
        ("2026-11-23T17:29", None),
        ("2026-11-23T08:59", "2026-11-23T09:00"),
        ("2026-11-23T17:30", "2026-11-27T10:00"),
        ("2026-11-27T12:00", "2026-11-30T09:00"),
        ("2026-10-24T12:00", "2026-10-26T09:00"),  # the clocks go back in between
    ],
)
def test_the_next_opening_is_told(now: str, opens: str | None) -> None:
    assert DUBLIN.opens(at(now)) == (at(opens) if opens else None)


def test_a_shop_without_hours_is_always_there() -> None:
    assert Hours().opens(at("2026-11-22T03:00")) is None


@given(st.floats(min_value=0, max_value=4e9))
def test_at_the_opening_the_team_is_there(now: float) -> None:
    opens = DUBLIN.opens(now)
    if opens is not None:
        assert now < opens <= now + 8 * 86_400
        assert DUBLIN.opens(opens) is None


@pytest.mark.parametrize(
    "wrong",
    [{"monday": "9-17"}, {"monday": "17:00-09:00"}, {"monday": "09:00-24:30"}, {"zone": "Mars/X"}],
)
def test_hours_that_cannot_be_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"not of the form|does not end|no time zone"):
        Hours(**wrong)
