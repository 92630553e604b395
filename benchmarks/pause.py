"""Seconds from giving the command that stops the language model until it is silent.

    python -m benchmarks.pause [--customers 4] [--home HOME]

A real server writes replies with the starter model while customers ask without end. After half a
minute `python -m assistant pause-model` is given, its own start included in the time; the last
sentence that the model showed to anybody ends it (bar: 5 s). Answers must go on, quoted, and
`resume-model` must bring the model back.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import httpx

from benchmarks.asking import command, read_jsonl
from benchmarks.crowd import DEMO
from benchmarks.serving import served
from benchmarks.starter import STARTER

BAR_SECONDS = 5.0
_WARM_SECONDS, _AFTER_SECONDS = 30.0, 20.0


@dataclass(frozen=True, slots=True)
class Shown:
    """A sentence that a customer saw at a time (`perf_counter`), and who wrote its reply."""

    at: float
    generator: str


def ask_without_end(url: str, texts: list[str], shown: list[Shown], over: threading.Event) -> None:
    """One customer: a new conversation for each question, until it is over."""
    with httpx.Client(base_url=url, timeout=120) as client:
        for number, text in enumerate(cycle(texts)):
            if over.is_set():
                return
            begun = client.post("/api/v1/conversations", json={}).raise_for_status().json()
            path = f"/api/v1/conversations/{begun['conversation_id']}/messages"
            headers = {"authorization": f"Bearer {begun['token']}"}
            body = {"text": text, "message_id": str(number)}
            seen: list[float] = []
            with client.stream("POST", path, json=body, headers=headers) as response:
                event = ""
                for line in response.iter_lines():
                    event = line.removeprefix("event: ") if line.startswith("event: ") else event
                    if event == "sentence" and line.startswith("data: "):
                        seen.append(time.perf_counter())
                    if event == "reply" and line.startswith("data: "):
                        generator = json.loads(line.removeprefix("data: "))["generator"]
                        shown += [Shown(at, generator) for at in seen]


def main() -> None:
    """Print the seconds, and who answered before, between and after."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=4)
    parser.add_argument("--home", type=Path)
    arguments = parser.parse_args()
    texts = [q["text"] for q in read_jsonl(DEMO / "golden.jsonl") if q["answerable"]]
    shown: list[Shown] = []
    over = threading.Event()
    with served(arguments.home, {"FRONTDESK_MODEL__BASE": str(STARTER)}) as server:
        for number in range(arguments.customers):
            asked = texts[number * 20 :] + texts[: number * 20]
            given = (server.url, asked, shown, over)
            threading.Thread(target=ask_without_end, args=given, daemon=True).start()
        time.sleep(_WARM_SECONDS)
        given_at = time.perf_counter()
        command("-m", "assistant", "pause-model", home=server.home)
        took = time.perf_counter() - given_at
        time.sleep(_AFTER_SECONDS)
        resumed_at = time.perf_counter()
        command("-m", "assistant", "resume-model", home=server.home)
        time.sleep(_AFTER_SECONDS)
        over.set()
    late = [s.at - given_at for s in shown if s.generator == "lm" and given_at < s.at < resumed_at]
    quoted = [s for s in shown if s.generator == "quote" and given_at + BAR_SECONDS < s.at]
    back = [s for s in shown if s.generator == "lm" and s.at > resumed_at]
    before = [s for s in shown if s.generator == "lm" and s.at < given_at]
    silent = max(late, default=0.0)
    print(f"sentences by the model before {len(before)}, after it was let write again {len(back)}")
    print(f"the command took {took:.1f} s; silent after {silent:.1f} s (bar {BAR_SECONDS:.0f})")
    print(f"sentences quoted meanwhile {len(quoted)}")
    sys.exit(silent > BAR_SECONDS or not (before and back and quoted))


if __name__ == "__main__":
    main()
