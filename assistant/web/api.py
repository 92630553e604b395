"""The API for shops and widgets: /api/v1, described by /openapi.json.

A conversation is opened by its own bearer token. A reply comes as a stream of server-sent events
(WHATWG HTML, section 9.2): `stage`, `sentence`, then one `reply`; where a person speaks, `state`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from assistant.conversations import Conversation, StoredMessage
from assistant.errors import InputError, StoreError
from assistant.handoff import EMAIL, MAX_EMAIL
from assistant.live import News
from assistant.service import ChatService, public_view
from assistant.web.flood import FloodError, address_of
from assistant.web.identity import REFUSAL, Identities, Tickets
from assistant.web.limits import RETRY_SECONDS
from assistant.web.turns import Turn, Turns

_POLL_SECONDS = 1.0
_READERS = 8  # threads of their own: who only reads waits for nobody who writes
_ALIVE_SECONDS = 15.0  # proxies close what is silent for longer
BUSY = "the message before is being answered; wait for its reply"
FULL = "too many customers write at once; send it again in a moment"
_BUSY_SECONDS = "2"
_LAST_ID = 2**63 - 1  # that a database can compare with
_STREAM = {"cache-control": "no-store", "x-accel-buffering": "no"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Opening(_Body):
    """A new conversation."""

    identity: str | None = Field(None, max_length=4096, description="Signed by the shop; a JWT.")
    language: str = Field("", max_length=8, description="Of the customer's page.")


class Sent(_Body):
    """A customer's message; sent again with the same id it is not answered twice."""

    text: str = Field(max_length=20_000)
    message_id: str = Field(min_length=1, max_length=64)


class Contact(_Body):
    """Where a customer wants to be written to when the team is away."""

    email: str = Field(max_length=MAX_EMAIL, pattern=EMAIL)


class Rating(_Body):
    """A verdict on a reply, by the id that the history gives it."""

    message: int
    helpful: bool
    reason: str = Field("", max_length=300)


