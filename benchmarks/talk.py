"""A customer of the API who knows what was said, and looks whether the shop still does."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

CANARY = re.compile(r"zq[0-9a-f]{16}")


class LostError(Exception):
    """A message is missing, doubled, or another customer's."""


@dataclass
class Talk:
    """One conversation; `canary` is in what its customer says and in nobody else's words.
    `acknowledged` are the messages that the server has taken, by id, `answered` those with a
    reply that came."""

    client: httpx.AsyncClient
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    canary: str = field(default_factory=lambda: f"zq{secrets.token_hex(8)}")
    acknowledged: dict[str, str] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    reply: dict[str, Any] = field(default_factory=dict)

    async def begin(self) -> None:
        """Open the conversation."""
        begun = (await self.client.post("/api/v1/conversations", json={"language": "en"})).json()
        self.path = f"/api/v1/conversations/{begun['conversation_id']}"
        self.headers = {"authorization": f"Bearer {begun['token']}"}

    @property
    def id(self) -> str:
        """The conversation's id."""
        return self.path.rpartition("/")[2]

    def message_id(self) -> str:
        """An id for another message."""
        return f"{self.canary}-{len(self.acknowledged)}"

    async def say(self, text: str, message_id: str = "") -> str:
        """Send a message; the name of the last event. Raises httpx.HTTPError, LostError."""
        message_id = message_id or self.message_id()
        body = {"text": text, "message_id": message_id}
        last = ""
        request = self.client.stream(
            "POST", f"{self.path}/messages", json=body, headers=self.headers
        )
        async with request as response:
            response.raise_for_status()
            self.acknowledged[message_id] = text
            async for last, data in events(response):
                self.look(json.dumps(data))
                if last == "reply":
                    self.reply = data
                    self.answered.add(message_id)
        if last not in ("reply", "state"):
            raise httpx.ReadError(f"the reply broke off after {last!r}")
        return last

    async def ask(self, method: str, path: str = "", **options: Any) -> Any:
        """Any other request. Raises httpx.HTTPError, LostError."""
        response = await self.client.request(
            method, self.path + path, headers=self.headers, **options
        )
        response.raise_for_status()
        self.look(response.text)
        return response.json() if response.content else None

    async def check(self) -> int:
        """Every message that was taken is there once, as it was said, in its order, and every reply
        that came. Returns how many messages; raises LostError."""
        history = (await self.ask("GET"))["messages"]
        said = [(m["message_id"], m["text"]) for m in history if m["role"] == "customer"]
        kept = [(key, text) for key, text in said if key in self.acknowledged]
        if kept != list(self.acknowledged.items()):
            raise LostError(f"{len(self.acknowledged)} messages were taken, {len(kept)} are there")
        if any(not key.startswith(self.canary) for key, _ in said):
            raise LostError("a message of another customer's is there")
        replies = [m["message_id"] for m in history if m["role"] == "assistant"]
        if len(replies) != len(set(replies)) or not self.answered <= set(replies):
            raise LostError("a reply is missing, or there twice")
        return len(said)

    def look(self, text: str) -> None:
        """Raises LostError where another customer's words are in it."""
        if others := set(CANARY.findall(text)) - {self.canary}:
            raise LostError(f"crossed: {others} was told to {self.canary}")


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """(name, data) of server-sent events."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
