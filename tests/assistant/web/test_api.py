"""The API: conversations by bearer token, replies as events, identities that a shop signs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from assistant.errors import InputError, TurnStopped
from assistant.service import ChatService
from assistant.types import StageStarted
from assistant.web.api import BUSY, api_routes
from assistant.web.identity import Identities, Tickets
from assistant.web.turns import Turns
from tests.staffing import QUOTE

SECRET = "a secret that the shop and Frontdesk share"


@pytest.fixture
def api(service: ChatService) -> Iterator[TestClient]:
    app = FastAPI()
    identities = Identities(SECRET, service.conversations)
    app.include_router(api_routes(service, Turns(service), Tickets("own"), identities))
    with TestClient(app) as client:
        yield client


class Customer:
    """Speaks to one conversation."""

    def __init__(self, api: TestClient, **opening: Any) -> None:
        begun = api.post("/api/v1/conversations", json=opening)
        assert begun.status_code == 201, begun.text
        self.api, self.id = api, begun.json()["conversation_id"]
        self.headers = {"Authorization": f"Bearer {begun.json()['token']}"}

    def __call__(self, method: str, path: str = "", body: Any = None) -> Response:
        url = f"/api/v1/conversations/{self.id}{path}"
        return self.api.request(method, url, json=body, headers=self.headers)

    def say(self, text: str, message_id: str = "m1") -> list[tuple[str, dict[str, Any]]]:
        return events(self("POST", "/messages", {"text": text, "message_id": message_id}).text)


def events(stream: str) -> list[tuple[str, dict[str, Any]]]:
    """(name, data) of each event."""
    found = []
    for block in stream.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        found.append((fields["event"], json.loads(fields["data"])))
    return found


def identity(**claims: Any) -> str:
    return jwt.encode({"sub": "c-7", "exp": time.time() + 60, "jti": "once"} | claims, SECRET)


def test_a_reply_comes_as_events_and_is_the_one_of_the_history(api: TestClient) -> None:
    customer = Customer(api, language="en")
    found = customer.say("can I return this?")
    name, reply = found[-1]
    assert name == "reply"
    assert (reply["outcome"], reply["reply"]) == ("answer", QUOTE)
    assert "trace" not in reply
    history = customer("GET").json()
    assert [m["role"] for m in history["messages"]] == ["customer", "assistant"]
    assert history["messages"][1]["reply"]["reply"] == QUOTE
    assert history["state"] == "bot"


def test_a_message_sent_again_is_not_answered_twice(api: TestClient) -> None:
    customer = Customer(api)
    first, again = customer.say("can I return this?"), customer.say("can I return this?")
    assert again[-1] == first[-1]
    assert len(customer("GET").json()["messages"]) == 2


def test_a_conversation_is_closed_to_other_tokens(api: TestClient) -> None:
    customer, other = Customer(api), Customer(api)
    for headers in ({}, other.headers, {"Authorization": "Basic x"}, {"Authorization": "Bearer x"}):
        url = f"/api/v1/conversations/{customer.id}"
        for method, path in (
            ("GET", ""), ("DELETE", ""), ("POST", "/handoff"), ("GET", "/events"),
        ):  # fmt: skip
            assert api.request(method, url + path, headers=headers).status_code == 401


def test_a_hand_off_silences_the_bot_and_says_so(api: TestClient) -> None:
    customer = Customer(api)
    waiting = {"position": 1, "minutes": None, "opens": None}
    state = {"state": "waiting", "agent": None, "waiting": waiting}
    assert customer("POST", "/handoff").json() == state
    heard = customer.say("can I return this?")
    assert heard == [("stage", {"stage": "received"}), ("state", state)]


def test_who_waits_may_ask_the_assistant_after_all(api: TestClient) -> None:
    customer = Customer(api)
    customer("POST", "/handoff")
    assert customer("DELETE", "/handoff").json() == {"state": "bot", "agent": None}
    assert customer.say("can I return this?")[-1][0] == "reply"


def test_a_closed_conversation_goes_on_when_it_is_reopened(
    api: TestClient, service: ChatService
) -> None:
    customer = Customer(api)
    service.end(customer.id, "ana")
    body = {"text": "can I return this?", "message_id": "m1"}
    assert customer("POST", "/messages", body).status_code == 409
    assert customer("POST", "/reopen").json()["state"] == "bot"
    assert customer.say("can I return this?")[-1][0] == "reply"


def test_an_address_is_kept_if_it_may_be_one(api: TestClient, service: ChatService) -> None:
    customer = Customer(api)
    for wrong in ("nobody", "a@b", "a b@example.com", "x" * 250 + "@a.de"):
        assert customer("PUT", "/contact", {"email": wrong}).status_code == 422
    assert service.handoffs.contact(customer.id) == ""
    assert customer("PUT", "/contact", {"email": "ann@example.com"}).status_code == 200
    assert service.handoffs.contact(customer.id) == "ann@example.com"


def test_stopping_ends_the_turn_that_runs(api: TestClient, service: ChatService) -> None:
    customer = Customer(api)
    assert customer("POST", "/stop").json() == {"stopping": False}
    thinking, stopped = threading.Event(), threading.Event()
    answered: list[Any] = []
    own = service.assistant.respond

    def slow(utterance: Any, listen: Any) -> Any:
        thinking.set()
        assert stopped.wait(10)
        try:
            listen(StageStarted("generation", "en"))
        except TurnStopped:
            answered.append("stopped")
        return own(utterance)

    service.assistant.respond = slow  # type: ignore[method-assign]
    thread = threading.Thread(target=customer.say, args=("can I return this?",))
    thread.start()
    assert thinking.wait(10)
    assert customer("POST", "/stop").json() == {"stopping": True}
    stopped.set()
    thread.join(10)
    assert answered == ["stopped"]


def test_the_history_says_what_helped(api: TestClient) -> None:
    customer = Customer(api)
    message = customer.say("can I return this?")[-1][1]["message"]
    assert customer("GET").json()["messages"][1]["helpful"] is None
    customer("POST", "/rating", {"message": message, "helpful": True})
    assert customer("GET").json()["messages"][1]["helpful"] is True


def test_an_agents_words_come_as_events_and_only_those_after_the_last(
    api: TestClient, service: ChatService
) -> None:
    customer = Customer(api)
    customer("POST", "/handoff")
    service.take_over(customer.id, "ana")
    first = service.reply_as(customer.id, "ana", "Hello, Ana here.")
    service.reply_as(customer.id, "ana", "It is on its way.")
    service.end(customer.id, "ana")
    found = events(customer("GET", "/events").text)
    assert [(n, d.get("text") or d.get("state")) for n, d in found] == [
        ("state", "closed"), ("message", "Hello, Ana here."), ("message", "It is on its way."),
    ]  # fmt: skip
    customer.headers["Last-Event-ID"] = str(first.id)
    assert [d["text"] for n, d in events(customer("GET", "/events").text) if n == "message"] == [
        "It is on its way."
    ]


@pytest.mark.parametrize("last", ["-1", str(2**63), "2953712740040830248550400", "x"])
def test_a_last_event_that_no_message_can_have_is_refused(api: TestClient, last: str) -> None:
    customer = Customer(api)
    customer.headers["last-event-id"] = last
    assert customer("GET", "/events").status_code == 422


def test_a_verdict_is_kept_for_a_reply_of_this_conversation_only(
    api: TestClient, service: ChatService
) -> None:
    customer, other = Customer(api), Customer(api)
    message = customer.say("can I return this?")[-1][1]["message"]
    verdict = {"message": message, "helpful": False, "reason": "too short"}
    assert other("POST", "/rating", verdict).status_code == 404
    assert customer("POST", "/rating", verdict).status_code == 200
    (kept,) = service.conversations.ratings(customer.id)
    assert (kept["helpful"], kept["reason"]) == (0, "too short")


def test_a_deleted_conversation_leaves_nothing(api: TestClient, service: ChatService) -> None:
    customer = Customer(api)
    message = customer.say("can I return my zebra-striped scarf?")[-1][1]["message"]
    customer("POST", "/rating", {"message": message, "helpful": True})
    assert customer("DELETE").status_code == 204
    assert customer("GET").status_code == 404
    assert service.conversations.messages(customer.id) == []
    assert service.conversations.ratings(customer.id) == []


def test_what_is_no_message_is_refused(api: TestClient) -> None:
    customer = Customer(api)
    for body in (
        {"text": "x"},
        {"text": "x", "message_id": ""},
        {"text": 3, "message_id": "a"},
        {},
    ):
        assert customer("POST", "/messages", body).status_code == 422
    assert api.post("/api/v1/conversations", json={"customer_id": "c-1"}).status_code == 422


def test_a_closed_conversation_takes_no_message(api: TestClient, service: ChatService) -> None:
    customer = Customer(api)
    service.end(customer.id, "ana")
    answer = customer("POST", "/messages", {"text": "hello?", "message_id": "m"})
    assert answer.status_code == 409


def test_a_second_message_waits_for_the_reply_to_the_first(
    api: TestClient, service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, asked, go_on = Customer(api), threading.Event(), threading.Event()
    respond = service.assistant.respond

    def slow(*arguments: Any) -> Any:
        asked.set()
        assert go_on.wait(10)
        return respond(*arguments)

    monkeypatch.setattr(service.assistant, "respond", slow)
    first: list[Any] = []
    thread = threading.Thread(target=lambda: first.append(customer.say("can I return this?")))
    thread.start()
    assert asked.wait(10)
    answer = customer("POST", "/messages", {"text": "hello?", "message_id": "m2"})
    go_on.set()
    thread.join(10)
    assert answer.status_code == 409
    assert first[0][-1][0] == "reply"


def test_a_message_that_another_one_was_faster_than_is_to_be_sent_again(
    api: TestClient, service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = Customer(api)

    async def refuse(*_: str) -> bool:
        return False

    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(service.live, "claim", refuse)
        assert customer.say("can I return this?") == [("error", {"error": BUSY})]
    assert customer.say("can I return this?")[-1][0] == "reply"


def test_a_customer_is_who_the_shop_signs_for_and_only_once(
    api: TestClient, service: ChatService
) -> None:
    token = identity()
    customer = Customer(api, identity=token)
    stored = service.conversations.get(customer.id)
    assert stored
    assert stored.customer_id == "c-7"
    again = api.post("/api/v1/conversations", json={"identity": token})
    assert (again.status_code, "used before" in again.text) == (401, True)


@pytest.mark.parametrize(
    ("claims", "signed", "reason"),
    [
        ({"exp": 1}, (SECRET, "HS256"), "expired"),
        ({"exp": time.time() + 90_000}, (SECRET, "HS256"), "more than an hour"),
        ({"sub": ""}, (SECRET, "HS256"), "1 to 64 characters"),
        ({"jti": None}, (SECRET, "HS256"), "jti"),
        ({}, (SECRET * 2, "HS256"), "not good"),
        ({}, ("", "none"), "not good"),
    ],
)
def test_no_other_identity_is_believed(
    api: TestClient, claims: dict[str, Any], signed: tuple[str, str], reason: str
) -> None:
    whole = {"sub": "c-7", "exp": time.time() + 60, "jti": "once"} | claims
    token = jwt.encode({k: v for k, v in whole.items() if v is not None}, *signed)
    for wrong in (token, "rubbish"):
        answer = api.post("/api/v1/conversations", json={"identity": wrong})
        assert answer.status_code == 401
        assert (reason if wrong == token else "not good") in answer.json()["detail"]


def test_without_a_long_secret_no_identity_is_accepted(service: ChatService) -> None:
    with pytest.raises(InputError, match="identity_secret"):
        Identities("short", service.conversations).customer(identity())
