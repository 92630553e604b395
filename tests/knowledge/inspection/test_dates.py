"""Days named in texts, and told from today."""

from datetime import date

import pytest

from knowledge.inspection.dates import days_named, may_name_days, plain_dates, year_in
from knowledge.inspection.expiry import tagged

TODAY = date(2026, 11, 26)


def last_days(text: str, year: int = 0) -> list[date]:
    return [named.last for named in days_named(plain_dates(text), year)]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("This ends on 30 September 2026.", date(2026, 9, 30)),
        ("Until 3rd Nov. 2026", date(2026, 11, 3)),
        ("valid to November 3, 2026", date(2026, 11, 3)),
        ("by 2026-12-05 at noon", date(2026, 12, 5)),
        ("until 05.11.2026", date(2026, 11, 5)),
        ("through 11/15/2026", date(2026, 11, 15)),
        ("up to 30.11.26 incl.", date(2026, 11, 30)),
        ("有效期26.11.01—26.11.30", date(2026, 11, 30)),
        ("throughout October 2026", date(2026, 10, 31)),
        ("through the third quarter of 2026", date(2026, 9, 30)),
        ("到2026年第三季度的最后一天", date(2026, 9, 30)),
        ("截至2026年10月31日", date(2026, 10, 31)),
        ("截至二〇二六年十月三十一日", date(2026, 10, 31)),
        ("2026年5月1日至5日放假", date(2026, 5, 5)),
        ("2026年11月底结束", date(2026, 11, 30)),
        ("2025年双十一价保", date(2025, 11, 11)),
        ("Black Friday 2025 terms", date(2025, 11, 30)),
        ("until Easter Monday 2026", date(2026, 4, 6)),
        ("the fourteenth of May, twenty twenty-six, is the last day", date(2026, 5, 14)),
        ("Ends 25.12.26 at noon", date(2026, 12, 25)),
        ("截至25.12.26", date(2025, 12, 26)),
        ("up to New Year’s Day 2026", date(2026, 1, 3)),
    ],
)
def test_a_day_is_found_however_it_is_written(text, day):
    assert day in last_days(text)


def test_a_day_without_a_year_takes_that_of_the_title():
    assert last_days("Orders must be in by 5 December.", 2026) == [date(2026, 12, 5)]
    assert last_days("Orders must be in by 5 December.") == []


def test_a_day_that_does_not_exist_is_none():
    assert last_days("batch 2026-13-45 and 31 February 2026") == []


@pytest.mark.parametrize(
    "text", ["our first 2026 collection", "满2000元减100", "Earn 2000 points", "Model 52016"]
)
def test_what_only_looks_like_a_day_in_the_past_is_none(text):
    assert "[over]" not in tagged(text, TODAY)


def test_a_date_that_holds_a_full_stop_is_one():
    assert tagged("It ends Sept. 5, 2026 at noon.", TODAY) == "It ends [over] at noon."


def test_days_are_told_from_today():
    text = "Ordered before 1 March 2026; returns until 20 December 2026; repairs until May 2027."
    assert tagged(text, TODAY) == (
        "Ordered before [over]; returns until [soon]; repairs until [later]."
    )


def test_a_stretch_is_told_by_its_start_and_how_long_it_lasts():
    assert "(until [soon])" in tagged("For six weeks from 5 November 2026.", TODAY)
    assert "(until [over])" in tagged("本办法自2026年8月1日起试行三个月。", TODAY)


def test_this_year_says_nothing_about_the_end():
    assert tagged("The prices of 2026 apply.", TODAY) == "The prices of [this year] apply."


def test_the_quick_look_agrees_with_the_slow_one():
    assert may_name_days("until 5 May 2026")
    assert may_name_days("二〇二六年")
    assert may_name_days("活动于2026年11月5日结束")
    assert may_name_days("活动于２０２６年结束")
    assert not may_name_days("within 30 days of delivery")
    assert year_in("Price list 2025") == 2025
