"""A person who is erased is gone: unique marks are written through every door, and no byte of them
is left in any file below the home."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from assistant import tables
from assistant.commands import app
from assistant.conversations import Conversations
from assistant.curated import CuratedAnswers, Draft
from assistant.edits import Edit, Edits
from assistant.erasure import Receipt, erase, find_person
from assistant.errors import InputError
from assistant.golden import GoldenSet
from assistant.handoff import Handoffs
from assistant.notes import Notes
from assistant.orders.task_store import Task, TaskStore
from assistant.products.searches import Search, SearchStore
from assistant.recommend.consent import FILE as CONSENT_FILE
from assistant.recommend.consent import ConsentFile
from assistant.replay import ReplayQuestion
from assistant.reviewed import reviewed_dialogues
from assistant.settings import Settings
from finetune.forget import forget
from finetune.prepare import prepare
from finetune.rows import load_rows
from knowledge.catalogue.types import Wanted
from knowledge.language import Detector
from tests.keeping import files_with, lines, rows, unpacked

CUSTOMER, EMAIL, ORDER = "C-zebra-4711", "zelda.zebra@example.com", "mw-4711042"
# One mark a door, so that a mark that is left tells which door was forgotten.
MARKS = {
    door: f"zq{number:02}zebra{door}"
    for number, door in enumerate(
        "question standalone prompt agent note edit rating reason task search step handoff".split()
    )
}
LONG = "that I bought in the shop on the corner last week"


@dataclass
class Shop:
    settings: Settings
    store: Conversations
    zelda: str
    other: str

    @property
    def home(self) -> Path:
        return self.settings.home

    def erase(self, also: tuple[Path, ...] = (), **who: str) -> Receipt:
        person = find_person(self.store, **(who or {"customer": CUSTOMER}))
        return erase(self.settings, self.store, person, forget, also)


def talk(
    store: Conversations,
    customer: str,
    mark: dict[str, str],
    email: str,
    order: str,
    words: str = LONG,
) -> str:
    """A conversation through every door that the code has; its id."""
    key = store.start("en", customer).id
    store.add(key, "customer", f"Can I send back the {mark['question']} kettle {words}?", "m1")
    trace = {
        "standalone": f"send back {mark['standalone']} kettle {words}", "prompt": mark["prompt"],
        "considered": [], "version": "20260901-080000-000000",
    }  # fmt: skip
    citations = [{"evidence_id": "returns#1", "quote": "30 days"}]
    reply = {"outcome": "answer", "reply": "30 days.", "citations": citations, "trace": trace}
    said = store.add(key, "assistant", "You can, within 30 days of delivery.", "m1", reply)
    store.rate(key, said.id, True, f"{mark['rating']} because it is {words}")
    store.add(key, "customer", f"It was order {order}, my mail is {email}.", "m2")
    Handoffs(store).happen(key, "ask", reason=mark["handoff"])
    Handoffs(store).leave_contact(key, email)
    Handoffs(store).happen(key, "take", "Ada")
    agent = f"Your {mark['agent']} parcel {words} is on its way back to us."
    sent = Handoffs(store).speak_as(key, "Ada", agent)
    assert sent
    Edits(store).keep(key, sent.id, Edit(mark["edit"], sent.text, "returns#1", True))
    Notes(store).add(key, "Ada", f"{mark['note']}: {words}, and is angry.")
    TaskStore(store).put(key, Task("return", "t1", order=order, address=mark["task"]))
    store_home = Path(str(store.engine.url.database)).parent
    ConsentFile(store_home / CONSENT_FILE).decide(customer, True)
    SearchStore(store).put(key, Search(Wanted(text=mark["search"]), asked=mark["search"]))
    with store.engine.begin() as connection:
        values = {"conversation_id": key, "order_number": order, "created": 1.0}
        connection.execute(insert(tables.identity_tries).values(**values))
    store.log("customer", "order_return", f"{key} {order}")
    store.log("Ada", "golden", f"nothing: send back {mark['standalone']} kettle {words}")
    return key


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    settings = Settings(home=tmp_path / "home")
    store = Conversations.of(settings)
    others = {door: mark.replace("zebra", "okapi") for door, mark in MARKS.items()}
    zelda = talk(store, CUSTOMER, MARKS, EMAIL, ORDER)
    unlike = "which your courier left behind the blue bicycle of my neighbour upstairs, half open"
    other = talk(store, "C-okapi-0815", others, "otto.okapi@example.com", "mw-0815077", unlike)
    yield Shop(settings, store, zelda, other)
    store.close()


ALL = (*MARKS.values(), CUSTOMER, EMAIL, ORDER)


def test_no_byte_of_the_person_is_left_in_the_store_and_the_others_keep_theirs(shop: Shop) -> None:
    with shop.store.readers.connect() as connection:
        held = {n for n, r in rows(connection).items() if shop.zelda in repr(r)}
    owned = {t.name for t in tables.metadata.sorted_tables if "conversation_id" in t.c}
    assert held == (owned | {"conversations", "audit"}) - {"curated_hits"}  # a door for every table
    receipt = shop.erase()
    assert receipt.conversations == 1
    assert receipt.rows["messages"] == 4
    assert receipt.rows["audit"] == 3
    assert receipt.left == ()
    assert files_with([*ALL, shop.zelda], shop.home) == {}
    assert len(shop.store.messages(shop.other)) == 4
    assert Notes(shop.store).of(shop.other)


def test_the_audit_log_keeps_who_did_what_and_counts_the_erasure(shop: Shop) -> None:
    before = [(e["who"], e["what"]) for e in shop.store.audit(1000)]
    shop.erase()
    newest, *after = shop.store.audit(1000)
    assert [(e["who"], e["what"]) for e in after] == before
    assert {e["detail"] for e in after if e["what"] == "order_return"} == {
        "[erased]", f"{shop.other} mw-0815077",
    }  # fmt: skip
    assert (newest["what"], json.loads(newest["detail"])["conversations"]) == ("erase", 1)


def test_no_byte_of_the_person_is_left_in_any_file_below_the_home(
    shop: Shop, detector: Detector
) -> None:
    home, record = shop.home, list(reviewed_dialogues(shop.store))
    assert {r["id"] for r in record} == {shop.zelda, shop.other}
    reviewed = lines(home / "reviewed.jsonl", *record)
    lines(home / "old" / "reviewed.jsonl.gz", *record)
    lines(home / "old" / "reviewed.jsonl.zst", *record)
    said = ("Do you sell lamps?", "We do, on the second floor, from nine euros each.")
    turns = [{"role": r, "text": t} for r, t in zip(("customer", "agent"), said, strict=True)]
    more = lines(home / "more.jsonl", {"id": "lamps", "turns": turns})
    prepare([reviewed, more], home / "sets" / "data", detector)
    golden = GoldenSet(shop.settings)
    golden.add(ReplayQuestion(f"send back {MARKS['standalone']} kettle {LONG}", answerable=False))
    golden.add(ReplayQuestion("How long do I have?", ("returns",), answerable=True))
    judged = {"id": "q1", "text": "And the other?", "relevant": ["returns"], "history": [
        {"role": "customer", "text": f"Can I send back the {MARKS['question']} kettle {LONG}?"},
    ]}  # fmt: skip
    lines(home / "judged.jsonl", judged, {"id": "q2", "text": "Hello?", "relevant": []})
    log = lines(
        home / "logs" / "server.log", "started",
        f"ERROR a turn failed: {EMAIL} asked {MARKS['reason']}", f"GET /{shop.zelda} {MARKS['step']}",
        "stopped",
    )  # fmt: skip
    size = log.stat().st_size
    lines(home / "comparison.json", {"cases": [{"customer": CUSTOMER, "text": 'Hello "there"'}]})
    before = dict(unpacked(home))
    receipt = shop.erase()
    assert receipt.left == ()
    found = {
        (mark, path) for path, raw in unpacked(home) for mark in ALL if mark.encode() in raw
    }  # fmt: skip
    assert found == set()
    assert set(before) == set(dict(unpacked(home)))
    assert b"mw-0815077" in reviewed.read_bytes()
    assert list(golden.questions()) == ["How long do I have?"]
    assert [json.loads(x)["id"] for x in (home / "judged.jsonl").read_text().splitlines()] == ["q2"]
    started, *erased, stopped = log.read_text().splitlines()
    assert (started, {*"".join(erased)}, stopped) == ("started", {"#"}, "stopped")
    assert log.stat().st_size == size
    json.loads((home / "comparison.json").read_text())
    kept = [r.id for s in ("train", "validation", "test") for r in load_rows(home / "sets/data", s)]
    assert "lamps" in kept
    assert shop.zelda not in kept
    assert [Path(s["path"]).name for s in receipt.training_sets] == ["data"]
    assert not any(mark in json.dumps(receipt.files) for mark in MARKS.values())


def test_training_data_outside_the_home_is_found_where_it_is_named(
    shop: Shop, detector: Detector, tmp_path: Path
) -> None:
    reviewed = lines(tmp_path / "out" / "reviewed.jsonl", *reviewed_dialogues(shop.store))
    prepare([reviewed], tmp_path / "out" / "data", detector)
    shop.erase()
    assert files_with([MARKS["agent"]], tmp_path / "out")
    assert shop.erase(conversation=shop.zelda).conversations == 0  # it is gone from the store
    receipt = shop.erase((tmp_path / "out",), customer=CUSTOMER)
    assert files_with([CUSTOMER], tmp_path / "out") == {}
    assert receipt.files


def test_what_learnt_from_the_person_is_listed_to_be_trained_anew(
    shop: Shop, detector: Detector
) -> None:
    home = shop.home
    prepare([lines(home / "r.jsonl", *reviewed_dialogues(shop.store))], home / "data", detector)
    digest = json.loads((home / "data" / "manifest.json").read_text())["data_sha256"]
    learnt = home / "adapters" / "learnt"
    learnt.mkdir(parents=True)
    manifest = {"adapter_sha256": "a" * 64, "data_sha256": digest, "training": {}}
    (learnt / "manifest.json").write_text(json.dumps(manifest))
    (told,) = shop.erase().to_train_anew
    assert Path(told["path"]) == learnt.resolve()


def test_the_shop_s_own_texts_are_named_with_what_to_do_and_not_touched(shop: Shop) -> None:
    home, words = shop.home, f"Can I send back the {MARKS['question']} kettle {LONG}?"
    upload = lines(home / "documents" / "uploads" / "page.md", f"# {words}", "Yes.")
    answer = CuratedAnswers(shop.store).add(Draft(words, "Yes.", "en"), "Ola")
    with sqlite3.connect(home / "records.sqlite") as connection:
        connection.execute("CREATE TABLE customers (id TEXT)")
        connection.execute("INSERT INTO customers VALUES (?)", (CUSTOMER,))
    connection.close()
    decide = {Path(d["place"]).name: d["do"] for d in shop.erase().to_decide}
    assert decide["page.md"] == f"python -m knowledge purge {upload.resolve()}"
    assert f"curated answer {answer.id}" in decide
    assert "records.sqlite" in decide
    assert words in upload.read_text()
    assert CuratedAnswers(shop.store).get(answer.id)


def test_one_conversation_or_an_address_can_be_asked_for(shop: Shop) -> None:
    written = shop.store.start("en")
    shop.store.add(written.id, "customer", f"Write to {EMAIL.upper()}!")
    alike = shop.store.start("en")
    shop.store.add(alike.id, "customer", f"Write to not{EMAIL}!")
    person = find_person(shop.store, email=EMAIL)
    assert set(person.conversations) == {shop.zelda, written.id}
    assert person.related == (CUSTOMER,)
    assert find_person(shop.store, conversation=shop.other).conversations == (shop.other,)
    shop.erase(email=EMAIL)
    with shop.store.readers.connect() as connection:
        left = set(connection.execute(select(tables.conversations.c.id)).scalars())
    assert left == {shop.other, alike.id}


def test_words_that_others_were_told_too_are_nobody_s(shop: Shop) -> None:
    told = "Thank you for your patience! Our warehouse is looking for your parcel right now."
    for key in (shop.zelda, shop.other):
        shop.store.add(key, "agent", told)
    record = lines(shop.home / "reviewed.jsonl", *reviewed_dialogues(shop.store))
    log = lines(shop.home / "server.log", told)
    shop.erase()
    (left,) = record.read_text().splitlines()
    assert json.loads(left)["id"] == shop.other
    assert log.read_text() == told + "\n"


def test_an_erasure_that_was_cut_off_is_done_again_from_the_start(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = lines(shop.home / "reviewed.jsonl", *reviewed_dialogues(shop.store))
    monkeypatch.setattr("assistant.erasure.remove_conversations", _cut_off)
    with pytest.raises(KeyboardInterrupt):
        shop.erase()
    monkeypatch.undo()
    assert record.read_text()
    assert shop.erase().conversations == 1
    assert files_with([*ALL, shop.zelda], shop.home) == {}


def _cut_off(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("who", [{}, {"customer": "C", "email": "a@b.c"}])
def test_whom_to_erase_must_be_said_once(shop: Shop, who: dict[str, str]) -> None:
    with pytest.raises(InputError, match="say whom"):
        find_person(shop.store, **who)


def test_a_short_id_is_not_looked_for_in_running_text(shop: Shop) -> None:
    short = shop.store.start("en", "12")
    shop.store.add(short.id, "customer", "Hello?")
    log = lines(shop.home / "server.log", "12 requests in 12 s")
    rows_of = lines(shop.home / "r.jsonl", {"customer_id": "12", "n": 1}, {"id": "x", "n": 12})
    shop.erase(customer="12")
    assert log.read_text() == "12 requests in 12 s\n"
    assert json.loads(rows_of.read_text())["id"] == "x"


def test_the_command_prints_a_receipt_as_json(shop: Shop) -> None:
    run = CliRunner().invoke(
        app, ["erase", "--customer", CUSTOMER, "--home", str(shop.home), "--json"]
    )
    assert run.exit_code == 0, run.output
    receipt: dict[str, Any] = json.loads(run.stdout)
    assert (receipt["conversations"], receipt["left"]) == (1, [])
    assert not any(mark in run.stdout for mark in ALL)