def api_routes(
    service: ChatService, turns: Turns, tickets: Tickets, identities: Identities
) -> APIRouter:
    """The routes over a chat service."""
    router = APIRouter(prefix="/api/v1", tags=["conversations"])
    store, news = service.conversations, News(service.live)

    reading = anyio.CapacityLimiter(_READERS)

    async def opened(
        conversation_id: str, authorization: Annotated[str, Header()] = ""
    ) -> Conversation:
        """The conversation that the bearer token opens."""
        scheme, _, token = authorization.partition(" ")
        if scheme.casefold() != "bearer" or not tickets.opens(token.strip(), conversation_id):
            raise HTTPException(401, REFUSAL)
        found = await anyio.to_thread.run_sync(store.get, conversation_id, limiter=reading)
        if found is None:
            raise HTTPException(404, "this conversation does not exist, or was deleted")
        return found

    of_token = Depends(opened)

    def state_of(conversation_id: str) -> dict[str, Any]:
        """Who speaks; for one who waits: the place in the queue, and when somebody is there."""
        found = store.get(conversation_id)
        if found is None:
            return {"state": "deleted", "agent": None}
        state: dict[str, Any] = {"state": found.state, "agent": found.agent}
        waiting = service.handoffs.waiting(found.id) if found.state == "waiting" else None
        return state | ({"waiting": asdict(waiting)} if waiting else {})

    @router.post("/conversations", status_code=201)
    def start(opening: Opening, request: Request) -> dict[str, str]:
        """Begin a conversation."""
        try:
            turns.flood.count(address_of(request))
        except FloodError as error:
            raise _too_many(error) from error
        customer = None
        if opening.identity is not None:
            try:
                customer = identities.customer(opening.identity)
            except InputError as error:
                raise HTTPException(401, str(error)) from error
        begun = service.start(opening.language, customer)
        return {"conversation_id": begun.id, "token": tickets.issue(begun.id)}

    @router.post("/conversations/{conversation_id}/messages")
    async def send(
        sent: Sent, request: Request, conversation: Conversation = of_token
    ) -> StreamingResponse:
        """Send a message; it is stored when the reply begins, a stream of events."""
        if conversation.state == "closed":
            raise HTTPException(409, "this conversation is closed; begin another one")
        if await turns.is_busy(conversation.id):
            raise _busy()
        if turns.is_full:
            raise HTTPException(503, FULL, {"retry-after": RETRY_SECONDS})
        address = address_of(request)
        turn = Turn(conversation.id, sent.message_id, sent.text, address=address)
        try:
            await turns.receive(turn)
        except FloodError as error:
            raise _too_many(error) from error
        except InputError as error:
            raise HTTPException(409, str(error)) from error
        if await turns.is_busy(conversation.id):  # meanwhile, another page of the same customer's
            raise _busy()
        return _stream(_reply_events(turn))

    async def _reply_events(turn: Turn) -> AsyncIterator[str]:
        stage, told = "", 0
        try:
            async with aclosing(turns.run(turn)) as run:
                async for progress in run:
                    if progress.stage != stage:
                        stage = progress.stage
                        yield _event("stage", {"stage": stage})
                    for joint, text in progress.sentences[told:]:
                        yield _event("sentence", {"text": text, "joint": joint})
                    told = len(progress.sentences)
        except (InputError, StoreError) as error:
            yield _event("error", {"error": str(error)})
            return
        stored = await asyncio.to_thread(
            store.find, turn.conversation_id, turn.message_id, "assistant"
        )
        if stored and stored.reply:
            yield _event("reply", public_view(stored.reply) | {"message": stored.id}, stored.id)
            return
        state = await asyncio.to_thread(state_of, turn.conversation_id)
        if state["state"] == "bot":  # another message was faster by a moment, in another process
            yield _event("error", {"error": BUSY})
            return
        yield _event("state", state)

    @router.get("/conversations/{conversation_id}")
    def history(conversation: Conversation = of_token) -> dict[str, Any]:
        """The conversation so far."""
        rated = {r["message"]: bool(r["helpful"]) for r in store.ratings(conversation.id)}
        messages = [_shown(m, rated.get(m.id)) for m in store.messages(conversation.id)]
        state = state_of(conversation.id)
        return {"conversation_id": conversation.id} | state | {"messages": messages}

    @router.post("/conversations/{conversation_id}/rating")
    def rate(rating: Rating, conversation: Conversation = of_token) -> dict[str, str]:
        """Keep a verdict on a reply; a second one replaces the first."""
        replies = {m.id for m in store.messages(conversation.id) if m.reply}
        if rating.message not in replies:
            raise HTTPException(404, "there is no such reply in this conversation")
        service.rate(conversation.id, rating.message, rating.helpful, rating.reason)
        return {"status": "kept"}

    @router.post("/conversations/{conversation_id}/handoff")
    def hand_off(conversation: Conversation = of_token) -> dict[str, Any]:
        """Ask for a person."""
        service.hand_off(conversation.id)
        return state_of(conversation.id)

    @router.delete("/conversations/{conversation_id}/handoff")
    def withdraw(conversation: Conversation = of_token) -> dict[str, Any]:
        """Ask the assistant after all, as long as nobody has come."""
        service.withdraw(conversation.id)
        return state_of(conversation.id)

    @router.post("/conversations/{conversation_id}/reopen")
    def reopen(conversation: Conversation = of_token) -> dict[str, Any]:
        """Go on with a closed conversation."""
        service.reopen(conversation.id)
        return state_of(conversation.id)

    @router.post("/conversations/{conversation_id}/stop")
    async def stop(conversation: Conversation = of_token) -> dict[str, bool]:
        """End the turn that runs; what was verified by then stays."""
        return {"stopping": await turns.stop(conversation.id)}

    @router.put("/conversations/{conversation_id}/contact")
    def leave_contact(contact: Contact, conversation: Conversation = of_token) -> dict[str, str]:
        """Leave an e-mail address for the team; a second one replaces the first."""
        service.handoffs.leave_contact(conversation.id, contact.email)
        return {"status": "kept"}

    @router.get("/conversations/{conversation_id}/events")
    async def events(
        last_event_id: Annotated[int, Header(ge=0, le=_LAST_ID)] = 0,
        conversation: Conversation = of_token,
    ) -> StreamingResponse:
        """A person's messages, and who speaks; `Last-Event-ID` goes on from there."""
        return _stream(_person_events(conversation.id, last_event_id))

    async def _person_events(conversation_id: str, last: int) -> AsyncIterator[str]:
        state: dict[str, Any] = {}
        spoken = time.monotonic()
        while True:
            messages = await asyncio.to_thread(store.messages, conversation_id, last)
            now = await asyncio.to_thread(state_of, conversation_id)
            if now != state:
                state, spoken = now, time.monotonic()
                yield _event("state", state)
            for message in messages:
                last = message.id
                if message.role == "agent":
                    spoken = time.monotonic()
                    yield _event("message", _shown(message), message.id)
            if state["state"] in ("closed", "deleted"):
                return
            if time.monotonic() - spoken > _ALIVE_SECONDS:
                spoken = time.monotonic()
                yield ": alive\n\n"
            await news.wait(conversation_id, _POLL_SECONDS)

    @router.delete("/conversations/{conversation_id}", status_code=204)
    def delete(conversation: Conversation = of_token) -> Response:
        """Delete the conversation for good, with its messages and verdicts."""
        service.delete(conversation.id)
        return Response(status_code=204)

    return router


def _stream(events: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(events, media_type="text/event-stream", headers=_STREAM)


def _event(name: str, data: dict[str, Any], key: int | None = None) -> str:
    """One server-sent event; its data is one line of JSON."""
    head = f"id: {key}\n" if key is not None else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _busy() -> HTTPException:
    return HTTPException(409, BUSY, {"retry-after": _BUSY_SECONDS})


def _too_many(error: FloodError) -> HTTPException:
    return HTTPException(429, str(error), {"retry-after": str(error.seconds)})


def _shown(message: StoredMessage, helpful: bool | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": message.id,
        "message_id": message.message_id,
        "role": message.role,
        "text": message.text,
        "created": message.created,
    }
    if message.reply:
        shown |= {"reply": public_view(message.reply), "helpful": helpful}
    return shown
