"""Numbers as customers write them."""

import re
from decimal import Decimal

import pytest

from knowledge.catalogue.amounts import NUMBER, amount


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", "80"), ("1,200", "1200"), ("1.5k", "1500"), ("19.99", "19.99"),
        ("fifty", "50"), ("a hundred", "100"), ("a hundred and twenty", "120"),
        ("two thousand five hundred", "2500"), ("twenty-five", "25"),
        ("两百", "200"), ("三千五", "3500"), ("一百五", "150"), ("一百零五", "105"),
        ("十五", "15"), ("二十", "20"), ("一千二百", "1200"), ("1.5万", "15000"), ("一万二", "12000"),
        ("三万零五百", "30500"), ("2千", "2000"),
    ],
)  # fmt: skip
def test_an_amount_is_read_whole(text, value):
    assert re.fullmatch(NUMBER, text)
    assert amount(text) == Decimal(value)
