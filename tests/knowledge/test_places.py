"""Towns get their country, words that only look like towns do not."""

from __future__ import annotations

import pytest

from knowledge.places import countries_in, with_countries


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postage to Brisbane?", "postage to Brisbane (Australia)?"),
        ("shipping in adelaide", "shipping in adelaide (Australia)"),
        ("my sister in Graz", "my sister in Graz (Austria, EU)"),
        ("I'm in Los Angeles. Cash?", "I'm in Los Angeles (California, US). Cash?"),
        ("our flat in Cardiff", "our flat in Cardiff (Wales, UK)"),
        ("a friend in Ohio", "a friend in Ohio (US)"),
        ("returns from The Hague", "returns from The Hague (Netherlands, EU)"),
        ("Perth and Zürich", "Perth (Australia) and Zürich (Switzerland)"),
        ("we live in Reading", "we live in Reading (England, UK)"),
        ("我家在成都，运费多少？", "我家在成都（四川），运费多少？"),
        ("寄到巴黎要几天", "寄到巴黎（法国，欧盟）要几天"),
        ("想给台北的姑姑寄茶", "想给台北（台湾）的姑姑寄茶"),
    ],
)
def test_a_town_is_followed_by_where_it_lies(text: str, expected: str) -> None:
    assert with_countries(text) == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Versand nach Graz?", "de", "Versand nach Graz (Österreich, EU)?"),
        ("ich wohne in Wien", "de", "ich wohne in Wien (Österreich, EU)"),
        ("meine Oma in Essen", "de", "meine Oma in Essen (Deutschland, EU)"),
        ("das Essen kam kalt", "de", "das Essen kam kalt"),
        ("envío a Ginebra", "es", "envío a Ginebra (Suiza)"),
        ("vivo en Lisbon", "es", "vivo en Lisbon (Portugal, UE)"),
        ("para mi madre en Oporto", "es", "para mi madre en Oporto (Portugal, UE)"),
        ("livraison à Geneva", "fr", "livraison à Geneva (Suisse)"),
        ("shipping to Geneva", "xx", "shipping to Geneva (Switzerland)"),
    ],
)
def test_the_country_is_named_in_the_language_of_the_text(
    text: str, language: str, expected: str
) -> None:
    assert with_countries(text, language) == expected


@pytest.mark.parametrize(
    "text",
    [
        "reading glasses", "Reading glasses on sale", "a nice mobile in orange", "George, who is he",
        "I live in Singapore", "Paris, France, EU", "从内蒙古包头寄", "开封后还能退吗", "来宾怎么登录",
        "Which Georgia is that?", "a flat in Cambridge", "in Worcester", "", "？", "birmingham" + "x",
    ],
)  # fmt: skip
def test_other_words_and_named_countries_are_left_alone(text: str) -> None:
    assert with_countries(text) == text


def test_only_what_is_not_said_already_is_added() -> None:
    assert with_countries("to Lyon, France") == "to Lyon (EU), France"


@pytest.mark.parametrize(("text", "language", "countries"), [
    ("Do you ship to Brisbane, South Sudan or the UK? The UK!", "",
     ["Australia", "South Sudan", "UK"]),
    ("Versand nach München oder Österreich", "de", ["Deutschland", "Österreich"]),
    ("寄到英国、成都和香港要多久？", "", ["英国", "香港"]),
    ("A Jersey dress, a turkey and Chad's jacket", "", []),
])  # fmt: skip
def test_countries_are_named_by_themselves_or_by_towns(
    text: str, language: str, countries: list[str]
) -> None:
    assert countries_in(text, language) == countries
