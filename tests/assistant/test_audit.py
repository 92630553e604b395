"""Reading the audit log, and which replies rest on what it tells of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, text, update

import assistant
from assistant import audit, cited, migrations, tables
from assistant.audit import PAGE, AuditEntry, AuditQuery, AuditTrail
from assistant.conversations import Conversations
from assistant.curated import CuratedAnswers, Draft
from assistant.web.room.audit import action
from assistant.web.staff_html import staff_languages, staff_texts

PASSAGE = "en-returns#1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


@pytest.fixture
def trail(store: Conversations) -> AuditTrail:
    return AuditTrail(store)


def write(store: Conversations, count: int, at: float = 0.0, **entry: str) -> None:
    """Entries that differ in their detail, as many seconds apart."""
    row = {"who": "Mina", "what": "upload"} | entry
    with store.engine.begin() as connection:
        rows = [{"detail": f"{n}.md", **row, "created": at + n} for n in range(count)]
        connection.execute(insert(tables.audit), rows)


def details(entries: Any) -> list[str]:
    return [entry.detail for entry in entries]


# Pages.


def test_the_newest_entries_come_first_and_each_stands_on_one_page(
    store: Conversations, trail: AuditTrail
) -> None:
    write(store, 2 * PAGE + 3)
    first = trail.page()
    second = trail.page(before=first.entries[-1].id)
    third = trail.page(before=second.entries[-1].id)
    assert [len(p.entries) for p in (first, second, third)] == [PAGE, PAGE, 3]
    read = details([*first.entries, *second.entries, *third.entries])
    assert read == [f"{n}.md" for n in reversed(range(2 * PAGE + 3))]
    assert [(p.newer, p.older) for p in (first, second, third)] == [
        (False, True), (True, True), (True, False),
    ]  # fmt: skip


def test_pages_keep_their_place_while_entries_are_added(
    store: Conversations, trail: AuditTrail
) -> None:
    write(store, 2 * PAGE)
    first = trail.page()
    write(store, 7, who="Otto")
    second = trail.page(before=first.entries[-1].id)
    assert details(second.entries) == [f"{n}.md" for n in reversed(range(PAGE))]
    assert trail.page(after=second.entries[0].id).entries == first.entries
    assert {e.who for e in trail.page(after=first.entries[0].id).entries[:7]} == {"Otto"}


def test_what_would_fill_less_than_a_newer_page_is_the_newest_page(
    store: Conversations, trail: AuditTrail
) -> None:
    write(store, PAGE + 10)
    (oldest, *_) = reversed(trail.page(before=11).entries)
    assert trail.page(after=oldest.id + 20) == trail.page()
    assert not trail.page(after=oldest.id + 20).newer


def test_before_the_oldest_entry_there_is_the_newest_page(
    store: Conversations, trail: AuditTrail
) -> None:
    write(store, 3)
    assert trail.page(before=1) == trail.page()
    assert trail.page(AuditQuery(who="Nobody"), before=1).entries == ()


def test_a_log_without_entries_is_an_empty_page(trail: AuditTrail) -> None:
    assert trail.page() == audit.AuditPage((), newer=False, older=False)
    assert (trail.last(), trail.count(), trail.people(), trail.kinds()) == (0, 0, [], [])


# Filters.


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (AuditQuery(who="Ada"), ["c1", "50%"]),
        (AuditQuery(whats=("upload", "delete")), ["a_b.md", "a.md"]),
        (AuditQuery(since=20.0), ["c1", "50%", "a_b.md"]),
        (AuditQuery(until=20.0), ["a.md"]),
        (AuditQuery(since=20.0, until=30.0), ["a_b.md"]),
        (AuditQuery(words="A.MD"), ["a.md"]),
        (AuditQuery(words="a_"), ["a_b.md"]),
        (AuditQuery(words="%"), ["50%"]),
        (AuditQuery(who="Ada", whats=("set_dial",), since=1.0, until=99.0, words="5"), ["50%"]),
        (AuditQuery(who="ada"), []),
    ],
)
def test_filters_leave_what_fits_all_of_them(
    store: Conversations, trail: AuditTrail, query: AuditQuery, found: list[str]
) -> None:
    write(store, 1, 10.0, detail="a.md")
    write(store, 1, 20.0, detail="a_b.md", what="delete", who="Otto")
    write(store, 1, 30.0, detail="50%", what="set_dial", who="Ada")
    write(store, 1, 40.0, detail="c1", what="note", who="Ada")
    assert details(trail.page(query).entries) == found
    assert details(trail.newest(query)) == found
    assert details(trail.walk(query)) == found
    assert trail.count(query) == len(found)


def test_pages_of_what_is_filtered_leave_out_the_rest(
    store: Conversations, trail: AuditTrail
) -> None:
    for _ in range(PAGE + 1):
        write(store, 1, who="Ada")
        write(store, 1, who="Otto")
    ada = AuditQuery(who="Ada")
    first = trail.page(ada)
    second = trail.page(ada, before=first.entries[-1].id)
    assert (len(first.entries), len(second.entries)) == (PAGE, 1)
    assert {e.who for e in (*first.entries, *second.entries)} == {"Ada"}
    assert not second.older


def test_people_and_kinds_are_listed_once_and_in_order(
    store: Conversations, trail: AuditTrail
) -> None:
    for who in ("Otto", "Ada", "李", "Otto"):
        write(store, 3, who=who, what=f"w{len(who)}")
    assert trail.people() == ["Ada", "Otto", "李"]
    assert trail.kinds() == ["w1", "w3", "w4"]


def test_counting_and_choosing_end_somewhere(
    store: Conversations, trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MOST_COUNTED", 5)
    monkeypatch.setattr(audit, "_MOST_NAMES", 2)
    for name in "abc":
        write(store, 3, who=name)
    assert trail.count() == 6, "more than five"
    assert trail.people() == ["a", "b"]


def test_all_entries_are_read_a_few_at_a_time(
    store: Conversations, trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_FETCHED", 2)
    write(store, 5)
    assert details(trail.walk()) == ["4.md", "3.md", "2.md", "1.md", "0.md"]


# What replies rest on.


@pytest.mark.parametrize(
    ("what", "detail", "subject"),
    [
        ("publish", "v1", "version:v1"),
        ("undo", "v1", "version:v1"),
        ("allow", "Rules: all#12: an example: fine", "evidence:Rules: all#12"),
        ("allow", "no passage", ""),
        ("curated_add", "Is it (really) free? (curated:0a)", "evidence:curated:0a"),
        ("curated_change", "Is it (really) free?", ""),
        ("curated_delete", "Is it free? (curated:0a)", ""),
        ("upload", "v1", ""),
        ("take_over", "a#1: b", ""),
    ],
)
def test_what_replies_can_rest_on_is_read_from_the_entry(
    what: str, detail: str, subject: str
) -> None:
    assert AuditEntry(1, "Mina", what, detail, 0.0).subject == subject


class Shop:
    """A store in which the assistant replies at times of its own."""

    def __init__(self, store: Conversations) -> None:
        self.store, self.talk = store, store.start().id

    def reply(self, at: float, *evidence: str, version: str = "v1", talk: str = "") -> None:
        body = {
            "outcome": "answer" if evidence else "refuse", "reply": "So it is.",
            "citations": [{"evidence_id": e, "quote": "So it is."} for e in evidence],
            "trace": {"version": version},
        }  # fmt: skip
        said = self.store.add(talk or self.talk, "assistant", "So it is.", reply=body)
        with self.store.engine.begin() as connection:
            late = update(tables.cited).where(tables.cited.c.message == said.id)
            connection.execute(late.values(created=at))


@pytest.fixture
def shop(store: Conversations) -> Shop:
    return Shop(store)


PUBLISHED = AuditEntry(1, "Mina", "publish", "v1", 100.0)
ALLOWED = AuditEntry(2, "Mina", "allow", f"{PASSAGE}: fine", 100.0)


def test_answers_from_a_version_since_it_was_published_are_counted(
    shop: Shop, trail: AuditTrail
) -> None:
    other = shop.store.start().id
    shop.reply(99.0, PASSAGE)
    shop.reply(100.0, PASSAGE, "en-refunds#0")
    shop.reply(300.0, "en-refunds#0", talk=other)
    shop.reply(200.0, PASSAGE, version="v2")
    shop.reply(200.0)  # refused: nothing is cited
    shop.store.add(shop.talk, "customer", "Thanks")
    found = trail.cited(PUBLISHED)
    assert found is not None
    assert found.count == 2, "one that cites two passages counts once"
    assert [(r.conversation_id, r.created) for r in found.latest] == [
        (other, 300.0), (shop.talk, 100.0),
    ]  # fmt: skip
    assert trail.cited(ALLOWED) == cited.Cited(
        2, (cited.Citing(shop.talk, 200.0), cited.Citing(shop.talk, 100.0))
    )
    assert trail.cited(replace(PUBLISHED, detail="v3")) == cited.Cited(0)
    assert trail.cited(replace(PUBLISHED, what="upload")) is None


def test_a_passage_whose_name_begins_alike_is_another_one(shop: Shop, trail: AuditTrail) -> None:
    shop.reply(200.0, PASSAGE + "0")
    assert trail.cited(ALLOWED) == cited.Cited(0)


def test_a_curated_answer_is_found_by_its_id_though_its_question_changes(
    shop: Shop, trail: AuditTrail
) -> None:
    answers = CuratedAnswers(shop.store)
    kept = answers.add(Draft("Is it (really) free?", "Yes.", "en"), "Mina")
    (added,) = trail.newest()
    shop.reply(added.created + 1, kept.evidence_id, version="")
    answers.change(kept.id, Draft("Is it free?", "Yes.", "en"), "Mina")
    assert [c.count for e in trail.newest() if (c := trail.cited(e))] == [1, 1]
    answers.delete(kept.id, "Mina")
    gone, *earlier = trail.newest()
    assert trail.cited(gone) is None
    assert [c.count for e in earlier if (c := trail.cited(e))] == [1, 1], "they were given"


def test_what_is_erased_or_withdrawn_is_cited_no_more(shop: Shop, trail: AuditTrail) -> None:
    other = shop.store.start().id
    shop.reply(200.0, PASSAGE)
    shop.reply(200.0, "en-refunds#0", talk=other)
    shop.store.withdraw(["en-returns"])
    assert trail.cited(ALLOWED) == cited.Cited(0)
    assert trail.cited(PUBLISHED) is not None
    shop.store.delete(other)
    found = trail.cited(PUBLISHED)
    assert found is not None
    assert [r.conversation_id for r in found.latest] == [shop.talk], "it was answered, once"


def test_no_message_is_read_to_find_them_and_counting_ends_somewhere(
    shop: Shop, trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(9):
        shop.reply(100.0 + n, PASSAGE)
    monkeypatch.setattr(cited, "MOST_COUNTED", 7)
    asked: list[tuple[str, Any]] = []
    event.listen(
        shop.store.readers, "before_cursor_execute",
        lambda *now: asked.append((now[2], now[3])),
    )  # fmt: skip
    found = trail.cited(PUBLISHED)
    assert found is not None
    assert (found.count, len(found.latest)) == (8, 5)
    queries = [(sql, values) for sql, values in asked if sql.startswith("SELECT")]
    assert len(queries) == 2
    with shop.store.readers.connect() as connection:
        for sql, values in queries:
            assert "messages" not in sql
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
            assert any("cited_by_subject (subject=? AND created>?)" in row[3] for row in plan)


def test_replies_from_before_they_were_written_down_are_found_too(
    tmp_path: Path, shop: Shop
) -> None:
    shop.reply(0.0, PASSAGE, PASSAGE)
    shop.reply(0.0)
    migrations.move(shop.store.engine, "0003")
    with shop.store.engine.connect() as connection:
        assert not connection.execute(
            text("SELECT 1 FROM sqlite_master WHERE name = 'cited'")
        ).all()
    with Conversations.in_home(tmp_path).readers.connect() as connection:
        rows = connection.execute(text("SELECT subject, message, created FROM cited")).all()
    (reply,) = [m for m in shop.store.messages(shop.talk) if m.reply and m.reply["citations"]]
    assert set(rows) == {
        (f"evidence:{PASSAGE}", reply.id, reply.created), ("version:v1", reply.id, reply.created),
    }  # fmt: skip


# Words.


def written_kinds() -> set[str]:
    """The kinds of actions that the code writes: the second argument of a call of `log`."""
    kinds: set[str] = set()
    for path in Path(assistant.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = node.func.id if isinstance(node.func, ast.Name) else name
            if name == "log":
                kinds |= {c.value for c in ast.walk(node.args[1]) if isinstance(c, ast.Constant)}
    return kinds


# Given to `log` in a variable: see service.py, curated.py, web/tuning.py, orders/tasks.py.
PASSED_ON = {
    "take_over", "hand_back", "requeue", "end", "curated_enable", "curated_disable", "search_save",
    "search_reset", "order_cancel", "order_return", "order_swap", "order_address", "order_payment",
}  # fmt: skip


@pytest.mark.parametrize("code", staff_languages())
def test_every_kind_of_action_has_words(code: str) -> None:
    kinds = {k for k in written_kinds() if k and k != "order_"} | PASSED_ON
    assert {"publish", "note", "curated_add", "identified", "set_dial"} <= kinds, "they are found"
    words = staff_texts(code)
    assert [k for k in sorted(kinds) if f"audit_{k}" not in words] == []
    assert action(words, "odd_thing") == "odd_thing"
