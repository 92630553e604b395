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
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import quote

import httpx

from benchmarks.crowd import DEMO, ROOT, ready
from benchmarks.pii import made_up

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
    with tempfile.TemporaryDirectory() as folder:
        home = str(arguments.home or folder)
        refresh = [sys.executable, "-m", "knowledge", "refresh", str(DEMO / "documents")]
        subprocess.run([*refresh, "--home", home], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        serve = [sys.executable, "app.py", "--home", home, "--port", "0"]
        server = subprocess.Popen(
            serve, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        written: list[str] = []
        try:
            url = ready(server)
            for stream in (server.stderr, server.stdout):
                threading.Thread(target=lambda s=stream: written.extend(s), daemon=True).start()
            given = list(made_up(arguments.count))
            with httpx.Client(base_url=url, timeout=120) as client:
                for number, (_, message, value) in enumerate(given):
                    tell(client, message, value)
                    print(f"\r{number + 1} of {len(given)}", end="", file=sys.stderr)
        finally:
            server.terminate()
            server.wait(60)
    found = found_in("".join(written), [value for _, _, value in given])
    print(f"values given {len(given)}  lines of log {len(written)}  found {len(found)}", *found[:9])
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
