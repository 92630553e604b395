"""Searching what is published, and following the pointer when it moves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from knowledge.errors import EmptyKnowledge
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.purge import purge
from knowledge.refresh import Refresher
from knowledge.retrieve import KnowledgeBase
from knowledge.settings import KnowledgeSettings
from knowledge.versions import Pinned, Versions
from tests.knowledge.fakes import WordInspector


class Unread:
    def fuse(self, question: str, candidates: Any, index: Any, known: float) -> Any:
        return list(candidates)

    def rerank(self, question: str, candidates: Any, index: Any, known: float) -> Any:
        return list(candidates)


@pytest.fixture
def refresher(tmp_path: Path, detector: Detector, word_lengths: Any) -> Refresher:
    versions = Versions(tmp_path / "home")
    return Refresher(versions, Loader(detector), word_lengths, WordInspector(), KnowledgeSettings())


@pytest.fixture
def knowledge(refresher: Refresher, detector: Detector) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(
        refresher.versions, refresher.drafter.encoder, detector, Unread(), KnowledgeSettings()
    )
    yield base
    base.close()


def publish(refresher: Refresher, folder: Path, *rows: dict[str, str], **options: bool) -> str:
    path = folder / "c.jsonl"
    path.write_text("\n".join(json.dumps({"language": "en", "title": "T"} | r) for r in rows))
    return refresher.refresh([path], **options).version


def found(knowledge: KnowledgeBase, query: str = "boots") -> list[str]:
    return [p.text for p in knowledge.search(query, 5, "fused", language="en")]


def is_empty(knowledge: KnowledgeBase) -> bool:
    try:
        found(knowledge)
    except EmptyKnowledge:
        return True
    return False


def within_seconds(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_new_version_is_searched_at_once(
    refresher: Refresher, knowledge: KnowledgeBase, tmp_path: Path
) -> None:
    publish(refresher, tmp_path, {"id": "a", "text": "Boots: old."})
    assert found(knowledge) == ["Boots: old."]
    publish(refresher, tmp_path, {"id": "a", "text": "Boots: new."})
    assert found(knowledge) == ["Boots: new."]


def test_a_follower_sees_a_new_version_within_a_second_without_waiting_for_it(
    refresher: Refresher, knowledge: KnowledgeBase, tmp_path: Path
) -> None:
    publish(refresher, tmp_path, {"id": "a", "text": "Boots: old."})
    knowledge.follow()
    assert found(knowledge) == ["Boots: old."]
    publish(refresher, tmp_path, {"id": "a", "text": "Boots: new."})
    within_seconds(lambda: found(knowledge) == ["Boots: new."])


def test_a_follower_stops_serving_what_was_withdrawn(
    refresher: Refresher, knowledge: KnowledgeBase, tmp_path: Path
) -> None:
    publish(refresher, tmp_path, {"id": "a", "text": "Boots: old."})
    knowledge.follow()
    assert found(knowledge)
    publish(
        refresher, tmp_path, {"id": "a", "text": "Boots: old."}, {"id": "b", "text": "Hats: boots."}
    )
    purge(refresher.versions, "a")
    within_seconds(lambda: found(knowledge) == ["Hats: boots."])
    purge(refresher.versions, "b")
    within_seconds(lambda: is_empty(knowledge))


def test_a_prepared_version_can_be_searched_before_it_is_published(
    refresher: Refresher, knowledge: KnowledgeBase, tmp_path: Path
) -> None:
    publish(refresher, tmp_path, {"id": "a", "text": "Boots: old."})
    name = publish(refresher, tmp_path, {"id": "a", "text": "Boots: new."}, prepare=True)
    assert found(knowledge) == ["Boots: old."]
    knowledge.versions = Pinned(refresher.versions, name)
    assert found(knowledge) == ["Boots: new."]


def test_passages_out_of_force_take_no_places(
    refresher: Refresher, knowledge: KnowledgeBase, tmp_path: Path
) -> None:
    yesterday = str(date.today() - timedelta(days=1))
    old = [
        {"id": f"old{n}", "text": f"Boots boots boots {n}.", "valid_until": yesterday}
        for n in range(60)
    ]
    publish(
        refresher, tmp_path, *old, {"id": "new", "text": "Boots, and many other words besides."}
    )
    assert found(knowledge) == ["Boots, and many other words besides."]
    assert [p.document_id for p in knowledge.search("boots", 5, "dense", language="en")] == ["new"]
