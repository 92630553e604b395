"""The store when others write and when the disk is full: nothing that was stored is lost, and who
asks is told what to do."""

from __future__ import annotations

import multiprocessing
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app import create_app
from assistant import database, passwords
from assistant.conversations import Conversations, insert_message
from assistant.database import scrub, settle
from assistant.errors import StoreError
from tests.keeping import files_with, write_for
from tests.staffing import AGENT, HOST, chat_service, hire, quick_hasher, staff_settings

FULL = "the disk is full, so nothing was stored; free some space and try again"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    opened = Conversations.in_home(tmp_path)
    yield opened
    opened.close()


def _connected(home: Path) -> sqlite3.Connection:
    return sqlite3.connect(home / "conversations.sqlite", timeout=60, isolation_level=None)


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Another process's transaction: it writes, and does not end."""
    with closing(_connected(home)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_who_waits_too_long_is_told_and_can_send_it_again(
    store: Conversations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = store.start()
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    with held(tmp_path):
        with pytest.raises(StoreError, match="has been writing for too long; try again"):
            store.add(conversation.id, "customer", "Hello?", "m1")
        assert store.messages(conversation.id) == []  # reading waits for nobody
    store.add(conversation.id, "customer", "Hello?", "m1")
    assert [m.text for m in store.messages(conversation.id)] == ["Hello?"]


@pytest.mark.slow
def test_thirty_two_processes_and_one_that_holds_the_lock_lose_no_message(
    store: Conversations, tmp_path: Path
) -> None:
    conversation, processes, seconds = store.start(), 32, 15.0
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.keeping"])
    begin, results = context.Barrier(processes + 1), context.Queue()
    for name in range(processes):
        given = (str(tmp_path), str(name), conversation.id, seconds, begin, results)
        context.Process(target=write_for, args=given, daemon=True).start()
    begin.wait(120)
    time.sleep(2)
    with held(tmp_path):
        time.sleep(5)
    counts = dict(results.get(timeout=120) for _ in range(processes))
    stored = [m.text for m in store.messages(conversation.id)]
    assert len(stored) == sum(counts.values())
    assert set(stored) == {f"{n}-{i}" for n, count in counts.items() for i in range(count)}
    assert min(counts.values()) > 0


def test_a_full_disk_is_told_of_and_what_was_stored_is_served(
    store: Conversations,
) -> None:
    conversation = store.start()
    store.add(conversation.id, "customer", "The first one.")
    raw = store.engine.raw_connection()
    limit = "PRAGMA max_page_count={}"
    pages = raw.cursor().execute("PRAGMA page_count").fetchone()[0]
    raw.cursor().execute(limit.format(pages + 2))
    raw.close()
    with pytest.raises(StoreError, match=FULL):
        store.add(conversation.id, "customer", "x" * 100_000)
    assert [m.text for m in store.messages(conversation.id)] == ["The first one."]
    raw = store.engine.raw_connection()
    raw.cursor().execute(limit.format(1_000_000))
    raw.close()
    store.add(conversation.id, "customer", "x" * 100_000)
    assert len(store.messages(conversation.id)) == 2


def test_a_file_that_may_not_grow_is_told_of_and_stays_whole(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from assistant.conversations import Conversations, insert_message
from assistant.errors import StoreError
store = Conversations.in_home(Path(sys.argv[1]))
conversation = store.start()
store.add(conversation.id, "customer", "The first one.")
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
kept = 0
try:
    while True:
        store.add(conversation.id, "customer", "x" * 20_000, f"m{kept}")
        kept += 1
except StoreError as error:
    print(error)
print(kept, len(store.messages(conversation.id)) - 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    told, counts = done.stdout.splitlines()
    assert told.startswith(("the disk cannot be written", FULL))
    kept, stored = map(int, counts.split())
    assert kept == stored > 0
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    store = Conversations.in_home(tmp_path)
    with store.readers.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    store.add(store.start().id, "customer", "x" * 20_000)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own; only root can mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user cannot mount a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full_loses_nothing_and_goes_on_when_there_is_space(
    disk: Path,
) -> None:
    store = Conversations.in_home(disk)
    conversation = store.start()
    (disk / "filler").write_bytes(b"\0" * 1_000_000)
    kept, told = 0, ""
    while not told:
        try:
            store.add(conversation.id, "customer", f"{kept} " + "x" * 9000, f"m{kept}")
            kept += 1
        except StoreError as error:
            told = str(error)
    assert told == FULL
    assert [m.text.split()[0] for m in store.messages(conversation.id)] == [*map(str, range(kept))]
    store.close()
    again = Conversations.in_home(disk)  # a restart on the full disk
    assert len(again.messages(conversation.id)) == kept > 10
    (disk / "filler").unlink()
    again.add(conversation.id, "customer", "There is space again.")
    with again.readers.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    assert len(again.messages(conversation.id)) == kept + 1
    again.close()


def test_the_web_says_that_nothing_was_stored_and_may_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = staff_settings(tmp_path)
    service = chat_service(settings)
    client = TestClient(create_app(settings, service))
    opened = client.post("/api/v1/conversations", json={}).json()
    path = f"/api/v1/conversations/{opened['conversation_id']}"
    headers = {"authorization": f"Bearer {opened['token']}"}
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    message = {"text": "How do I return it?", "message_id": "m1"}
    with held(tmp_path):
        refused = client.post(f"{path}/handoff", headers=headers)
        unsent = client.post(f"{path}/messages", json=message, headers=headers)
        history = client.get(path, headers=headers)
    for answer in (refused, unsent):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "try again" in answer.json()["detail"]
    assert history.json()["messages"] == []
    assert "event: reply" in client.post(f"{path}/messages", json=message, headers=headers).text
    service.conversations.close()


def test_of_many_threads_that_wait_for_a_held_lock_each_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.2)
    store = Conversations.in_home(tmp_path)
    told: list[BaseException] = []

    def write() -> None:
        try:
            store.start()
        except BaseException as error:
            told.append(error)

    threads = [threading.Thread(target=write) for _ in range(5)]
    with held(tmp_path):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert [type(error) for error in told] == [StoreError] * 5
    assert all("try again in a moment" in str(error) for error in told)
    store.close()


def test_staff_who_log_in_while_the_store_is_locked_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "PasswordHasher", quick_hasher)
    settings = staff_settings(tmp_path)
    service = chat_service(settings)
    hire(service.conversations, "Ada")
    client = TestClient(create_app(settings, service), follow_redirects=False)
    form, origin = {"login": "Ada", "password": AGENT}, {"origin": HOST}
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    with held(tmp_path):
        refused = client.post("/login", data=form, headers=origin)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert client.post("/login", data=form, headers=origin).status_code == 303
    service.conversations.close()


def test_deleted_words_leave_the_log_of_changes_too(store: Conversations, tmp_path: Path) -> None:
    conversation = store.start()
    store.add(conversation.id, "customer", "zebra-striped words")
    assert files_with(["zebra-striped"], tmp_path)
    store.delete(conversation.id)
    assert files_with(["zebra-striped"], tmp_path) == {}
    assert scrub(store.engine)


def test_a_reader_of_what_was_before_is_reported(
    store: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    with store.readers.connect() as connection:
        connection.execute(text("SELECT count(*) FROM messages")).scalar()
        store.add(store.start().id, "customer", "Hello?")
        assert not settle(store.engine)
    assert settle(store.engine)


def test_an_error_of_the_database_does_not_repeat_what_was_said(store: Conversations) -> None:
    key = store.start().id

    def say_it_twice() -> None:
        with store.engine.begin() as connection:
            for _ in range(2):
                insert_message(connection, key, "customer", "zebra-striped words", "m1")

    with pytest.raises(IntegrityError) as told:
        say_it_twice()
    assert "zebra" not in str(told.value)
