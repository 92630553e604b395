"""The store's tables go forward and back, and no row changes on the way."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from assistant import migrations, tables
from assistant.conversations import Conversations
from assistant.database import open_engines
from assistant.errors import StoreError
from tests.keeping import ROWS, fill, rows, sqlite_schema

BEFORE = Path(__file__).with_name("before_migrations.sql").read_text("utf-8")
# Tables that a step after the first one makes; the step back drops them.
LATER = {"staff", "staff_sessions", "cited", "searches", "login_tries"}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "conversations.sqlite"


@pytest.fixture
def engines(database: Path) -> Iterator[tuple[Engine, Engine]]:
    writer, reader = open_engines(f"sqlite:///{database}")
    yield writer, reader
    writer.dispose()
    reader.dispose()


def at(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return migrations.revision(connection)


def made_before(database: Path, schema: str = BEFORE) -> None:
    """A store with rows, as a program without steps has left it."""
    connection = sqlite3.connect(database)
    connection.executescript(schema)
    for number in range(3):
        key = f"conversation-{number}"
        connection.execute(
            "INSERT INTO conversations VALUES (?, 'bot', 'en', NULL, NULL, '', 1.5, 2.5)", (key,)
        )
        reply = '{"citations": [{"evidence_id": "page#1"}], "trace": {"version": "v1"}}'
        connection.execute(
            "INSERT INTO messages VALUES (?, ?, 'm', 'assistant', '30 days.', ?, 2.25)",
            (number + 1, key, reply),
        )
    connection.commit()
    connection.close()


def test_a_new_store_has_the_tables_that_the_program_works_with(tmp_path: Path) -> None:
    store = Conversations.in_home(tmp_path)
    with store.readers.connect() as connection:
        assert migrations.differences(connection) == []
        assert migrations.revision(connection) == migrations.HEAD


def test_the_last_step_is_the_one_that_is_named_and_nothing_branches() -> None:
    assert migrations.steps()[-1] == migrations.HEAD
    assert list(migrations.steps()) == sorted(migrations.steps())


def test_a_table_that_no_step_knows_is_noticed(tmp_path: Path) -> None:
    store = Conversations.in_home(tmp_path)
    with store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE notes ADD COLUMN colour TEXT"))
        connection.execute(text("DROP INDEX by_state"))
    with store.readers.connect() as connection:
        told = " ".join(migrations.differences(connection))
    assert "colour" in told
    assert "by_state" in told


def test_a_store_from_before_there_were_steps_is_recognised_and_keeps_its_rows(
    database: Path, engines: tuple[Engine, Engine]
) -> None:
    made_before(database)
    with engines[1].connect() as connection:
        before = rows(connection)
    migrations.upgrade(*engines)
    with engines[1].connect() as connection:
        after = rows(connection)
        assert migrations.differences(connection) == []
    assert at(engines[1]) == migrations.HEAD
    assert {name: after[name] for name in before} == before


def test_a_store_of_an_earlier_day_gets_the_tables_it_lacks(
    database: Path, engines: tuple[Engine, Engine]
) -> None:
    older = re.sub(r"CREATE (TABLE|INDEX) \S*(tasks|identity_tries|curated)[^;]*;\n", "", BEFORE)
    assert older.count("CREATE TABLE") == BEFORE.count("CREATE TABLE") - 4
    made_before(database, older)
    migrations.upgrade(*engines)
    with engines[1].connect() as connection:
        assert migrations.differences(connection) == []
        assert len(rows(connection)["messages"]) == 3


def test_tables_of_another_make_are_refused_and_left_as_they_are(
    database: Path, engines: tuple[Engine, Engine]
) -> None:
    connection = sqlite3.connect(database)
    connection.executescript(BEFORE)
    connection.execute("ALTER TABLE notes DROP COLUMN text")
    connection.commit()
    connection.close()
    before = sqlite_schema(database)
    with pytest.raises(StoreError, match="not those of any Frontdesk"):
        migrations.upgrade(*engines)
    assert sqlite_schema(database) == before


def test_every_row_of_every_table_survives_the_way_back_and_forward(tmp_path: Path) -> None:
    store = Conversations.in_home(tmp_path)
    fill(store)
    with store.readers.connect() as connection:
        full = rows(connection)
    assert set(full) == {t.name for t in tables.metadata.sorted_tables}
    assert all(len(held) == ROWS for held in full.values())
    for step in reversed(migrations.steps()[:-1]):
        assert migrations.move(store.engine, step)[1] == step
        with store.readers.connect() as connection:
            held = rows(connection)
        assert held == {name: full[name] for name in held}
        assert set(full) - set(held) <= LATER
    for step in migrations.steps()[1:]:
        migrations.move(store.engine, step)
    with store.readers.connect() as connection:
        again = rows(connection)
        assert migrations.differences(connection) == []
    assert {n: h for n, h in again.items() if n not in LATER} == {
        n: h for n, h in full.items() if n not in LATER
    }


def test_answers_given_before_are_found_by_what_they_rest_on(
    database: Path, engines: tuple[Engine, Engine]
) -> None:
    made_before(database)
    migrations.upgrade(*engines)
    with engines[1].connect() as connection:
        found = connection.execute(text("SELECT subject, message, created FROM cited")).all()
    assert sorted(map(tuple, found)) == sorted(
        (subject, message, 2.25)
        for subject in ("evidence:page#1", "version:v1")
        for message in (1, 2, 3)
    )


def test_a_database_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = Conversations.in_home(tmp_path)
    fill(store)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        before = rows(connection)
    with pytest.raises(StoreError, match=r"newer than this program.*9999.*install the Frontdesk"):
        Conversations.in_home(tmp_path)
    with pytest.raises(StoreError, match="newer"):
        migrations.move(store.engine, "0001")
    with store.readers.connect() as connection:
        assert rows(connection) == before


def test_a_step_that_fails_leaves_the_database_as_it_was(
    database: Path, engines: tuple[Engine, Engine]
) -> None:
    made_before(database)
    connection = sqlite3.connect(database)
    connection.execute("UPDATE messages SET reply = 'no JSON' WHERE id = 3")
    connection.commit()
    connection.close()
    before = sqlite_schema(database)
    with pytest.raises(ValueError, match="Expecting value"):
        migrations.upgrade(*engines)
    assert sqlite_schema(database) == before
    assert at(engines[1]) is None


def test_a_step_that_does_not_exist_is_named_with_those_that_do(tmp_path: Path) -> None:
    store = Conversations.in_home(tmp_path)
    with pytest.raises(StoreError, match="no step 'base'; there are 0001"):
        migrations.move(store.engine, "base")


def test_programs_that_start_at_once_do_the_steps_once(database: Path) -> None:
    made_before(database)
    program = (
        "import sys; from assistant.conversations import Conversations\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "store = Conversations(sys.argv[1]); print(len(store.start().id)); store.close()"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, f"sqlite:///{database}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    ends = []
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        out, error = process.communicate(timeout=60)
        ends.append((process.returncode, out.strip(), error))
    assert ends == [(0, "22", "")] * 4
    store = Conversations(f"sqlite:///{database}")
    with store.readers.connect() as connection:
        assert migrations.differences(connection) == []
        assert len(rows(connection)["conversations"]) == 3 + 4
