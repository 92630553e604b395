"""From recommendations to a search: what was recommended can be asked about and narrowed down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assistant.build import with_store
from assistant.conversations import Conversations
from assistant.products.questions import ProductQuestions
from assistant.products.skill import ProductSkill
from assistant.recommend.consent import ConsentFile
from assistant.recommend.recommender import Recommender
from assistant.recommend.skill import RecommendSkill
from assistant.service import ChatService
from knowledge.catalogue.refresh import refresh_catalogue
from knowledge.catalogue.search import Catalogue
from knowledge.encoder import Encoder
from knowledge.language import Detector
from knowledge.recommend.artefact import Model
from knowledge.recommend.statistics import count_sales
from knowledge.recommend.types import Good, Visit, index_of, pasts
from knowledge.types import silent
from knowledge.versions import CatalogueVersions
from tests.assistant.fakes import FixedRouter, FixedSkill, assistant_with
from tests.assistant.products.test_skill import NOTHING, Finger
from tests.knowledge.catalogue.shop import ROWS, write
from tests.knowledge.recommend.test_recommend import ranker

SOLD = ("J1", "J2", "K1")  # two jackets and a kettle


@pytest.fixture
def catalogue(tmp_path: Path, encoder: Encoder) -> Iterator[Catalogue]:
    versions = CatalogueVersions(tmp_path / "home")
    source = write(tmp_path / "products.jsonl", ROWS)
    refresh_catalogue(versions, encoder, source, max_bytes=100_000, keep=3, progress=silent)
    catalogue = Catalogue(versions, encoder)
    yield catalogue
    catalogue.close()


def best_sellers() -> Recommender:
    """Four customers bought what is sold the day before the model was made."""
    goods = tuple(Good(name, name) for name in dict.fromkeys(row["id"] for row in ROWS))
    held = pasts([Visit(f"c{n}", 99, SOLD) for n in range(4)], index_of(goods))
    known = count_sales(held, len(goods), 100)
    return Recommender(Model.of(goods, known, np.eye(len(goods), dtype=np.float32), ranker()))


@pytest.fixture
def service(tmp_path: Path, catalogue: Catalogue, detector: Detector) -> Iterator[ChatService]:
    store = Conversations.in_home(tmp_path / "home")
    assistant = assistant_with(
        catalogue.encoder, detector, router=FixedRouter("product_search"), skill=NOTHING
    )
    served = best_sellers()
    assistant.skills = {
        **assistant.skills,
        "products": ProductSkill(catalogue, FixedSkill(), ProductQuestions(catalogue, Finger())),
        "recommendations": RecommendSkill(
            lambda: served, lambda language: catalogue.shelf(language).products, None,
            ConsentFile(tmp_path / "consent.json"),
        ),
    }  # fmt: skip
    yield ChatService(with_store(assistant, store), store)
    store.close()


def shown(service: ChatService, conversation: str, text: str) -> tuple[str, list[str]]:
    """The reason of the reply, and the ids of its products."""
    said = service.send(conversation, text)
    assert said is not None
    assert said.reply is not None
    return said.reply["reason"], [product["id"] for product in said.reply["products"]]


@pytest.mark.parametrize(
    ("language", "asks", "cheaper"),
    [("en", "recommend me something", "cheaper ones"), ("zh", "给我推荐点东西", "便宜一点的")],
)
def test_a_search_goes_on_among_the_kinds_that_were_recommended(
    service: ChatService, language: str, asks: str, cheaper: str
) -> None:
    conversation = service.start(language).id
    shown(service, conversation, "running shoes in size 43")  # a search that is over then
    reason, ids = shown(service, conversation, asks)
    assert reason == "recommend:told"
    assert ids
    assert set(ids) <= set(SOLD)
    reason, ids = shown(service, conversation, cheaper)
    assert reason == "products:found"
    assert ids
    assert {name[0] for name in ids} <= {"J", "K"}, "jackets and kettles, no shoes"


def test_more_begins_with_the_first_page_of_those_kinds(service: ChatService) -> None:
    conversation = service.start("en").id
    shown(service, conversation, "recommend me something")
    reason, ids = shown(service, conversation, "show me more")
    assert reason == "products:found"
    assert {name[0] for name in ids} == {"J", "K"}
