"""A backup brings a home back as it was, and opens to nobody without the passphrase or in part."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant import backup, sealed
from assistant.backup import back_up
from assistant.commands import app
from assistant.conversations import Conversations
from assistant.errors import InputError, SettingsError
from assistant.restoring import restore
from assistant.sealed import PART, SealError
from assistant.settings import Settings, load_settings
from assistant.tuned import Tuned
from finetune.registry import Registry
from knowledge.errors import VersionError
from knowledge.versions import Versions
from tests.keeping import fill, rows

PASSPHRASE = "correct horse battery staple"
SECRET = "the zebra's own words"


@pytest.fixture(autouse=True)
def cheap_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key's derivation with next to no work."""
    monkeypatch.setattr(sealed.pwhash.argon2id, "OPSLIMIT_MODERATE", 1)
    monkeypatch.setattr(sealed.pwhash.argon2id, "MEMLIMIT_MODERATE", 8192)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with all kinds of state, and what need not be kept."""
    folder = tmp_path / "home"
    for name, text in {
        "staff.json": '{"secret": "s"}', "golden.jsonl": '{"text": "How long?"}\n',
        "promise.json": '{"most_wrong": 0.1}', "documents/uploads/page.md": "# Returns",
        "adapters/pointer.json": '{"promoted": ["learnt"], "canary": null}',
        "adapters/learnt/adapter_model.safetensors": "weights",
        "knowledge/current": "20260901-080000-000000",
        "knowledge/versions/20260901-080000-000000/manifest.json": "{}",
        "knowledge/versions/20260901-080000-000000/chunks.jsonl": "{}",
        "knowledge/versions/20260902-080000-000000/chunks.jsonl": "half a version",
        "knowledge/pending/files.jsonl": "under way", "engines/exported.bin": "made anew",
        "trained/new.training/state.pt": "under way", "knowledge/refresh.lock": "",
    }.items():  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    Tuned(answer_threshold=0.7).keep(folder)
    store = Conversations.in_home(folder)
    fill(store)
    store.add(store.start().id, "customer", SECRET)
    store.close()
    return folder


def backed_up(home: Path, target: Path) -> Path:
    back_up(Settings(home=home), target, PASSPHRASE, home.parent / "frontdesk.toml", {})
    return target


def files_of(home: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(home)): p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file()
    }


def rows_of(home: Path) -> object:
    store = Conversations.in_home(home)
    with store.readers.connect() as connection:
        found = rows(connection)
    store.close()
    return found


LEFT_OUT = {
    "knowledge/versions/20260902-080000-000000/chunks.jsonl", "knowledge/pending/files.jsonl",
    "engines/exported.bin", "trained/new.training/state.pt", "knowledge/refresh.lock",
}  # fmt: skip


def test_a_restored_home_has_every_file_and_every_row(home: Path, tmp_path: Path) -> None:
    report = restore(backed_up(home, tmp_path / "b"), tmp_path / "new", PASSPHRASE)
    old, new = files_of(home), files_of(tmp_path / "new")
    assert set(old) - set(new) == LEFT_OUT
    assert set(new) <= set(old)
    assert {n: c for n, c in new.items() if "sqlite" not in n} == {
        n: old[n] for n in new if "sqlite" not in n
    }
    assert report.files == len(new)
    assert rows_of(tmp_path / "new") == rows_of(home)
    assert Versions(tmp_path / "new").current() == "20260901-080000-000000"
    assert Registry(tmp_path / "new").current() == (tmp_path / "new" / "adapters" / "learnt")
    assert Tuned.read(tmp_path / "new").answer_threshold == 0.7


def test_every_pointer_is_read_before_the_folders_that_it_names(home: Path) -> None:
    pointers = [home / part / "pointer.json" for part in ("adapters", "propensity", "recommender")]
    for pointer in pointers:
        pointer.parent.mkdir(exist_ok=True)
        pointer.write_text('{"promoted": ["a"]}')
        (pointer.parent / "a").mkdir()
        (pointer.parent / "a" / "manifest.json").write_text("{}")
    chosen = list(backup._chosen(home))
    assert chosen[:3] == pointers
    assert len(chosen) == len(set(chosen))


def test_nothing_of_what_it_holds_can_be_read_in_it(home: Path, tmp_path: Path) -> None:
    held = backed_up(home, tmp_path / "b").read_bytes()
    assert SECRET.encode() not in held
    assert b"staff.json" not in held
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []
    assert [p.name for p in home.rglob("*.partial")] == []


def test_the_settings_file_comes_along_and_what_was_in_the_environment_is_named(
    home: Path, tmp_path: Path
) -> None:
    config = tmp_path / "frontdesk.toml"
    config.write_text('shop_name = "Zebra & Sons"\n')
    back_up(
        Settings(home=home), tmp_path / "b", PASSPHRASE, config,
        {"FRONTDESK_WEB__IDENTITY_SECRET": "hush", "PATH": "/bin"},
    )  # fmt: skip
    report = restore(tmp_path / "b", tmp_path / "new", PASSPHRASE)
    assert report.environment == ("FRONTDESK_WEB__IDENTITY_SECRET",)
    assert load_settings(Path(report.settings), {}).shop_name == "Zebra & Sons"


def damaged(file: Path, at: int, what: str) -> Path:
    content = bytearray(file.read_bytes())
    if what == "flipped":
        content[at] ^= 1
    elif what == "cut":
        del content[at:]
    elif what == "longer":
        content += b"\0"
    else:  # two parts exchanged
        size = PART + 17
        first, second = content[at : at + size], content[at + size : at + 2 * size]
        content[at : at + 2 * size] = second + first
    target = file.with_name(f"{what}-{at}")
    target.write_bytes(content)
    return target


BEGINNING = len(sealed.MAGIC) + 16 + 24 + 17  # of the first part


@pytest.mark.parametrize(
    ("what", "at", "told"),
    [
        ("flipped", 3, "no backup of Frontdesk"),
        ("flipped", BEGINNING - 50, "passphrase is wrong, or the file's first bytes"),
        ("flipped", BEGINNING + 10, "was changed, or is cut off, after byte"),
        ("flipped", -1, "was changed, or is cut off, after byte"),
        ("cut", BEGINNING - 3, "cut off"),
        ("cut", BEGINNING, "cut off"),
        ("cut", BEGINNING + PART + 17, "cut off"),
        ("cut", -1, "cut off"),
        ("longer", 0, "cut off|added to"),
        ("exchanged", BEGINNING, "was changed"),
    ],
)
def test_a_damaged_file_is_told_of_and_changes_nothing(
    home: Path, tmp_path: Path, what: str, at: int, told: str
) -> None:
    (home / "noise.bin").write_bytes(os.urandom(3 * PART))
    file = damaged(backed_up(home, tmp_path / "b"), at, what)
    target = tmp_path / "new"
    before = files_of(home)
    with pytest.raises(SealError, match=told):
        restore(file, target, PASSPHRASE)
    assert not target.exists()
    with pytest.raises(SealError, match=told):
        restore(file, home, PASSPHRASE, replace=True)
    assert files_of(home) == before
    assert [p for p in tmp_path.iterdir() if "partial" in p.name or "before" in p.name] == []


def test_another_passphrase_opens_nothing(home: Path, tmp_path: Path) -> None:
    file = backed_up(home, tmp_path / "b")
    with pytest.raises(SealError, match="the passphrase is wrong"):
        restore(file, tmp_path / "new", PASSPHRASE + "!")
    assert not (tmp_path / "new").exists()


def test_a_home_that_is_there_is_not_replaced_unasked_and_then_moved_aside(
    home: Path, tmp_path: Path
) -> None:
    file = backed_up(home, tmp_path / "b")
    (home / "later.txt").write_text("written after the backup")
    with pytest.raises(InputError, match="not empty"):
        restore(file, home, PASSPHRASE)
    before = files_of(home)
    report = restore(file, home, PASSPHRASE, replace=True)
    assert not (home / "later.txt").exists()
    assert files_of(Path(report.before)) == before


def test_a_backup_replaces_no_file_and_holds_no_other_backup(home: Path, tmp_path: Path) -> None:
    inside = backed_up(home, home / "nightly.backup")
    with pytest.raises(InputError, match="a backup replaces nothing"):
        backed_up(home, inside)
    restore(backed_up(home, tmp_path / "b"), tmp_path / "new", PASSPHRASE)
    assert not (tmp_path / "new" / "nightly.backup").exists()


def test_a_backup_that_fails_leaves_no_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_copy_sqlite", full)
    with pytest.raises(OSError, match="No space left"):
        backed_up(home, tmp_path / "b")
    assert {p.name for p in tmp_path.iterdir()} == {"home"}
    assert [p.name for p in home.rglob("*.partial")] == []


def test_a_backup_waits_for_a_refresh_and_keeps_the_next_one_waiting(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_WAIT_SECONDS", 0.0)
    with Versions(home).writing(), pytest.raises(VersionError, match="another refresh is running"):
        backed_up(home, tmp_path / "b")
    asked: list[Path] = []

    def chosen(folder: Path) -> Iterator[Path]:
        with pytest.raises(VersionError), Versions(folder).writing():
            pass
        asked.append(folder)
        yield from ()

    monkeypatch.setattr(backup, "_chosen", chosen)
    backed_up(home, tmp_path / "b")
    assert asked == [home]


@pytest.fixture
def busy(home: Path) -> Iterator[list[int]]:
    """Somebody who writes pairs of messages all the time, as a server does; how many so far."""
    store, stop, count = Conversations.in_home(home), threading.Event(), [0]
    conversation = store.start()

    def write() -> None:
        while not stop.is_set():
            store.add(conversation.id, "customer", "first " + "x" * 5000, f"m{count[0]}")
            store.add(conversation.id, "assistant", "second", f"m{count[0]}")
            count[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    yield count
    stop.set()
    thread.join()
    store.close()


def test_a_backup_under_load_is_one_moment_of_the_store(
    home: Path, tmp_path: Path, busy: list[int]
) -> None:
    while busy[0] < 20:
        pass
    backed_up(home, tmp_path / "b")
    at_the_end = busy[0]
    restore(tmp_path / "b", tmp_path / "new", PASSPHRASE)
    with sqlite3.connect(tmp_path / "new" / "conversations.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        query = "SELECT role, count(*) FROM messages WHERE message_id LIKE 'm%' GROUP BY role"
        counts = dict(connection.execute(query))
    connection.close()
    assert counts["customer"] - counts["assistant"] in (0, 1)
    assert 20 <= counts["customer"] <= at_the_end + 1


def test_a_passphrase_must_be_given_and_be_long_enough(tmp_path: Path) -> None:
    config = tmp_path / "frontdesk.toml"
    config.write_text("")
    with pytest.raises(SettingsError, match="at least 15 characters"):
        load_settings(config, {}).backup.secret()
    with pytest.raises(SettingsError, match="at least 15 characters"):
        load_settings(config, {"FRONTDESK_BACKUP__PASSPHRASE": "too short"}).backup.secret()
    settings = load_settings(config, {"FRONTDESK_BACKUP__PASSPHRASE": PASSPHRASE})
    assert settings.backup.secret() == PASSPHRASE
    assert PASSPHRASE not in repr(settings)


def test_the_commands_write_a_backup_and_make_a_home_of_it(home: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(PASSPHRASE + "\n")
    run, file = CliRunner(), str(tmp_path / "b")
    with_key = ["--passphrase-file", str(key), "--json"]
    done = run.invoke(app, ["backup", file, "--home", str(home), *with_key])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["bytes"] == Path(file).stat().st_size
    done = run.invoke(app, ["restore", file, "--home", str(tmp_path / "new"), *with_key])
    assert done.exit_code == 0, done.output
    assert rows_of(tmp_path / "new") == rows_of(home)
    key.write_text(PASSPHRASE[::-1])
    done = run.invoke(app, ["restore", file, "--home", str(tmp_path / "newer"), *with_key])
    assert done.exit_code == 1
    assert "the passphrase is wrong" in done.stderr
