"""The recommender follows what is promoted, without a restart."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from assistant.recommend.recommender import Recommender
from assistant.recommend.served import ServedRecommender
from knowledge.recommend.promoted import recommenders
from tests.knowledge.recommend.test_promoted import PROMOTABLE
from tests.knowledge.recommend.test_recommend import saved


@pytest.fixture(autouse=True)
def without_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here reads titles."""
    monkeypatch.setattr("knowledge.recommend.artefact.TextTower", lambda *_: None)


def promote(home: Path, name: str) -> str:
    saved(home / name, PROMOTABLE | {"name": name})
    return recommenders(home).promote(home / name)


def served(home: Path) -> ServedRecommender:
    return ServedRecommender(home, home / "engines", 1)


def changed(serving: ServedRecommender, before: Recommender | None) -> Recommender | None:
    """What recommends after the next one took its place."""
    deadline = time.monotonic() + 20
    while (now := serving.current()) is before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return now


def test_a_promotion_and_a_rollback_are_followed(tmp_path: Path) -> None:
    serving = served(tmp_path)
    assert serving.current() is None
    promote(tmp_path, "first")
    first = changed(serving, None)
    assert first is not None
    promote(tmp_path, "second")
    second = changed(serving, first)
    assert second is not None
    recommenders(tmp_path).rollback()
    assert changed(serving, second) is not first, "it is read again"
    recommenders(tmp_path).rollback()
    assert serving.current() is None


def test_what_is_promoted_at_the_start_is_there_at_once(tmp_path: Path) -> None:
    promote(tmp_path, "first")
    assert served(tmp_path).current() is not None


def test_a_damaged_one_is_logged_once_and_the_one_before_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    promote(tmp_path, "first")
    serving = served(tmp_path)
    first = serving.current()
    saved(tmp_path / "second", PROMOTABLE)
    name = recommenders(tmp_path).promote(tmp_path / "second")
    (tmp_path / "recommender" / name / "goods.json").write_text("[]")
    deadline = time.monotonic() + 20
    with caplog.at_level(logging.ERROR):
        while "not what the manifest says" not in caplog.text:
            assert serving.current() is first
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for _ in range(3):
            assert serving.current() is first
    assert caplog.text.count("stays as it is") == 1


def test_a_damaged_pointer_leaves_the_recommender_as_it_is(tmp_path: Path) -> None:
    promote(tmp_path, "first")
    serving = served(tmp_path)
    first = serving.current()
    recommenders(tmp_path).pointer.write_text("{")
    assert serving.current() is first is not None
