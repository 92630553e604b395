"""Folders of models: what is loaded, what is refused, what is served."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge.errors import PropensityError
from knowledge.propensity.features import features
from knowledge.propensity.model import MANIFEST, WEIGHTS, Model
from knowledge.propensity.promoted import propensity_models
from knowledge.propensity.scorers import Inputs
from tests.knowledge.propensity.pasts import PAST, SCALE, by_recency

ROWS = Inputs(features(PAST, [50.5, 90.0], SCALE), np.zeros((2, 0)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    by_recency().write(tmp_path / "mine")
    return tmp_path / "mine"


def test_a_model_says_the_same_when_it_is_read_again(folder: Path) -> None:
    wanted = by_recency().probabilities(ROWS)
    np.testing.assert_array_equal(Model.read(folder).probabilities(ROWS), wanted)
    assert wanted[0] > wanted[1], "the later it gets, the less likely"


def test_bands_are_by_the_probability() -> None:
    manifest = by_recency().manifest
    bands = [manifest.band(p) for p in (0.05, 0.1, 0.49, 0.5)]
    assert bands == ["leaving", "unsure", "unsure", "likely"]


@pytest.mark.parametrize("name", ["model.pkl", "model.py", "skops.skops"])
def test_a_folder_with_anything_else_in_it_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(pickle.dumps([1]))
    with pytest.raises(PropensityError, match="holds files"):
        Model.read(folder)


def test_a_folder_with_a_link_in_it_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / WEIGHTS).rename(tmp_path / "elsewhere")
    (folder / WEIGHTS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PropensityError):
        Model.read(folder)


def test_weights_that_were_changed_are_refused(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(bytes(data))
    with pytest.raises(PropensityError, match="was changed"):
        Model.read(folder)


@pytest.mark.parametrize(
    "changes",
    [{"features": ("recency",)}, {"parts": {"skops": 1.0}}, {"parts": {"network": 1.0}}],
    ids=["features", "unknown", "absent"],
)
def test_what_this_version_cannot_read_is_refused(tmp_path: Path, changes: Any) -> None:
    with pytest.raises(PropensityError):
        by_recency(**changes).write(tmp_path / "other")


def test_a_manifest_with_a_key_that_is_not_known_is_refused(folder: Path) -> None:
    text = (folder / MANIFEST).read_text("utf-8").replace('"home"', '"code": "x", "home"', 1)
    (folder / MANIFEST).write_text(text, "utf-8")
    with pytest.raises(PropensityError, match="unreadable manifest"):
        Model.read(folder)


def test_promoting_serves_and_rolling_back_serves_the_one_before(
    folder: Path, tmp_path: Path
) -> None:
    models = propensity_models(tmp_path / "home")
    assert models.current() is None
    first = models.promote(folder)
    by_recency(slope=2.0, shift=1.0).write(tmp_path / "other")
    second = models.promote(tmp_path / "other")
    assert models.current() == models.folder / second
    assert Model.read(models.folder / second).manifest.slope == 2.0
    assert models.rollback() == first
    assert models.rollback() is None
    assert models.current() is None
    with pytest.raises(PropensityError, match="nothing can be rolled back"):
        models.rollback()


@pytest.mark.parametrize(
    "scores",
    [{}, {"positives": 0.2, "pr_auc": 0.24, "intervals": {"pr_auc": [0.18, 0.3]}}],
    ids=["not measured", "no better than chance"],
)
def test_a_model_that_tells_nobody_apart_is_not_promoted(tmp_path: Path, scores: Any) -> None:
    by_recency(scores=scores).write(tmp_path / "weak")
    with pytest.raises(PropensityError):
        propensity_models(tmp_path / "home").promote(tmp_path / "weak")
    assert propensity_models(tmp_path / "home").current() is None


def test_a_damaged_pointer_is_told_and_not_guessed_at(tmp_path: Path) -> None:
    models = propensity_models(tmp_path)
    models.folder.mkdir()
    models.pointer.write_text("{", "utf-8")
    with pytest.raises(PropensityError, match="damaged"):
        models.current()
