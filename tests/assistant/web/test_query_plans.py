"""What a customer asks for costs as much in a large store as in a small one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event

from assistant.conversations import Conversations
from assistant.customer_history import contacts_of
from assistant.records.sqlite import SqliteRecords
from assistant.service import ChatService
from assistant.web.api import api_routes
from assistant.web.identity import Identities, Tickets
from assistant.web.turns import Turns
from knowledge.encoder import Encoder
from knowledge.language import Detector
from tests.assistant.records.test_records import ADA, BEN
from tests.assistant.test_orders import Talk
from tests.assistant.test_tasks import BENS, HERE, OPEN, SIZES
from tests.assistant.web.test_api import SECRET, Customer

SMALL = {"staff", "staff_sessions", "curated", "canned"}  # they do not grow with customers


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations.in_home(tmp_path)


@pytest.fixture
def service(
    tmp_path: Path, store: Conversations, encoder: Encoder, detector: Detector
) -> ChatService:
    records = SqliteRecords.create(tmp_path / "r.sqlite", (ADA, BEN), (OPEN, HERE, BENS), SIZES)
    return Talk(store, records, encoder, detector, "order_change").service


@contextmanager
def recorded(store: Conversations) -> Iterator[dict[str, Any]]:
    """Each statement that is executed meanwhile, with values of its parameters."""
    seen: dict[str, Any] = {}

    def note(_: Any, __: Any, statement: str, values: Any, ___: Any, many: bool) -> None:
        seen.setdefault(statement, values[0] if many else values)

    engines = {store.engine, store.readers}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield seen
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def read_whole(store: Conversations, statements: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(table, statement) of what reads all rows of a table that grows."""
    found = set()
    with store.readers.connect() as connection:
        for statement, values in statements.items():
            if re.match(r"\s*(?:SELECT|INSERT|UPDATE|DELETE)", statement):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
                scans = [re.match(r"SCAN (\w+)", row[-1]) for row in plan]
                # An alias does not say of which table it is: none is allowed to be scanned.
                found |= {
                    (s[1], statement) for s in scans if s and s[1] not in SMALL | {"CONSTANT"}
                }
    return found


def test_no_request_of_a_customer_reads_a_whole_table(
    service: ChatService, store: Conversations
) -> None:
    app = FastAPI()
    identities = Identities(SECRET, store)
    app.include_router(api_routes(service, Turns(service), Tickets("own"), identities))
    with recorded(store) as seen, TestClient(app) as api:
        customer = Customer(api, language="en")
        for number, text in enumerate(("Where is MW-10002?", "ada@shop.example", "return it")):
            told = customer.say(text, f"m{number}")[-1][1]
        verdict = {"message": told["message"], "helpful": True}
        assert customer("POST", "/rating", verdict).status_code < 300
        for _ in range(4):
            assert customer("POST", "/handoff").status_code < 300
            assert customer("GET").json()["waiting"]["position"] == 1
            assert service.take_over(customer.id, "Ada")
            service.reply_as(customer.id, "Ada", "Hello")
            assert service.hand_back(customer.id, "Ada")
        service.handoffs.leave_contact(customer.id, "ada@shop.example")
        assert service.handoffs.depth() == (0, 0.0)
        contacts_of(store, "C-1")
        assert customer("DELETE").status_code < 300
    assert len(seen) > 30
    assert read_whole(store, seen) == set()


def test_reading_a_whole_table_is_found_out(store: Conversations) -> None:
    with recorded(store) as seen, store.readers.connect() as connection:
        connection.exec_driver_sql("SELECT who FROM notes WHERE text = ?", ("x",))
        connection.exec_driver_sql("SELECT who FROM notes WHERE conversation_id = ?", ("x",))
    assert [table for table, _ in read_whole(store, seen)] == ["notes"]
