"""A customer of the API who knows what was said, and looks whether the shop still does."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

CANARY = re.compile(r"Zq[a-p]{16}")  # letters alone: it can be signed with, as a name


class LostError(Exception):
    """A message or a reply is missing, doubled, or another customer's."""


class CrossedError(LostError):
    """Something is another customer's."""


def new_canary() -> str:
    """64 random bits as a name."""
    return "Zq" + "".join(chr(ord("a") + int(digit, 16)) for digit in secrets.token_hex(8))


@dataclass
class Ledger:
    """What was said in one conversation; `canary` is in what its customer says and in nobody else's
    words. `acknowledged` are the messages that the server has taken, by id, `answered` the replies
    that came, by their message's id."""

    canary: str = field(default_factory=new_canary)
    acknowledged: dict[str, str] = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)

    def message_id(self) -> str:
        """An id for another message."""
        return f"{self.canary}-{len(self.acknowledged)}"

    def compare(self, history: list[dict[str, Any]]) -> int:
        """Every message that was taken is there once, as it was said, in its order, and every reply
        that came, word for word. Returns how many messages; raises LostError, CrossedError."""
        said = [(m["message_id"], m["text"]) for m in history if m["role"] == "customer"]
        if any(not key.startswith(self.canary) for key, _ in said):
            raise CrossedError("a message of another customer's is there")
        kept = [(key, text) for key, text in said if key in self.acknowledged]
        if kept != list(self.acknowledged.items()):
            raise LostError(f"{len(self.acknowledged)} messages were taken, {len(kept)} are there")
        replies = [(m["message_id"], m["text"]) for m in history if m["role"] == "assistant"]
        if len(dict(replies)) != len(replies) or not set(self.answered) <= set(dict(replies)):
            raise LostError("a reply is missing, or there twice")
        if not self.answered.items() <= dict(replies).items():
            raise CrossedError("a reply is not the one that was told")
        return len(said)

    def look(self, text: str) -> None:
        """Raises CrossedError where another customer's words are in it."""
        if others := set(CANARY.findall(text)) - {self.canary}:
            raise CrossedError(f"{others} was told to {self.canary}")


@dataclass
class Talk(Ledger):
    """One conversation over httpx."""

    client: httpx.AsyncClient = field(kw_only=True)
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
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
                    self.answered[message_id] = data["reply"]
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
        """Compare with the history. Raises httpx.HTTPError, LostError."""
        return self.compare((await self.ask("GET"))["messages"])


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """(name, data) of server-sent events."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
