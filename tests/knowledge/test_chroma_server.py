"""Vectors on a real Chroma server: same passages, versions that come and go, and the server away."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest

from benchmarks.engines import Engine, chroma
from knowledge import store as store_module
from knowledge import vector_index
from knowledge.catalogue.refresh import refresh_catalogue
from knowledge.catalogue.store import CatalogueStore
from knowledge.check import check
from knowledge.errors import VersionError
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.purge import purge
from knowledge.refresh import Refresher
from knowledge.settings import KnowledgeSettings
from knowledge.store import Store
from knowledge.types import silent
from knowledge.vector_index import CHROMA, SERVER, Place, VectorIndex
from knowledge.versions import CatalogueVersions, Versions
from tests.engines import started
from tests.knowledge.fakes import WordInspector


def collections(server: Engine) -> set[str]:
    client = chromadb.HttpClient("127.0.0.1", server.port)
    return {c.name for c in client.list_collections()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with started(chroma, tmp_path_factory.mktemp("chroma")) as engine:
        yield engine


@pytest.fixture
def refresher(tmp_path: Path, detector: Detector, word_lengths: Any, server: Engine) -> Refresher:
    settings = KnowledgeSettings(chroma=server.url, keep_versions=2)
    versions = Versions(tmp_path / "home")
    return Refresher(versions, Loader(detector), word_lengths, WordInspector(), settings)


def corpus(path: Path, **texts: str) -> Path:
    rows = (json.dumps({"id": i, "title": i, "text": t}) for i, t in texts.items())
    path.write_text("\n".join(rows))
    return path


def names(server: Engine, version: str) -> list[str]:
    return sorted(n for n in collections(server) if version in n)


@pytest.mark.slow
def test_a_version_is_written_to_the_server_and_found_there_as_it_is_in_files(
    refresher: Refresher, server: Engine, tmp_path: Path
) -> None:
    texts = {f"d{n}": " ".join(["word"] * (n + 1)) + "." for n in range(20)}
    version = refresher.refresh([corpus(tmp_path / "c.jsonl", **texts)]).version
    folder = refresher.versions.current_folder()
    assert not (folder / CHROMA).exists()
    assert names(server, version) == [f"knowledge-{version}-passages-en"]
    assert check(refresher.versions).problems == ()
    store = Store(folder)
    (scope,) = store.scopes
    for vector in store.vectors[::5]:
        by_server = store.nearest_indexed(scope, vector, 3)
        assert [c for _, c in by_server] == pytest.approx(
            [c for _, c in store.nearest(scope, vector, 3)], abs=1e-5
        )
    store.close()


@pytest.mark.slow
def test_no_text_goes_to_the_server(refresher: Refresher, server: Engine, tmp_path: Path) -> None:
    refresher.refresh([corpus(tmp_path / "c.jsonl", a="The zebra-striped clause of 1987.")])
    held = [
        p for p in server.folder.rglob("*") if p.is_file() and b"zebra-striped" in p.read_bytes()
    ]
    assert held == []


@pytest.mark.slow
def test_versions_that_are_pruned_or_purged_leave_the_server(
    refresher: Refresher, server: Engine, tmp_path: Path
) -> None:
    source = tmp_path / "c.jsonl"
    first, *_ = [
        refresher.refresh(
            [corpus(source, a="One.", bad="Two words.", **{f"d{n}": "Word " * (n + 2)})]
        ).version
        for n in range(3)
    ]
    assert names(server, first) == [], "two are kept"
    kept = refresher.versions.complete()
    assert all(names(server, version) for version in kept)
    report = purge(refresher.versions, "bad")
    assert not any(names(server, version) for version in kept)
    assert names(server, report.version)
    assert Place.of(refresher.versions.current_folder()).server == server.url


@pytest.mark.slow
def test_a_rollback_from_the_server_to_files_and_back_serves_each(
    refresher: Refresher, tmp_path: Path
) -> None:
    source = tmp_path / "c.jsonl"
    in_files = Refresher(
        refresher.versions,
        refresher.drafter.loader,
        refresher.drafter.encoder,
        WordInspector(),
        KnowledgeSettings(),
    )
    first = in_files.refresh([corpus(source, a="One.")]).version
    second = refresher.refresh([corpus(source, a="One.", b="Two words.")]).version
    third = in_files.refresh([corpus(source, a="One.", b="Two words.", c="Three.")]).version
    for version, documents in ((first, 1), (second, 2), (third, 3)):
        refresher.versions.publish(version)
        store = Store(refresher.versions.current_folder())
        (scope,) = store.scopes
        assert len(store.nearest_indexed(scope, store.vectors[0], 9)) == documents
        store.close()


@pytest.mark.slow
def test_while_the_server_is_away_passages_are_found_exactly_and_nothing_is_published(
    refresher: Refresher, server: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "c.jsonl"
    version = refresher.refresh([corpus(source, a="One.", b="Two words.")]).version
    monkeypatch.setattr(store_module, "EXACT_UP_TO", 0)
    store = Store(refresher.versions.current_folder())
    (scope,) = store.scopes
    assert store.nearest(scope, store.vectors[0], 1) == store.nearest_indexed(
        scope, store.vectors[0], 1
    )
    server.stop()
    try:
        assert store.nearest(scope, store.vectors[0], 1)[0][0] == 0
        with pytest.raises(VersionError, match="cannot be reached"):
            refresher.refresh([corpus(source, a="One.", b="Two words.", c="Three.")])
        assert refresher.versions.current() == version
        with pytest.raises(VersionError, match="cannot be reached"):
            purge(refresher.versions, "b")
    finally:
        server.start()
    fourth = refresher.refresh([corpus(source, a="One.", b="Two words.", c="Three.")]).version
    assert names(server, fourth), "what was left of the first try is no hindrance"


@pytest.mark.slow
def test_products_are_searched_on_the_server_and_exactly_while_it_is_away(
    server: Engine, tmp_path: Path, word_lengths: Any
) -> None:
    source = tmp_path / "goods.jsonl"
    goods = [
        {"id": f"g{n}", "title": " ".join(["lamp"] * (n + 1)), "price": "1", "currency": "EUR"}
        for n in range(5)
    ]
    source.write_text("\n".join(map(json.dumps, goods)))
    versions = CatalogueVersions(tmp_path / "home")
    report = refresh_catalogue(
        versions, word_lengths, source, max_bytes=10_000, keep=2, progress=silent, server=server.url
    )
    assert names(server, report.version)
    store = CatalogueStore(versions.current_folder())
    (language,) = store.rows
    there = store.nearest(language, store.vectors[2], 2)
    server.stop()
    try:
        away = CatalogueStore(versions.current_folder()).nearest(language, store.vectors[2], 2)
    finally:
        server.start()
    assert [c for _, c in away] == pytest.approx([c for _, c in there], abs=1e-5)


@pytest.mark.slow
def test_a_server_that_hangs_keeps_nobody_waiting_and_is_asked_again_later(
    refresher: Refresher, server: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresher.refresh([corpus(tmp_path / "c.jsonl", a="One.", b="Two words.")])
    monkeypatch.setattr(store_module, "EXACT_UP_TO", 0)
    monkeypatch.setattr(vector_index, "_ASK_SECONDS", 0.5)
    monkeypatch.setattr(vector_index, "_REST_SECONDS", 2.0)
    store = Store(refresher.versions.current_folder())
    (scope,) = store.scopes
    there = store.nearest(scope, store.vectors[0], 1)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert store.nearest(scope, store.vectors[0], 1)[0][0] == there[0][0]
        assert time.monotonic() - began < 5
        with pytest.raises(VersionError, match="left alone"):
            store.nearest_indexed(scope, store.vectors[0], 1)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    time.sleep(max(0.0, began + 3 - time.monotonic()))
    assert store.nearest_indexed(scope, store.vectors[0], 1) == there
    store.close()


def test_a_server_that_does_not_answer_at_all_is_asked_once_and_then_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "_OPEN_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        silent_server.settimeout(5)
        (tmp_path / SERVER).write_text(f"http://127.0.0.1:{silent_server.getsockname()[1]}")
        index = VectorIndex(tmp_path)
        vector = np.ones(3, dtype=np.float32)
        with pytest.raises(VersionError, match="cannot be reached"):
            index.nearest("passages-en", vector, 1)
        with pytest.raises(VersionError, match="left alone"):
            index.nearest("passages-en", vector, 1)
        silent_server.accept()[0].close()
        silent_server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            silent_server.accept()
