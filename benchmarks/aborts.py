"""Customers who vanish: before the headers, in the midst of the stream, or by hardly reading it.

    python -m benchmarks.aborts [--count 1000] [--home HOME]

Each sends a message and then resets the connection (RST) at once, after the first bytes of the
reply, or reads a byte a second for a while. Afterwards no slot may be held: the same server answers
a question as fast as before. Bars: no error is logged, memory grows by less than 5% (or 30 MB).
Exits with 1 if missed.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import struct
import time
from pathlib import Path

import httpx

from benchmarks.serving import Server, served

_QUESTION = "How long do I have to return something?"
_READERS = 20  # that read a byte a second, at a time
_BYTES = 5
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no time, so that closing is a RST
_GROWTH, _LEAST_MEGABYTES = 0.05, 30.0


def begin(client: httpx.Client) -> tuple[str, str]:
    """(path, token) of a new conversation."""
    begun = client.post("/api/v1/conversations", json={}).raise_for_status().json()
    return f"/api/v1/conversations/{begun['conversation_id']}", begun["token"]


def send(port: int, path: str, token: str) -> socket.socket:
    """A connection on which a message was sent."""
    body = json.dumps({"text": _QUESTION, "message_id": "m1"})
    head = (
        f"POST {path}/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.sendall((head + body).encode())
    return connection


def reset(connection: socket.socket) -> None:
    """Vanish."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


def answered_seconds(client: httpx.Client) -> float:
    """How long a question takes that somebody waits for. Raises AssertionError."""
    path, token = begin(client)
    started = time.monotonic()
    body = {"text": _QUESTION, "message_id": "m1"}
    headers = {"authorization": f"Bearer {token}"}
    said = client.post(f"{path}/messages", json=body, headers=headers).raise_for_status().text
    assert "event: reply" in said, said
    return time.monotonic() - started


def vanish(client: httpx.Client, port: int, count: int) -> None:
    """That many customers, of all three kinds."""
    rng, slow = random.Random(3), []
    for number in range(count):
        connection = send(port, *begin(client))
        match number % 3:
            case 0:
                time.sleep(rng.uniform(0, 0.01))
                reset(connection)
            case 1:
                connection.recv(rng.randint(1, 400))
                reset(connection)
            case _:
                slow.append(connection)
        if len(slow) == _READERS or number == count - 1:
            for _ in range(_BYTES):
                for reader in slow:
                    reader.recv(1)
                time.sleep(1)
            for reader in slow:
                reset(reader)
            slow.clear()


def measure(server: Server, count: int) -> bool:
    """Print the table; whether all bars are met."""
    with httpx.Client(base_url=server.url, timeout=120) as client:
        vanish(client, server.port, 30)  # warm
        before = min(answered_seconds(client) for _ in range(5))
        first = server.megabytes()
        vanish(client, server.port, count)
        after = min(answered_seconds(client) for _ in range(5))
        grown = server.megabytes() - first
    print(f"{'vanished':34} {count}")
    print(f"{'reply before and after, ms':34} {1000 * before:.0f} {1000 * after:.0f}")
    print(f"{'memory, MB: first, growth':34} {first:.0f} {grown:+.1f}")
    print(f"{'errors logged':34} {len(server.troubles)}", *server.troubles[:10], sep="\n  ")
    flat = grown <= max(_LEAST_MEGABYTES, _GROWTH * first)
    return flat and not server.troubles and after < 2 * before + 0.1


def main() -> None:
    """Exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--home", type=Path)
    given = parser.parse_args()
    with served(given.home) as server:
        met = measure(server, given.count)
    print("all bars met" if met else "a bar is missed")
    raise SystemExit(not met)


if __name__ == "__main__":
    main()
