"""Engines that decode replies: one stream, eight conversations at once, a shared beginning, turns.

    python -m benchmarks.decoding [--base FOLDER] [--turns N] [--engine NAME] [--home HOME]

Prompts are those of the unseen shops' written replies (see benchmarks.starter), each answered with
64 tokens whatever the model would say. `fp32` and `nf4` are transformers' `generate()` behind a
lock, without what our engines add; first token and rate are medians of one stream after another.
`shared` is the first token's time of a prompt whose first 400 tokens were read before, as a share
of that of a new one. Turns are golden questions of the demo shop, by the fastest engine, checked
sentence by sentence.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from assistant.build import build_assistant
from assistant.int8_engine import Int8Engine
from assistant.settings import load_settings
from assistant.token_engines import Request, TokenEngine
from assistant.transformers_engine import TransformersEngine
from assistant.types import SentenceReady, Utterance
from benchmarks.asking import read_jsonl
from benchmarks.latency import DEMO
from benchmarks.starter import MAX_TOKENS, STARTER, held_out
from finetune.examples import encode
from finetune.models import load_base, template_for
from knowledge.build import open_refresher

REPLY, STREAMS, AT_ONCE, PREFIX, SEED = 64, 6, 8, 400, 3


class Lock(TransformersEngine):
    """`generate()` behind a lock: nothing of an earlier prompt is kept."""

    def __init__(self, base: Path, quantised: bool) -> None:
        super().__init__(base, None)
        if not quantised:
            self._model, _ = load_base(base, quantised=False)
            self._model.eval()

    def decode(self, requests: Sequence[Request]) -> None:
        """See TokenEngine."""
        self._prefixes = type(self._prefixes)()
        super().decode(requests)


def decode(engine: TokenEngine, ids: Sequence[int], limit: int = REPLY) -> tuple[float, float, int]:
    """Seconds to the first token and to the last, and tokens."""
    started = time.perf_counter()
    request = Request(ids, frozenset(), limit, time.monotonic() + 600)
    engine.submit(request)
    first, count = 0.0, 0
    for _ in request.tokens():
        first = first or time.perf_counter() - started
        count += 1
    return first, time.perf_counter() - started, count


def one_stream(engine: TokenEngine, prompts: Sequence[Sequence[int]]) -> dict[str, float]:
    """Of prompts one after another."""
    found = [decode(engine, ids) for ids in prompts]
    return {
        "first token ms": 1000 * float(np.median([f for f, _, _ in found])),
        "tokens/s": float(np.median([(n - 1) / (whole - f) for f, whole, n in found])),
        "whole ms": 1000 * float(np.median([whole for _, whole, _ in found])),
    }


def at_once(engine: TokenEngine, prompts: Sequence[Sequence[int]]) -> dict[str, float]:
    """Of prompts that come all at once."""
    started = time.perf_counter()
    with ThreadPoolExecutor(len(prompts)) as pool:
        found = list(pool.map(lambda ids: decode(engine, ids), prompts))
    seconds = time.perf_counter() - started
    return {
        "8: tokens/s": sum(n for _, _, n in found) / seconds,
        "8: first token p95 ms": 1000 * float(np.percentile([f for f, _, _ in found], 95)),
    }


def shared(engine: TokenEngine, vocabulary: int) -> dict[str, float]:
    """What a shared beginning of 400 tokens leaves of the first token's time, 100 being new."""
    rng = random.Random(SEED)

    def draw(count: int) -> list[int]:
        return [rng.randrange(300, vocabulary) for _ in range(count)]

    news, olds = [], []
    for _ in range(4):
        prefix = draw(PREFIX)
        first, second, *others = (prefix + draw(100) for _ in range(4))
        news.append(decode(engine, first, 1)[0])
        decode(engine, second, 1)  # the beginning is known to come back
        olds += [decode(engine, ids, 1)[0] for ids in others]
    return {"shared": float(np.median(olds) / np.median(news))}


def measure(make: Callable[[], TokenEngine], prompts: Sequence[Sequence[int]]) -> dict[str, float]:
    """All figures of an engine."""
    process = psutil.Process()
    before, started = process.memory_info().rss, time.perf_counter()
    engine = make()
    decode(engine, prompts[0])
    ready = time.perf_counter() - started
    found = one_stream(engine, prompts[:STREAMS]) | at_once(engine, prompts[-AT_ONCE:])
    found |= shared(engine, len(engine.vocabulary) - 20)
    memory = (process.memory_info().rss - before) / 2**20
    return found | {"ready s": ready, "MiB": memory}


def turns(base: Path, count: int, home: Path | None) -> dict[str, float]:
    """Seconds of whole turns that the model answered, and to their first verified sentence."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(home=home or Path(folder), model={"base": str(base)})
        refresher = open_refresher(
            settings.home, settings.engines, settings.knowledge, lambda stage, done, total: None
        )
        refresher.refresh([DEMO / "documents"])
        started = time.perf_counter()
        assistant = build_assistant(settings)
        ready = time.perf_counter() - started
        firsts, wholes = [], []
        for question in read_jsonl(DEMO / "golden.jsonl")[:count]:
            begun, heard = time.perf_counter(), []

            def listen(event: Any, begun: float = begun, heard: list[float] = heard) -> None:
                if isinstance(event, SentenceReady):
                    heard.append(time.perf_counter() - begun)

            reply = assistant.respond(Utterance(question["text"]), listen)
            if reply.latency_ms["generation"] > 1:  # the model was asked
                wholes.append(reply.latency_ms["total"] / 1000)
                firsts += heard[:1]
    return {
        "turns": len(wholes),
        "first verified sentence p50 s": float(np.median(firsts)),
        "whole reply p50 s": float(np.median(wholes)),
        "assistant ready s": ready,
        "server MiB": psutil.Process().memory_info().rss / 2**20,
    }


def main() -> None:
    """Print a line for each engine, then the turns."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--base", type=Path, default=STARTER)
    parser.add_argument("--turns", type=int, default=60, help="golden questions; 0: none")
    parser.add_argument("--engine", action="append", help="only this one; may be repeated")
    parser.add_argument("--home", type=Path, help="where the demo shop's knowledge is kept")
    arguments = parser.parse_args()
    if arguments.turns:
        # First, while nothing else is in memory.
        print("turns:", shown(turns(arguments.base, arguments.turns, arguments.home)), flush=True)
    tokenizer = load_base(arguments.base, quantised=False)[1]
    template = template_for(tokenizer)
    examples = held_out()
    random.Random(SEED).shuffle(examples)
    rows = [encode(e, tokenizer, template, MAX_TOKENS) for e in examples[: STREAMS + AT_ONCE]]
    prompts = [row.ids[: row.prompt_tokens] for row in rows]
    print("prompt tokens:", sorted(map(len, prompts)), flush=True)
    engines = load_settings().engines
    engines_by_name = {
        "fp32": lambda: Lock(arguments.base, False),
        "nf4": lambda: Lock(arguments.base, True),
        TransformersEngine.name: lambda: TransformersEngine(arguments.base, None),
        Int8Engine.name: lambda: Int8Engine(arguments.base, None, engines, 2),
    }
    for name, make in engines_by_name.items():
        if name in (arguments.engine or engines_by_name):
            print(f"{name:16}", shown(measure(make, prompts)), flush=True)


def shown(figures: dict[str, float]) -> str:
    """Figures on a line."""
    return "  ".join(f"{name} {value:.3g}" for name, value in figures.items())


if __name__ == "__main__":
    main()
