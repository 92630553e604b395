"""Personal data in what the server writes to its logs, while customers give it theirs.

    python -m benchmarks.private_logs [--count 40] [--home HOME]

A real server gets made-up messages (`benchmarks.pii`: 25 kinds and countries, so 1,000 values at
40 each) as questions, as reasons of a rating, in bodies and addresses that it must refuse, and in
tokens that are none. All that it wrote to both streams meanwhile is then searched for each value,
as it was sent and in its digits alone. Exit status 1 if one is found.
"""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

import httpx

from benchmarks.pii import made_up
from benchmarks.serving import served

_LEAST_DIGITS = 7  # a run of fewer stands in any log


def tell(client: httpx.Client, message: str, value: str) -> None:
    """Give a value to the server wherever a customer can."""
    begun = client.post("/api/v1/conversations", json={}).raise_for_status().json()
    path = f"/api/v1/conversations/{begun['conversation_id']}"
    headers = {"authorization": f"Bearer {begun['token']}"}
    body = {"text": message, "message_id": secrets.token_hex(8)}
    client.post(f"{path}/messages", json=body, headers=headers).raise_for_status()
    replies = [m for m in client.get(path, headers=headers).json()["messages"] if "reply" in m]
    if replies:
        rating = {"message": replies[-1]["id"], "helpful": False, "reason": message}
        client.post(f"{path}/rating", json=rating, headers=headers).raise_for_status()
    client.post(f"{path}/messages", json={"text": [message], "who": value}, headers=headers)
    client.post(f"{path}/messages", content=f"{{{message}".encode(), headers=headers)
    client.get(f"/api/v1/conversations/{quote(value, safe='')}")
    client.get(f"/{quote(value, safe='')}", params={"from": value})
    client.get(path, headers={"authorization": f"Bearer {quote(value)}"})


def found_in(log: str, values: list[str]) -> list[str]:
    """Values that a log holds, as they are, as an address has them, or in their digits."""
    digits = re.sub(r"(?<=\d)[ ()./+-]+(?=\d)", "", log)
    return [
        value
        for value in values
        if value in log
        or quote(value, safe="") in log
        or (len(run := re.sub(r"\D", "", value)) >= _LEAST_DIGITS and run in digits)
    ]


def main() -> None:
    """Print how many values were given and found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=40, help="values of a kind and country")
    parser.add_argument("--home", type=Path)
    arguments = parser.parse_args()
    given = list(made_up(arguments.count))
    with served(arguments.home) as server, httpx.Client(base_url=server.url, timeout=120) as client:
        for number, (_, message, value) in enumerate(given):
            tell(client, message, value)
            print(f"\r{number + 1} of {len(given)}", end="", file=sys.stderr)
    found = found_in("".join(server.log), [value for _, _, value in given])
    print(
        f"values given {len(given)}  lines of log {len(server.log)}  found {len(found)}", *found[:9]
    )
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
