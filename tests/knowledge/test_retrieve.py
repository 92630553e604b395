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
from knowledge.modes import STAGES, by_mode
from knowledge.purge import purge
from knowledge.refresh import Refresher
from knowledge.retrieve import MODES, Depth, KnowledgeBase
from knowledge.settings import KnowledgeSettings
from knowledge.versions import Pinned, Versions
from tests.knowledge.fakes import WordInspector


class Unread:
    def fuse(self, question: str, candidates: Any, index: Any, known: float) -> Any:
        return list(candidates)

    def rerank(
        self, question: str, candidates: Any, index: Any, known: float, passages: int
    ) -> Any:
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


class Counting(Unread):
    """Keeps how many passages it was to read."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def rerank(
        self, question: str, candidates: Any, index: Any, known: float, passages: int
    ) -> Any:
        self.asked.append(passages)
        return list(candidates)


def test_one_search_goes_as_far_as_it_is_told_and_the_next_as_the_settings_say(
    refresher: Refresher, knowledge: KnowledgeBase, tmp_path: Path
) -> None:
    publish(refresher, tmp_path, *({"id": f"b{n}", "text": f"Boots {n}."} for n in range(20)))
    knowledge.reranker = reranker = Counting()
    vector = knowledge.encoder.embed(["boots"])[0]
    near = knowledge.candidates("boots", vector, 2, "reranked", "en", depth=Depth(5, 4))
    far = knowledge.candidates("boots", vector, 2, "reranked", "en")
    assert len(near) <= 10 < len(far)
    assert reranker.asked == [4, KnowledgeSettings().rerank_passages]


def test_each_mode_finds_by_itself_what_a_search_in_it_finds(
    refresher: Refresher, knowledge: KnowledgeBase, tmp_path: Path
) -> None:
    texts = ("Boots of leather.", "Hats.", "Boots and laces for boots.", "Scarves of wool, red.")
    publish(refresher, tmp_path, *({"id": f"d{n}", "text": t} for n, t in enumerate(texts)))
    found = by_mode(knowledge, "boots", "en", Depth(5, 3))
    vector = knowledge.encoder.embed(["boots"])[0]
    for mode in MODES:
        searched = knowledge.candidates("boots", vector, 5, mode, "en", depth=Depth(5, 3))
        assert [c.chunk.id for c in found.rankings[mode]] == [c.chunk.id for c in searched]
    assert [c.chunk.id for c in found.rankings["bm25"]] == ["d2#0", "d0#0"]
    assert found.rankings["bm25"][0].score > found.rankings["bm25"][1].score > 0
    assert len(found.rankings["dense"]) == 4
    assert tuple(found.milliseconds) == STAGES
    assert all(time >= 0 for time in found.milliseconds.values())
