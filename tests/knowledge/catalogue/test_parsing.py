"""What is read of a message that asks for products, and what is not read into it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.catalogue.names import Names
from knowledge.catalogue.parsing import parse
from knowledge.catalogue.types import Constraint

EN = Names(
    brands=("Orlo", "Pike & Moss", "Tamarack"),
    categories=("Clothing", "Jackets", "Shoes", "Phones", "Phone cases", "Mattresses", "Skincare"),
    colours=("black", "olive", "Havana"),
    sizes=("S", "M", "L", "2XL", "41", "42", "160 x 200 cm"),
    currencies=("GBP",),
)
ZH = Names(
    brands=("云杉",),
    categories=("外套", "手机", "手机壳", "鞋子"),
    colours=("黑色",),
    sizes=("S", "M", "L", "42"),
    currencies=("CNY",),
)


def read(text: str, names: Names = EN) -> set[str]:
    language = "zh" if names is ZH else "en"
    return {str(c) for c in parse(text, language, names).constraints}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("under 80", {"most:80"}),
        ("less than £1,200.50", {"most:1200.5:GBP"}),
        ("80 quid or less", {"most:80:GBP"}),
        ("nothing over a hundred and twenty pounds", {"most:120:GBP"}),
        ("my budget is 1.5k", {"most:1500"}),
        ("at least 50 euros", {"least:50:EUR"}),
        ("from 400", {"least:400"}),
        ("£30-45", {"least:30:GBP", "most:45:GBP"}),
        ("between 20 and 40 bucks", {"least:20:USD", "most:40:USD"}),
        ("about 50", {"least:40", "most:60"}),
        ("a 100 dollar gift", {"least:80:USD", "most:120:USD"}),
    ],
)
def test_prices_are_read(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("两百以内", {"most:200"}),
        ("不超过一千五百元", {"most:1500:CNY"}),
        ("预算三千五", {"most:3500"}),
        ("1.5万以下", {"most:15000"}),
        ("两千以上", {"least:2000"}),
        ("一百五到两百五", {"least:150", "most:250"}),
        ("两三百", {"least:200", "most:300"}),
        ("500块左右", {"least:400:CNY", "most:600:CNY"}),
        ("80英镑以内", {"most:80:GBP"}),
    ],
)
def test_chinese_prices_are_read(text, expected):
    assert read(text, ZH) == expected


@pytest.mark.parametrize(
    "text",
    ["a 20 litre bag", "weighs under 2 kg", "for 2 to 4 people", "27 inch", "from 12 November",
     "no more than 3 drawers", "minus 10 degrees", "EL-0118"],
)  # fmt: skip
def test_a_number_with_another_unit_is_no_price(text):
    assert read(text) == set()


@pytest.mark.parametrize("text", ["四人用的", "六岁孩子", "20升", "零下10度", "27寸"])
def test_a_chinese_number_with_another_unit_is_no_price(text):
    assert read(text, ZH) == set()


def test_a_sign_of_several_currencies_is_the_shops_own():
    hong_kong = Names(currencies=("HKD",))
    assert read("under $80") == {"most:80:USD"}
    assert read("under $80", hong_kong) == {"most:80:HKD"}
    assert {str(c) for c in parse("80元以内", "zh", hong_kong).constraints} == {"most:80:HKD"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size 42", {"size:42"}), ("EU 42", {"size:42"}), ("UK 9", {"size:UK 9"}),
        ("in medium", {"size:M"}), ("XXL", {"size:2XL"}), ("size M or L", {"size:M", "size:L"}),
        ("160x200", {"size:160 x 200 cm"}), ("Shoes, 41", {"category:Shoes", "size:41"}),
        ("a large bag", set()),
    ],
)  # fmt: skip
def test_sizes_are_read(text, expected):
    assert read(text) == expected


def test_chinese_sizes_are_read():
    assert read("42码", ZH) == {"size:42"}
    assert read("大号", ZH) == {"size:L"}
    assert read("大的", ZH) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dark blue one", {"colour:dark blue"}),
        ("grey or navy", {"colour:grey", "colour:navy"}),
        ("olive, please", {"colour:olive"}),
        ("camel coloured", {"colour:camel"}),
        ("in havana", {"colour:Havana"}),
        ("green tea", set()),
        ("a stone for the garden", set()),
    ],
)
def test_colours_are_read_where_they_are_meant(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("藏青色", {"colour:navy"}), ("深蓝", {"colour:dark blue"}), ("酒红色的", {"colour:burgundy"}),
     ("黑的", {"colour:black"}), ("红茶", set()), ("明白的", set())],
)  # fmt: skip
def test_chinese_colours_have_english_names(text, expected):
    assert read(text, ZH) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a jacket", {"category:Jackets"}),
        ("Pike and Moss shoes", {"brand:Pike & Moss", "category:Shoes"}),
        ("skin care", {"category:Skincare"}),
        ("a phone case", {"category:Phone cases"}),
        ("shoe rack", set()),
        ("a stand for my phone", set()),
        ("a present for my orlo", set()),
    ],
)
def test_names_are_read_where_they_are_meant(text, expected):
    assert read(text) == expected


def test_the_longest_chinese_name_counts():
    assert read("手机壳", ZH) == {"category:手机壳"}
    assert read("手机支架", ZH) == set(), "a phone's stand is no phone"
    assert read("云杉家的外套", ZH) == {"brand:云杉", "category:外套"}


def test_typing_errors_in_names_and_colours_are_mended():
    assert read("Tamarak jackts, purpel") == {
        "brand:Tamarack", "category:Jackets", "colour:purple",
    }  # fmt: skip
    assert parse("jacuzzi coast", "en", EN).text == "jacuzzi coast", "right words stay"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("not black", {"-colour:black"}),
        ("not red or pink", {"-colour:red", "-colour:pink"}),
        ("a red one, not black", {"colour:red", "-colour:black"}),
        ("anything but Orlo", {"-brand:Orlo"}),
        ("without a hood", {"-word:hood"}),
        ("that isn't plastic", {"-word:plastic"}),
        ("no laces please", {"-word:laces"}),
        ("not too expensive", {"order:cheapest"}),
        ("do you not have black jackets", {"colour:black", "category:Jackets"}),
        ("I'm not sure", set()),
    ],
)
def test_what_is_not_wanted_is_read(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("不要黑色的", {"-colour:black"}),
        ("不要红色和粉色", {"-colour:red", "-colour:pink"}),
        ("黑色除外", {"-colour:black"}),
        ("除了云杉都可以", {"-brand:云杉"}),
        ("不带帽子的外套", {"-word:帽子", "category:外套"}),
        ("有没有外套", {"category:外套"}),
        ("是不是红色", {"colour:red"}),
        ("不要太贵的", {"order:cheapest"}),
    ],
)
def test_what_is_not_wanted_is_read_in_chinese(text, expected):
    assert read(text, ZH) == expected


def test_order_and_stock_are_read():
    assert read("the cheapest jacket in stock") == {"order:cheapest", "category:Jackets", "stock"}
    assert read("the most expensive") == {"order:dearest"}
    assert read("最便宜的外套，要现货", ZH) == {"order:cheapest", "category:外套", "stock"}


def test_the_rest_is_free_text_and_constraints_keep_the_order_of_their_fields():
    wanted = parse("Hi, I'm looking for a waterproof jacket under 80 for a tall man", "en", EN)
    assert wanted.constraints == (Constraint("category", "Jackets"), Constraint("most", "80"))
    assert wanted.text.split()[0] == "waterproof"
    assert "tall man" in wanted.text
    assert parse("show me something in red", "en", EN).text == ""


@pytest.mark.parametrize("text", ["Do you ship to Portugal?", "How do I reset my password?", ""])
def test_a_question_about_something_else_holds_no_constraint(text):
    assert read(text) == set()


@given(st.text(max_size=200))
def test_any_text_can_be_read(text):
    for language, names in (("en", EN), ("zh", ZH)):
        wanted = parse(text, language, names)
        assert all(c.amount >= 0 for c in wanted.of("most", "least"))
