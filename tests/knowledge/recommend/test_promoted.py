"""Which recommender of a home is served, and which is not promoted at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from knowledge.errors import RecommenderError
from knowledge.promoted import PromotedModels
from knowledge.recommend.artefact import GOODS as GOODS_FILE
from knowledge.recommend.artefact import Manifest
from knowledge.recommend.promoted import recommenders
from tests.knowledge.recommend.test_recommend import saved


def ahead(recall: tuple[float, float], ndcg: tuple[float, float]) -> dict[str, Any]:
    """Scores whose intervals begin so far from 0 beside the two references."""
    rows = (
        {"recall@20": r + 0.01, "recall@20_interval": [r, r + 0.02],
         "ndcg@10": n + 0.01, "ndcg@10_interval": [n, n + 0.02]}
        for r, n in zip(recall, ndcg, strict=True)
    )  # fmt: skip
    return {"ahead": dict(zip(("own frequency", "popular"), rows, strict=True))}


PROMOTABLE = ahead((0.01, 0.02), (-0.01, -0.01))


@pytest.fixture
def models(tmp_path: Path) -> PromotedModels[Manifest]:
    return recommenders(tmp_path / "home")


def test_promoting_serves_and_rolling_back_serves_the_one_before(
    models: PromotedModels[Manifest], tmp_path: Path
) -> None:
    assert models.current() is None
    saved(tmp_path / "mine", PROMOTABLE)
    first = models.promote(tmp_path / "mine")
    assert first.startswith("mine-")
    saved(tmp_path / "other", ahead((-0.01, 0.0), (0.001, 0.001)))  # NDCG alone is enough
    second = models.promote(tmp_path / "other")
    assert models.current() == models.folder / second
    assert models.promote(models.folder / first) == first, "one that was promoted keeps its name"
    assert models.rollback() == second
    assert models.rollback() is None
    with pytest.raises(RecommenderError, match="nothing can be rolled back"):
        models.rollback()


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "train it again"),
        ({"held_out": {}}, "train it again"),
        ({"ahead": {"popular": {"recall@20": 1}}}, "no readable scores"),
        (ahead((-0.01, 0.02), (0.02, -0.01)), r"-0\.0100, \+0\.0100\] beside popular"),
        (ahead((0.0, 0.1), (0.1, 0.0)), "no better"),
    ],
    ids=["not measured", "of an earlier version", "unreadable", "beside one in each", "at nothing"],
)
def test_one_that_is_not_surely_ahead_is_not_promoted(
    models: PromotedModels[Manifest], tmp_path: Path, scores: dict[str, Any], message: str
) -> None:
    saved(tmp_path / "weak", scores)
    with pytest.raises(RecommenderError, match=message):
        models.promote(tmp_path / "weak")
    assert models.current() is None


def test_a_damaged_one_is_not_promoted(models: PromotedModels[Manifest], tmp_path: Path) -> None:
    saved(tmp_path / "mine", PROMOTABLE)
    (tmp_path / "mine" / GOODS_FILE).write_text("[]")
    with pytest.raises(RecommenderError, match="not what the manifest says"):
        models.promote(tmp_path / "mine")


def test_one_in_the_folder_itself_is_served_until_another_one_is_promoted(
    models: PromotedModels[Manifest], tmp_path: Path
) -> None:
    saved(models.folder)
    assert models.current() == models.folder
    with pytest.raises(RecommenderError, match="into another folder"):
        models.promote(models.folder)
    saved(tmp_path / "mine", PROMOTABLE)
    name = models.promote(tmp_path / "mine")
    assert models.current() == models.folder / name
    assert models.rollback() == models.folder.name


def test_a_damaged_pointer_is_told_and_not_guessed_at(models: PromotedModels[Manifest]) -> None:
    models.folder.mkdir(parents=True)
    models.pointer.write_text("{", "utf-8")
    with pytest.raises(RecommenderError, match="damaged"):
        models.current()
