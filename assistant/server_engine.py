"""A language model on a server with OpenAI's completions API: vLLM, transformers serve, llama.cpp.

Completions, not chat completions: a chat template is the server's own, and may change under us. The
prompt is rendered here, by the template that the adapter was trained with; the servers that can are
given its very tokens, the others a text that our copy of the tokenizer reads as just these. The
adapter's name goes with each request as the model (vLLM's LoRA modules), so what the registry
points to, a canary included, is what answers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from assistant.breaker import Breaker
from assistant.completions import Refused, Trouble, pause_before, refusal, text_of
from assistant.engine import Pieces, Wanted
from assistant.errors import GenerationError
from assistant.model_settings import ModelSettings
from assistant.usage import Usage
from assistant.vocabulary import Vocabulary

log = logging.getLogger(__name__)
_LOOK = 0.05  # seconds between two looks at whether somebody still waits
_MOST_CONNECTIONS = 64


class ServerEngine:
    """An engine that has replies written by a server; see Engine.

    `adapter` is the name of a promoted one, "" for the bare base; `base` is a folder that holds the
    base's tokenizer and configuration. Raises GenerationError when the server says that it does not
    serve the model or refuses the key; one that cannot be reached may come later, and `unsaid` is
    then why it did not say what it serves.
    """

    name = "server"

    def __init__(self, settings: ModelSettings, base: Path, adapter: str = "") -> None:
        server = settings.server
        self.vocabulary = Vocabulary(base)
        config = json.loads((base / "config.json").read_text())
        self.positions = int(config.get("max_position_embeddings") or 10**9)
        self.settings = server
        self.model = (
            server.adapters.get(adapter, adapter) if adapter else server.model or settings.base
        )
        self.breaker = Breaker(
            "the language model's server", server.most_failures, server.rest_seconds
        )
        key = server.key
        if key and server.is_plain:
            log.warning("the key for %s goes there unencrypted: use https", server.url)
        self.unsaid = ""
        self._client = httpx.AsyncClient(
            base_url=server.url,
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(server.read_seconds, connect=server.connect_seconds),
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS),
            verify=ssl.create_default_context(cafile=server.ca_file) if server.ca_file else True,
            trust_env=False,  # no proxy and no .netrc gets to see customers' words or the key
        )
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, name=self.name, daemon=True).start()
        try:
            asyncio.run_coroutine_threadsafe(self._check(), self._loop).result()
        except GenerationError:
            self.close()
            raise

    def write(self, wanted: Wanted) -> Pieces:
        """See Engine. What is closed, or wanted no more, closes the stream, so that the server
        stops too."""
        pieces: queue.SimpleQueue[str | GenerationError | None] = queue.SimpleQueue()
        asked = asyncio.run_coroutine_threadsafe(self._ask(wanted, pieces), self._loop)
        text, first, last = "", 0.0, 0.0
        try:
            while not wanted.patience.gone:
                with suppress(queue.Empty):
                    piece = pieces.get(timeout=_LOOK)
                    if piece is None:
                        return
                    if isinstance(piece, GenerationError):
                        raise piece
                    text, last = text + piece, time.monotonic()
                    first = first or last
                    yield piece
            raise GenerationError("nobody waits for the language model any more")
        finally:
            asked.cancel()
            # Of what failed before its first word nothing is known to have been read.
            read, written = (
                len(self.vocabulary.ids(t)) if text else 0 for t in (wanted.prompt, text)
            )
            wanted.tally.add(Usage(1, read, written, last - first))

    def close(self) -> None:
        """See Engine."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    async def _end(self) -> None:
        me = asyncio.current_task()
        while others := [t for t in asyncio.all_tasks() if t is not me]:
            await asyncio.wait(others)
        await self._client.aclose()
        self._loop.stop()

    async def _ask(
        self, wanted: Wanted, pieces: queue.SimpleQueue[str | GenerationError | None]
    ) -> None:
        """Put the reply's pieces into a queue, then None or what went wrong."""
        left = wanted.deadline - time.monotonic()
        if left <= 0:  # a turn that has waited for its thread for so long; not the server's doing
            pieces.put(GenerationError("no time was left for the language model's server"))
            return
        # Here, not in `write`: what is cancelled before it begins was not let through either.
        if not self.breaker.lets_through():
            pieces.put(GenerationError("the language model's server is in trouble: left alone"))
            return
        try:
            async with asyncio.timeout(left):
                async for piece in self._written(wanted):
                    pieces.put(piece)
        except asyncio.CancelledError:
            self.breaker.abandoned()
            raise
        except Refused as error:  # the server is well; this request is not
            self.breaker.succeeded()
            pieces.put(error)
        except TimeoutError:
            # Less time than a connection may take tells nothing of the server.
            fair = left >= self.settings.connect_seconds
            (self.breaker.failed if fair else self.breaker.abandoned)()
            pieces.put(GenerationError("the language model's server did not answer in time"))
        except Exception as error:
            self.breaker.failed()
            pieces.put(GenerationError(f"the language model's server failed: {error}"))
        else:
            self.breaker.succeeded()
            pieces.put(None)

    async def _written(self, wanted: Wanted) -> AsyncIterator[str]:
        """The reply, begun again where it failed before its first piece and that may help. Raises
        Trouble, Refused."""
        body = self._body(wanted)
        for tried in range(self.settings.retries + 1):
            begun = False
            try:
                async for piece in self._streamed(body):
                    begun = True
                    yield piece
                return
            except Trouble as error:
                pause = pause_before(tried, error.after)
                left = wanted.deadline - time.monotonic()
                last = tried == self.settings.retries or pause >= left
                if begun or last or not error.may_help:
                    raise
                log.info("%s; asked again in %.2f s", error, pause)
                await asyncio.sleep(pause)

    async def _streamed(self, body: dict[str, Any]) -> AsyncIterator[str]:
        """The pieces of a stream. Raises Trouble, Refused."""
        whole = False
        try:
            async with self._client.stream("POST", "/completions", json=body) as response:
                if response.status_code != httpx.codes.OK:
                    raise await refusal(response)
                async for line in response.aiter_lines():
                    text, ended = text_of(line)
                    whole = whole or ended
                    if text:
                        yield text
        except httpx.HTTPError as error:
            if not whole:
                hung = isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout)
                raise Trouble(f"{type(error).__name__} {error}".strip(), not hung) from error
        if not whole:
            raise Trouble("its reply broke off", True)

    def _body(self, wanted: Wanted) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": wanted.limit,
            "temperature": wanted.sampling.temperature if wanted.sampling else 0,
            "stop": [wanted.end],
            "stream": True,
        }
        if self.settings.kind == "openai":
            return body | {"prompt": self._as_text(wanted.prompt)}
        body |= {"prompt": self.vocabulary.ids(wanted.prompt)}
        if wanted.sampling:
            body |= {"top_k": wanted.sampling.top_k}
        if self.settings.kind == "vllm":
            body |= {"stop_token_ids": sorted(wanted.ends)}
        return body

    def _as_text(self, prompt: str) -> str:
        """The text that the tokenizer, with what it adds itself, reads as the prompt."""
        ids = self.vocabulary.ids(prompt)
        for text in (prompt, prompt.removeprefix(self.vocabulary.begin)):
            if self.vocabulary.tokenizer.encode(text).ids == ids:
                return text
        raise Refused("its tokenizer adds tokens to every text; set server.kind to vllm")

    async def _check(self) -> None:
        """Raise GenerationError where the server says that it would not write with this model."""
        try:
            async with asyncio.timeout(self.settings.read_seconds):
                response = await self._client.get("/models")
            if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                raise await refusal(response)
            found = response.raise_for_status().json()["data"]
            names = sorted(str(model["id"]) for model in found)
        except (httpx.HTTPError, TimeoutError, ValueError, LookupError, TypeError) as error:
            self.unsaid = f"{error or type(error).__name__}".splitlines()[0]
            log.warning("%s does not say what it serves: %r", self.settings.url, error)
            return
        if self.model not in names:
            raise GenerationError(
                f"the server at {self.settings.url} serves {', '.join(names[:5]) or 'nothing'}, not"
                f" {self.model}; load it there, or say below model.server what it is called there"
            )
