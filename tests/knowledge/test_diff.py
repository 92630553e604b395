"""What differs between two published versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from knowledge.diff import Edit, compare, word_edits
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.refresh import Refresher
from knowledge.settings import KnowledgeSettings
from knowledge.versions import Versions
from tests.knowledge.fakes import WordInspector

RETURNS = (
    "# Returns\nBring it back.\n## Boots\nBoots come back within 14 days.\n## Hats\nHats stay."
)


@pytest.fixture
def refresher(tmp_path: Path, detector: Detector, word_lengths: Any) -> Refresher:
    versions = Versions(tmp_path / "home")
    return Refresher(versions, Loader(detector), word_lengths, WordInspector(), KnowledgeSettings())


def publish(refresher: Refresher, folder: Path, *records: dict[str, str]) -> Path:
    path = folder / "c.jsonl"
    path.write_text("\n".join(json.dumps({"language": "en", "title": "T"} | r) for r in records))
    return refresher.versions.folder / refresher.refresh([path]).version


def test_a_changed_word_is_shown_in_its_sentence() -> None:
    assert word_edits("Within 14 days.", "Within 21 days.") == (
        Edit("same", "Within "),
        Edit("removed", "14"),
        Edit("added", "21"),
        Edit("same", " days."),
    )


def test_chinese_is_compared_by_character() -> None:
    edits = word_edits("七天内可以退货", "十天内可以退货")
    assert [(e.kind, e.text) for e in edits] == [
        ("removed", "七"), ("added", "十"), ("same", "天内可以退货"),
    ]  # fmt: skip


def test_both_texts_can_be_read_from_the_edits() -> None:
    before, after = "Boots: 14 days, GBP 3.50 each way.", "Boots and hats: 3 weeks, free."
    edits = word_edits(before, after)
    assert "".join(e.text for e in edits if e.kind != "added") == before
    assert "".join(e.text for e in edits if e.kind != "removed") == after


def test_only_the_passages_that_differ_are_listed(refresher: Refresher, tmp_path: Path) -> None:
    first = publish(refresher, tmp_path, {"id": "r", "text": RETURNS}, {"id": "x", "text": "Gone."})
    text = RETURNS.replace("14", "21").replace("Bring", "A new first line.\n## Start\nBring")
    second = publish(refresher, tmp_path, {"id": "r", "text": text}, {"id": "y", "text": "New."})
    changes = {c.id: c for c in compare(first, second)}
    assert {i: c.kind for i, c in changes.items()} == {"r": "changed", "x": "removed", "y": "added"}
    titles = [(p.kind, p.title) for p in changes["r"].passages]
    assert ("changed", "T › Returns › Boots") in titles
    assert not any("Hats" in title for _, title in titles)


def test_a_change_of_dates_or_audience_is_a_change(refresher: Refresher, tmp_path: Path) -> None:
    first = publish(refresher, tmp_path, {"id": "r", "text": RETURNS})
    later = {"id": "r", "text": RETURNS, "valid_until": "2030-01-01", "audience": "agents"}
    (change,) = compare(first, publish(refresher, tmp_path, later))
    assert change.fields == (("audience", "public", "agents"), ("valid_until", "", "2030-01-01"))
    assert change.passages == ()


def test_a_version_does_not_differ_from_itself(refresher: Refresher, tmp_path: Path) -> None:
    first = publish(refresher, tmp_path, {"id": "r", "text": RETURNS})
    assert compare(first, first) == []
