"""A customer is erased while the server runs and others write: no byte is left below the home."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from assistant.notes import Notes
from assistant.reviewed import reviewed_dialogues
from assistant.service import ChatService
from tests.keeping import files_with

pytestmark = pytest.mark.slow

MARK, EMAIL = "zq42zebraserved", "zelda.zebra@example.com"
WORDS = f"Can I return the {MARK} kettle that I bought on the corner last week?"


def through_the_doors(client: httpx.Client) -> str:
    """A conversation as the widget leads it; its id."""
    opened = client.post("/api/v1/conversations", json={"language": "en"}).json()
    path = f"/api/v1/conversations/{opened['conversation_id']}"
    client.headers["authorization"] = f"Bearer {opened['token']}"
    message = {"text": WORDS, "message_id": "m1"}
    assert "event: reply" in client.post(f"{path}/messages", json=message).text
    reply = client.get(path).json()["messages"][1]["id"]
    verdict = {"message": reply, "helpful": True, "reason": f"{MARK} is right"}
    assert client.post(f"{path}/rating", json=verdict).is_success
    assert client.post(f"{path}/handoff").is_success
    assert client.put(f"{path}/contact", json={"email": EMAIL}).is_success
    return str(opened["conversation_id"])


def test_no_byte_is_left_while_the_server_runs_and_others_write(
    url: str, service: ChatService, home: Path
) -> None:
    store, log = service.conversations, home / "server.log"
    handler = logging.FileHandler(log)
    logging.getLogger("shop").addHandler(handler)
    with httpx.Client(base_url=url, timeout=60) as client:
        key = through_the_doors(client)
        Notes(store).add(
            key, "Ada", f"Wants the {MARK} kettle back, and is angry about the parcel."
        )
        lines = (json.dumps(r) + "\n" for r in reviewed_dialogues(store))
        (home / "reviewed.jsonl").write_text("".join(lines))
        logging.getLogger("shop").error("a turn of %s failed: %s", key, WORDS)
        assert len(files_with([MARK, EMAIL, key], home)) == 3
        stop, other = threading.Event(), store.start()

        def write() -> None:
            while not stop.is_set():
                store.add(other.id, "customer", "And the lamp?")
                store.messages(other.id)
                stop.wait(0.02)

        writer = threading.Thread(target=write)
        writer.start()
        command = [sys.executable, "-m", "assistant", "erase", "--conversation", key, "--json"]
        try:
            done = subprocess.run(
                [*command, "--home", str(home)], capture_output=True, text=True, timeout=300
            )
        finally:
            stop.set()
            writer.join()
        assert done.returncode == 0, done.stderr
        receipt = json.loads(done.stdout)
        assert (receipt["conversations"], receipt["left"]) == (1, [])
        assert files_with([MARK, EMAIL, key], home) == {}
        logging.getLogger("shop").error("what comes later stands behind what was erased")
        handler.close()
        logging.getLogger("shop").removeHandler(handler)
        assert log.read_text().splitlines()[-1].startswith("what comes later")
        assert len(store.messages(other.id)) > 1
        assert client.get(f"/api/v1/conversations/{key}").status_code == 404
