"""What is over its time goes, and nothing else; a wrong clock costs nothing."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from sqlalchemy import select, update

from assistant import tables
from assistant.conversations import Conversations
from assistant.edits import Edit, Edits
from assistant.episodes import read_episodes
from assistant.errors import SettingsError
from assistant.handoff import Handoffs
from assistant.notes import Notes
from assistant.retention import DAY_SECONDS, RetentionWatch, sweep
from assistant.settings import Settings, load_settings
from assistant.store_settings import StoreSettings
from tests.keeping import files_with, rows

NOW = 1_790_000_000.0
MARK = "zebra-striped"


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations.in_home(tmp_path)


def talk(store: Conversations, days: float, mark: str = MARK) -> str:
    """A conversation with all that can belong to one, last used so many days ago; its id."""
    conversation = store.start("en", f"C-{mark}")
    key = conversation.id
    store.add(key, "customer", f"Where is my {mark} kettle?", "m1")
    answer = {
        "outcome": "answer", "reason": "", "language": "en", "intent": "returns",
        "reply": f"The {mark} kettle.", "latency_ms": {"total": 400.0},
        "citations": [{"evidence_id": "page#1", "quote": mark}],
        "sentences": [{"text": mark, "supported": True}, {"text": mark, "supported": True}],
        "trace": {
            "version": "20260901-080000-000000", "standalone": mark, "prompt": mark,
            "first_sentence_ms": 120.0, "dropped": [{"text": mark, "reason": f"{mark} is not in it"}],
        },
    }  # fmt: skip
    said = store.add(key, "assistant", f"The {mark} kettle.", "m1", answer)
    store.rate(key, said.id, True, f"{mark} is right")
    Handoffs(store).leave_contact(key, f"{mark}@example.com")
    Notes(store).add(key, "Ada", f"Asks for the {mark} one.")
    Edits(store).keep(key, said.id, Edit(mark, f"{mark}!", "page#1", True))
    with store.engine.begin() as connection:
        at = NOW - days * DAY_SECONDS
        for table in (tables.messages, tables.ratings):
            connection.execute(
                update(table).where(table.c.conversation_id == key).values(created=at)
            )
        talks = tables.conversations
        connection.execute(update(talks).where(talks.c.id == key).values(created=at, updated=at))
    return key


def ids(store: Conversations) -> set[str]:
    with store.readers.connect() as connection:
        return set(connection.execute(select(tables.conversations.c.id)).scalars())


def test_without_days_everything_is_kept(store: Conversations) -> None:
    talk(store, 10_000)
    assert not sweep(store, StoreSettings(), NOW, "test")
    assert len(ids(store)) == 1


def test_what_is_over_its_time_goes_from_every_table_and_from_the_disk(
    store: Conversations, tmp_path: Path
) -> None:
    old, young = talk(store, 31), talk(store, 29, "leopard-spotted")
    swept = sweep(store, StoreSettings(conversations_days=30), NOW, "test")
    assert swept.removed["conversations"] == 1
    assert swept.removed["messages"] == 2
    assert ids(store) == {young}
    with store.readers.connect() as connection:
        for name, held in rows(connection).items():
            assert name == "audit" or old not in repr(held), name
    assert files_with([MARK], tmp_path) == {}
    assert files_with(["leopard-spotted"], tmp_path)


def test_what_went_is_counted_in_the_audit_log_and_not_told(store: Conversations) -> None:
    old = talk(store, 31)
    sweep(store, StoreSettings(conversations_days=30), NOW, "retention")
    newest = store.audit(1)[0]
    assert (newest["who"], newest["what"]) == ("retention", "retain")
    assert json.loads(newest["detail"])["removed"]["messages"] == 2
    assert MARK not in newest["detail"]
    assert old not in newest["detail"]


def test_a_dry_run_counts_what_a_sweep_removes_and_removes_nothing(store: Conversations) -> None:
    for days in (31, 45, 200, 2):
        talk(store, days)
    kept = StoreSettings(words_days=30, conversations_days=100)
    with store.readers.connect() as connection:
        before = rows(connection)
    told = sweep(store, kept, NOW, "test", dry=True)
    with store.readers.connect() as connection:
        assert rows(connection) == before
    assert sweep(store, kept, NOW, "test") == told
    assert told.removed["conversations"] == 1
    assert told.blanked["conversations"] == 2


def test_words_go_first_and_the_analytics_stay_the_same(
    store: Conversations, tmp_path: Path
) -> None:
    talk(store, 31)
    before = read_episodes(store, 0.0, NOW)
    sweep(store, StoreSettings(words_days=30, conversations_days=700), NOW, "test")
    (episode,) = read_episodes(store, 0.0, NOW)
    (reply,) = episode.replies
    assert (reply.sentences, reply.dropped, reply.first_ms, reply.helpful) == (2, 1, 120.0, True)
    assert episode.fate == before[0].fate == "hard"
    assert episode.version == before[0].version != ""
    assert files_with([MARK], tmp_path) == {}


def test_a_sweep_has_nothing_to_do_after_a_sweep(store: Conversations) -> None:
    talk(store, 31)
    kept = StoreSettings(words_days=30, conversations_days=700)
    assert sweep(store, kept, NOW, "test")
    assert not sweep(store, kept, NOW, "test")


def test_more_conversations_than_go_at_once_all_go(store: Conversations) -> None:
    for _ in range(7):
        talk(store, 31)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assistant.retention._BATCH", 2)
        swept = sweep(store, StoreSettings(conversations_days=30), NOW, "test")
    assert swept.removed["conversations"] == 7
    assert ids(store) == set()


@pytest.fixture
def watch(store: Conversations, tmp_path: Path) -> RetentionWatch:
    kept = StoreSettings(conversations_days=30)
    return RetentionWatch(store, Settings(home=tmp_path, store=kept))


def look_daily(watch: RetentionWatch, until: float) -> None:
    for at in (until - 2 * DAY_SECONDS, until - DAY_SECONDS, until):
        watch.look(at)


def test_the_server_sweeps_once_a_day(store: Conversations, watch: RetentionWatch) -> None:
    look_daily(watch, NOW - DAY_SECONDS)
    talk(store, 31)
    assert watch.look(NOW - 1) is None
    swept = watch.look(NOW)
    assert swept is not None
    assert swept.removed["conversations"] == 1
    assert watch.look(NOW + 3600) is None


@pytest.mark.parametrize("jump", [5 * 365 * DAY_SECONDS, -5 * 365 * DAY_SECONDS])
def test_a_clock_that_jumps_deletes_nothing_and_is_told_of(
    store: Conversations,
    watch: RetentionWatch,
    jump: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    look_daily(watch, NOW - DAY_SECONDS)
    kept = talk(store, 0)
    with caplog.at_level(logging.WARNING):
        assert watch.look(NOW + jump) is None
    assert "from tomorrow on, if it is" in caplog.text
    assert watch.look(NOW) is None  # set right again, and believed when it has gone on for a day
    assert watch.look(NOW + DAY_SECONDS) is not None
    assert ids(store) == {kept}


def test_words_cannot_be_kept_for_longer_than_what_they_are_in(tmp_path: Path) -> None:
    config = tmp_path / "frontdesk.toml"
    config.write_text("[store]\nwords_days = 60\nconversations_days = 30\n")
    with pytest.raises(SettingsError, match="words_days must not exceed conversations_days"):
        load_settings(config, {})
