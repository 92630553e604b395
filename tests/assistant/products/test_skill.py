"""Products in a conversation: found, narrowed down, and asked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from assistant import phrases
from assistant.build import with_store
from assistant.conversations import Conversations, StoredMessage
from assistant.products.questions import ProductQuestions
from assistant.products.skill import ProductSkill
from assistant.service import ChatService
from assistant.types import Handoff
from knowledge.catalogue.refresh import refresh_catalogue
from knowledge.catalogue.search import Catalogue
from knowledge.cross_encoder import Reading
from knowledge.encoder import Encoder
from knowledge.language import Detector
from knowledge.types import silent
from knowledge.versions import CatalogueVersions
from tests.assistant.fakes import FixedRouter, FixedSkill, assistant_with
from tests.knowledge.catalogue.shop import ROWS, write

NOTHING = FixedSkill(outcome=Handoff("I could not find this.", "retrieval:unsupported"))


class Finger:
    """A reader that is sure of statements with one of its words, and that others answer nothing."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        return [self._reading(text) for text in texts]

    def _reading(self, text: str) -> Reading:
        sure = 8.0 if any(word in text for word in self.words) else -8.0
        return Reading(sure, sure, (0, len(text)))


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Iterator[Catalogue]:
    home = tmp_path_factory.mktemp("products")
    versions = CatalogueVersions(home)
    source = write(home / "products.jsonl", ROWS)
    refresh_catalogue(versions, encoder, source, max_bytes=100_000, keep=3, progress=silent)
    catalogue = Catalogue(versions, encoder)
    yield catalogue
    catalogue.close()


class Talk:
    """A conversation with a shop whose products can be looked for."""

    def __init__(
        self, store: Conversations, catalogue: Catalogue, detector: Detector,
        intent: str = "product_search", pages: FixedSkill = NOTHING, reader: Finger | None = None,
        confidence: float = 0.9, language: str = "en",
    ) -> None:  # fmt: skip
        router = FixedRouter(intent, confidence)
        assistant = assistant_with(catalogue.encoder, detector, router=router, skill=pages)
        questions = ProductQuestions(catalogue, reader or Finger())
        skill = ProductSkill(catalogue, pages, questions)
        assistant.skills = {**assistant.skills, "products": skill}
        self.service = ChatService(with_store(assistant, store), store)
        self.conversation = self.service.start(language).id

    def say(self, text: str) -> StoredMessage:
        said = self.service.send(self.conversation, text)
        assert said is not None
        assert said.reply is not None
        return said

    def ids(self, text: str) -> list[str]:
        said = self.say(text)
        assert said.reply is not None
        return [product["id"] for product in said.reply["products"]]

    def chips(self, text: str) -> list[str]:
        said = self.say(text)
        assert said.reply is not None
        return [chip["label"] for chip in said.reply["chips"]]


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations.in_home(tmp_path)


@pytest.fixture
def talk(store: Conversations, catalogue: Catalogue, detector: Detector) -> Talk:
    return Talk(store, catalogue, detector)


def test_products_are_told_with_price_and_stock_and_rest_on_their_records(talk: Talk) -> None:
    said = talk.say("I am looking for a jacket between 80 and 100 pounds")
    assert said.text == "Here is what fits:\n- Ribble rain shell (slate): £89.00, in stock"
    assert said.reply is not None
    assert (said.reply["outcome"], said.reply["reason"]) == ("answer", "products:found")
    (card,) = said.reply["products"]
    assert (card["title"], card["price"], card["stock"]) == (
        "Ribble rain shell (slate)", "£89.00", "in stock",
    )  # fmt: skip
    (sentence,) = said.reply["sentences"]
    assert sentence["evidence_id"] == "product:J2"
    assert sentence["text"] in said.reply["citations"][0]["text"]


def test_a_product_comes_once_and_names_its_other_colours(talk: Talk) -> None:
    said = talk.say("a waxed jacket in navy")
    assert "Harbour waxed jacket (navy): £129.00, only 3 left, also in black" in said.text
    assert said.text.count("Harbour") == 1


def test_the_stock_is_that_of_the_size_asked_for(talk: Talk) -> None:
    assert "size M: only 3 left" in talk.say("a navy waxed jacket in size M").text


def test_what_is_asked_for_stands_as_chips_and_each_can_be_taken_away(talk: Talk) -> None:
    said = talk.say("jackets from Orlo under 100, not black")
    assert said.reply is not None
    labels = [chip["label"] for chip in said.reply["chips"]]
    assert sorted(labels) == ["Jackets", "Orlo", "no black", "under £100"]
    limit = next(chip for chip in said.reply["chips"] if chip["label"] == "under £100")
    assert talk.ids(limit["says"]) == ["J1", "J3"]
    assert "under £100" not in talk.chips("show me black ones")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (("a jacket", "under 100"), ["J2", "J3"]),
        (("a jacket", "only those from Orlo", "in black"), ["J1b"]),
        (("jackets in black", "or in teal"), ["J1b", "J3"]),
        (("jackets in black", "in teal instead"), ["J3"]),
        (("jackets in black", "not black please"), ["J1", "J2", "J3"]),
        (("jackets under 100", "a kettle"), ["K1"]),
        (("running shoes in size 43", "what about kettles"), ["K1"]),
    ],
)
def test_a_search_is_narrowed_down_or_begun_anew(
    talk: Talk, messages: tuple[str, ...], expected: list[str]
) -> None:
    *before, last = messages
    for message in before:
        talk.say(message)
    assert sorted(talk.ids(last)) == expected


