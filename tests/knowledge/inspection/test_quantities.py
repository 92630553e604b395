"""Quantities in one form, whatever way they are written."""

import pytest

from knowledge.inspection.quantities import quantities


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("within two weeks", "within 14 days"),
        ("a fortnight", "14 days"),
        ("24 hours", "one day"),
        ("from 8 am to 6 pm", "08:00-18:00"),
        ("until 12 noon", "until 12:00"),
        ("每晚九点关门", "每晚21:00关门"),
        ("thirty copies", "30 copies"),
        ("twenty-five euros", "€25"),
        ("£1.50", "150p"),
        ("六成", "60%"),
        ("一百二十元", "120元"),
        ("half a metre", "50 cm"),
        ("1,500 yuan", "1500元"),
        ("两年", "24个月"),
    ],
)
def test_equal_quantities_are_equal(one, other):
    assert quantities(one) == quantities(other) != {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("14 days", "30 days"),
        ("8 am", "8 pm"),
        ("£5", "5 days"),
        ("三天", "三周"),
        ("30", "30%"),
        ("12 am", "12 pm"),
        ("order 12345671", "order 12345672"),
    ],
)
def test_different_quantities_differ(one, other):
    assert quantities(one) != quantities(other)


def test_a_lone_one_in_chinese_is_no_quantity():
    assert quantities("一般来说") == {}


@pytest.mark.parametrize(
    "text", ["1" * 50_000, "一" + "万" * 50_000, "两" * 50_000, "9" * 50_000 + "个半小时"]
)
def test_a_hostile_text_costs_no_time(text):
    quantities(text)
