"""Withdrawn text is erased: no byte of it is left below the home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from knowledge.errors import EmptyKnowledge, SourceError
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.purge import purge
from knowledge.refresh import Refresher
from knowledge.settings import KnowledgeSettings
from knowledge.store import Store
from knowledge.versions import Versions
from tests.knowledge.fakes import WordInspector

SECRET = "The zebra-striped clause of 1987"


@pytest.fixture
def refresher(tmp_path: Path, detector: Detector, word_lengths: Any) -> Refresher:
    versions = Versions(tmp_path / "home")
    return Refresher(versions, Loader(detector), word_lengths, WordInspector(), KnowledgeSettings())


def corpus(path: Path, **texts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n".join(json.dumps({"id": i, "title": i, "text": t}) for i, t in texts.items())
    )
    return path


def files_with(text: str, home: Path) -> list[Path]:
    return [p for p in home.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


def test_no_byte_of_a_purged_document_is_left_below_the_home(
    refresher: Refresher, tmp_path: Path
) -> None:
    source = tmp_path / "c.jsonl"
    kept = refresher.refresh([corpus(source, a="One.")]).version
    refresher.refresh([corpus(source, a="One.", bad=SECRET)])
    refresher.refresh([corpus(source, a="One.", bad=SECRET, c="Three.")])
    home = tmp_path / "home"
    assert files_with("zebra", home)
    report = purge(refresher.versions, "bad")
    assert (report.documents, report.remaining) == (("bad",), (str(source),))
    assert files_with("zebra", home) == []
    assert files_with("bad#0", home) == []
    assert refresher.versions.complete() == [kept, report.version]
    store = Store(refresher.versions.current_folder())
    assert [c.document_id for c in store.chunks] == ["a", "c"]
    (scope,) = store.scopes
    assert len(store.nearest(scope, store.vectors[0], 5)) == 2


def test_an_uploaded_file_is_erased_with_its_documents(
    refresher: Refresher, tmp_path: Path
) -> None:
    upload = corpus(tmp_path / "home/documents/uploads/bad.jsonl", bad=SECRET)
    refresher.refresh([corpus(tmp_path / "c.jsonl", a="One."), upload])
    report = purge(refresher.versions, str(upload))
    assert report.files == (str(upload),)
    assert files_with("zebra", tmp_path / "home") == []


def test_a_document_withdrawn_before_is_erased_from_history_alone(
    refresher: Refresher, tmp_path: Path
) -> None:
    refresher.refresh([corpus(tmp_path / "c.jsonl", a="One.", bad=SECRET)])
    served = refresher.refresh([corpus(tmp_path / "c.jsonl", a="One.")]).version
    report = purge(refresher.versions, "bad")
    assert files_with("zebra", tmp_path / "home") == []
    assert len(refresher.versions.complete()) == 1
    assert report.version == refresher.versions.current() != served


def test_purging_all_there_is_leaves_nothing_served(refresher: Refresher, tmp_path: Path) -> None:
    refresher.refresh([corpus(tmp_path / "c.jsonl", bad=SECRET)])
    assert purge(refresher.versions, "bad").version == ""
    assert refresher.versions.complete() == []
    with pytest.raises(EmptyKnowledge):
        refresher.versions.current()


def test_the_next_refresh_reads_the_purged_file_again(refresher: Refresher, tmp_path: Path) -> None:
    source = corpus(tmp_path / "c.jsonl", a="One.", bad=SECRET)
    refresher.refresh([source])
    purge(refresher.versions, "bad")
    assert refresher.refresh([source]).added == 1


def test_an_unknown_document_cannot_be_purged(refresher: Refresher, tmp_path: Path) -> None:
    refresher.refresh([corpus(tmp_path / "c.jsonl", a="One.")])
    with pytest.raises(SourceError, match="no version holds"):
        purge(refresher.versions, "zzz")


def test_findings_that_quote_the_erased_text_go_with_it(refresher, tmp_path):
    rows = [
        {"id": i, "title": t, "text": f"Secret {i}.", "language": "en"}
        for i, t in (("a", "One"), ("b", "One"), ("c", "Two"), ("d", "Two"))
    ]
    source = tmp_path / "c.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    assert len(refresher.refresh([source]).findings) == 2
    purge(refresher.versions, "a")
    store = Store(refresher.versions.current_folder())
    assert [f.passages for f in store.findings()] == [("c#0", "d#0")]
    store.close()