def test_what_had_to_be_given_up_is_told(talk: Talk) -> None:
    said = talk.say("a jacket under 20 pounds")
    assert said.text.startswith("Nothing has all of that. Without “under £20” there is:")
    assert said.reply is not None
    assert [chip["label"] for chip in said.reply["chips"]] == ["Jackets"]


def test_what_no_product_says_is_told(talk: Talk) -> None:
    assert "None of these says anything about: waterproof." in talk.say("a waterproof kettle").text


def test_what_is_not_sold_is_not_made_up(talk: Talk) -> None:
    said = talk.say("do you sell submarines")
    assert said.reply is not None
    assert (said.reply["outcome"], said.reply["reason"]) == ("refuse", "products:none")
    assert said.reply["products"] == []


def test_more_shows_the_rest_and_then_says_that_this_was_all(
    store: Conversations, encoder: Encoder, detector: Detector, tmp_path: Path
) -> None:
    rows = [
        {
            "id": f"M{n}",
            "title": f"Mug number {n}",
            "category": "Mugs",
            "price": n,
            "currency": "EUR",
        }
        for n in range(1, 9)
    ]
    versions = CatalogueVersions(tmp_path)
    source = write(tmp_path / "mugs.jsonl", rows)
    refresh_catalogue(versions, encoder, source, max_bytes=100_000, keep=3, progress=silent)
    talk = Talk(store, Catalogue(versions, encoder), detector)
    first = talk.say("the cheapest mugs")
    assert "There are 3 more" in first.text
    assert talk.ids("show me more") == ["M6", "M7", "M8"]
    assert talk.say("more please").text == phrases.say("products_no_more", "en")


def test_chinese_customers_find_the_chinese_description(
    store: Conversations, catalogue: Catalogue, detector: Detector
) -> None:
    talk = Talk(store, catalogue, detector, language="zh")
    said = talk.say("想买一件外套，1000元以内")
    assert said.text == "符合您要求的商品：\n- 溪谷防雨外套（石板灰色）：¥819.00，有货"
    assert said.reply is not None
    assert [chip["label"] for chip in said.reply["chips"]] == ["外套", "¥1,000以内"]


def test_a_question_about_a_product_is_answered_from_its_own_text(
    store: Conversations, catalogue: Catalogue, detector: Detector
) -> None:
    reader = Finger("waterproof: ", "Waterproof: ")
    talk = Talk(store, catalogue, detector, "product_info", reader=reader)
    said = talk.say("How waterproof is the Ribble rain shell?")
    assert said.text == "Waterproof: 15 000 mm"
    assert said.reply is not None
    assert [c["evidence_id"] for c in said.reply["citations"]] == ["product:J2"]


def test_it_is_the_product_that_was_shown(
    store: Conversations, catalogue: Catalogue, detector: Detector
) -> None:
    talk = Talk(store, catalogue, detector)
    assert talk.ids("a kettle") == ["K1"]
    again = Talk(store, catalogue, detector, "product_info", reader=Finger("Boils"))
    again.conversation = talk.conversation
    assert again.say("how long does it take?").text == "Boils 1.7 litres in four minutes."


def test_of_several_products_it_is_asked_which_is_meant(
    store: Conversations, catalogue: Catalogue, detector: Detector
) -> None:
    talk = Talk(store, catalogue, detector, "product_info", reader=Finger("Brand"))
    asked = talk.say("what brand are the jackets?")
    assert asked.reply is not None
    assert asked.reply["reason"] == "products:which"
    choice = next(c for c in asked.reply["choices"] if c.startswith("Ribble"))
    assert talk.say(choice).text == "Brand: Tamarack"


def test_what_a_product_does_not_say_is_not_answered(
    store: Conversations, catalogue: Catalogue, detector: Detector
) -> None:
    talk = Talk(store, catalogue, detector, "product_info", reader=Finger())
    said = talk.say("is the Tarn glass kettle made in Italy?")
    assert said.reply is not None
    assert said.reply["reason"] == "retrieval:unsupported"


def test_a_shop_without_products_answers_from_its_pages(
    store: Conversations, encoder: Encoder, detector: Detector, tmp_path: Path
) -> None:
    talk = Talk(store, Catalogue(CatalogueVersions(tmp_path), encoder), detector)
    said = talk.say("do you have jackets")
    assert said.reply is not None
    assert said.reply["reason"] == "retrieval:unsupported"


def test_where_the_router_is_unsure_a_sure_find_decides(
    store: Conversations, catalogue: Catalogue, detector: Detector
) -> None:
    unsure = Talk(store, catalogue, detector, confidence=0.4)
    assert unsure.ids("Harbour waxed jacket in black") == ["J1b"]
    elsewhere = Talk(store, catalogue, detector, "returns", confidence=0.4)
    assert elsewhere.ids("can I return a Harbour waxed jacket") == []
