"""The conversation store on a real PostgreSQL server."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from assistant import migrations, tables
from assistant.backup import back_up
from assistant.conversations import Conversations
from assistant.erasure import erase, find_person
from assistant.errors import InputError, StoreError
from assistant.handoff import Handoffs
from assistant.restoring import restore
from assistant.retention import sweep
from assistant.settings import Settings
from assistant.store_settings import StoreSettings
from benchmarks.engines import Engine, create
from tests.engines import postgres
from tests.keeping import ROWS, fill, rows

pytestmark = pytest.mark.slow
PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module")
def server() -> Iterator[Engine]:
    with postgres() as found:
        yield found


@pytest.fixture
def fresh(server: Engine, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Makes empty databases of this test's own."""
    return lambda name: create(server, f"{name}-{request.node.name}"[:60])


@pytest.fixture
def store(fresh: Callable[[str], str]) -> Iterator[Conversations]:
    opened = Conversations(fresh("store"))
    yield opened
    opened.close()


def nothing(*_: object) -> dict[str, list[dict[str, object]]]:
    return {"training_sets": [], "to_train_anew": []}


def test_the_tables_are_those_of_the_program_and_no_row_changes_on_the_way_back(
    store: Conversations,
) -> None:
    fill(store)
    with store.readers.connect() as connection:
        assert migrations.differences(connection) == []
        full = rows(connection)
    assert set(full) == {t.name for t in tables.metadata.sorted_tables}
    assert all(len(held) == ROWS for held in full.values())
    migrations.move(store.engine, "0001")
    with store.readers.connect() as connection:
        held = rows(connection)
    assert held == {name: full[name] for name in held}
    migrations.move(store.engine, migrations.HEAD)
    with store.readers.connect() as connection:
        again = rows(connection)
        assert migrations.differences(connection) == []
    assert {n: again[n] for n in held} == held


def test_programs_that_start_at_once_do_the_steps_once(fresh: Callable[[str], str]) -> None:
    url = fresh("race")
    program = (
        "import sys; from assistant.conversations import Conversations\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "Conversations(sys.argv[1]).start()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [
        subprocess.Popen([sys.executable, "-c", program, url], text=True, **pipes)  # type: ignore[call-overload]
        for _ in range(4)
    ]
    assert [process.stdout.readline() for process in started] == ["ready\n"] * 4
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in started] == [
        ("", 0)
    ] * 4
    store = Conversations(url)
    assert len(store.queue()) == 4
    store.close()


def test_messages_ratings_and_hand_offs_are_kept(store: Conversations) -> None:
    conversation = store.start("zh", "C-1")
    said = store.add(conversation.id, "customer", "怎么退货?", "m1")
    assert store.add(conversation.id, "customer", "again", "m1").id == said.id
    reply = store.add(conversation.id, "assistant", "七天内可退。", "m1", {"outcome": "answer"})
    store.rate(conversation.id, reply.id, True)
    assert Handoffs(store).happen(conversation.id, "ask", reason="customer:asked")
    assert [m.text for m in store.messages(conversation.id)] == ["怎么退货?", "七天内可退。"]
    store.delete(conversation.id)
    with store.readers.connect() as connection:
        left = {name: held for name, held in rows(connection).items() if held}
    assert left == {}


def test_many_writers_lose_no_message(store: Conversations) -> None:
    conversation = store.start()

    def write(number: int) -> None:
        for i in range(10):
            store.add(conversation.id, "customer", f"{number}-{i}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.messages(conversation.id)) == 80


def test_retention_and_erasure_take_the_same_rows_as_on_sqlite(
    store: Conversations, tmp_path: Path
) -> None:
    kept, gone, erased = (
        store.start(customer_id=name) for name in ("C-kept", "C-gone", "C-erased")
    )
    for conversation in (kept, gone, erased):
        store.add(
            conversation.id, "customer", "The zebra wants its stripes back by Friday, please."
        )
    with store.engine.begin() as connection:
        connection.execute(
            text("UPDATE conversations SET updated = 0 WHERE id = :id"), {"id": gone.id}
        )
    swept = sweep(store, StoreSettings(conversations_days=30), kept.updated, "test")
    assert swept.removed == {"conversations": 1, "messages": 1}
    settings = Settings(home=tmp_path, store=StoreSettings(url=str(store.engine.url)))
    receipt = erase(settings, store, find_person(store, customer="C-erased"), nothing, [])
    assert receipt.rows == {"conversations": 1, "messages": 1}
    assert "VACUUM FULL" in str(receipt.to_decide)
    with store.readers.connect() as connection:
        assert connection.execute(select(tables.conversations.c.id)).scalars().all() == [kept.id]


def test_a_backup_of_a_database_fills_an_empty_one_and_no_other(
    store: Conversations, fresh: Callable[[str], str], tmp_path: Path
) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not installed")
    fill(store)
    url = store.engine.url.render_as_string(hide_password=False)
    home, file = tmp_path / "home", tmp_path / "backup"
    home.mkdir()
    settings = Settings(home=home, store=StoreSettings(url=url))
    back_up(settings, file, PASSPHRASE, tmp_path / "none.toml", {})
    with pytest.raises(InputError, match="give an empty database"):
        restore(file, tmp_path / "new", PASSPHRASE)
    with pytest.raises(InputError, match="has tables already"):
        restore(file, tmp_path / "new", PASSPHRASE, url)
    assert not (tmp_path / "new").exists()
    target = fresh("target")
    restore(file, tmp_path / "new", PASSPHRASE, target)
    again = Conversations(target)
    with store.readers.connect() as before, again.readers.connect() as after:
        assert rows(after) == rows(before)
    again.close()


def test_a_server_that_cannot_be_reached_is_told_of_without_the_password() -> None:
    with pytest.raises(StoreError, match="cannot be reached") as told:
        Conversations("postgresql://shop:hush@127.0.0.1:1/shop")
    assert "hush" not in str(told.value)
