"""What stands between a server and its customers, said by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.readiness import Readiness
from assistant.settings import Settings, load_settings
from knowledge.store import MANIFEST
from knowledge.versions import Versions


def publish(home: Path, name: str = "20260901-080000-000000") -> None:
    """A version as far as readiness looks: that it is whole, and pointed to."""
    versions = Versions(home)
    (versions.folder / name).mkdir(parents=True)
    (versions.folder / name / MANIFEST).write_text("{}")
    versions.publish(name)


def looked(settings: Settings, store: Conversations) -> Readiness:
    found = Readiness(settings, store)
    found.models = ""
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(environment={}, home=tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[Conversations]:
    opened = Conversations.of(settings)
    yield opened
    opened.close()


def test_with_everything_in_place_it_is_ready(settings: Settings, store: Conversations) -> None:
    publish(settings.home)
    health = looked(settings, store).look()
    assert health.is_ready
    assert health.body["checks"] == dict.fromkeys(("models", "knowledge", "disk", "database"), "ok")


def test_without_a_knowledge_base_it_says_how_to_get_one(
    settings: Settings, store: Conversations
) -> None:
    health = looked(settings, store).look()
    assert not health.is_ready
    assert "knowledge refresh" in health.checks["knowledge"]
    publish(settings.home)
    (settings.home / "knowledge/versions/20260901-080000-000000" / MANIFEST).unlink()
    assert "no version" in looked(settings, store).look().checks["knowledge"]
    (settings.home / "knowledge/current").write_bytes(b"\xff")  # damaged, and not the end of it
    assert "no version" in looked(settings, store).look().checks["knowledge"]


def test_cold_models_and_a_full_disk_are_named(tmp_path: Path, store: Conversations) -> None:
    settings = load_settings(environment={}, home=tmp_path, health={"least_free_bytes": 10**18})
    health = Readiness(settings, store).look()
    assert health.checks["models"] == "warming up"
    assert "are needed" in health.checks["disk"]


def test_a_database_that_cannot_be_asked_is_named(settings: Settings, store: Conversations) -> None:
    publish(settings.home)
    store.close()
    for path in settings.home.glob("conversations.sqlite*"):
        path.unlink()
    (settings.home / "conversations.sqlite").mkdir()
    health = looked(settings, store).look()
    assert {name for name, wrong in health.checks.items() if wrong} == {"database"}
    assert "cannot be opened" in health.checks["database"]


def test_who_asks_often_gets_what_was_found_a_second_ago(
    settings: Settings, store: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(settings.home)
    readiness = looked(settings, store)
    assert readiness.look().is_ready
    monkeypatch.setattr(store.readers, "connect", None)  # asking again would fail
    assert readiness.look().is_ready
    readiness.models = "the assistant failed"
    assert not readiness.look().is_ready


def test_a_server_that_stops_says_so_and_looks_at_nothing(
    settings: Settings, store: Conversations
) -> None:
    readiness = Readiness(settings, store)
    readiness.drain()
    assert readiness.look().body == {"status": "not ready", "checks": {"server": "shutting down"}}
