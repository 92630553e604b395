"""What the processes that serve one shop tell each other while conversations run; none of it lasts.

In one process all of it stays in memory; several meet in Redis. While that cannot be reached each
goes on for itself: the database lets no message be answered twice, and who waits for news looks
there anyway.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import anyio

from assistant.errors import SettingsError
from assistant.store_settings import SharedSettings

log = logging.getLogger(__name__)
Kind = Literal["news", "stop", "tuned"]  # the last: of settings, and of no conversation
Listener = Callable[[Kind, str], None]  # of a conversation's id; in whatever thread
_Value = TypeVar("_Value")

# After a process was killed its conversations are free again when this is over.
_LEASE_SECONDS = 6.0
WAIT_SECONDS = 1.0  # for Redis; it answers in less than a millisecond
PAUSE_SECONDS = 5.0  # until it is asked again after it did not answer
# Only whoever has claimed a conversation may keep or free it.
_KEEP = (
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('pexpire',KEYS[1],ARGV[2]) end"
)
_FREE = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end"


class Live(Protocol):
    """Claims of conversations, and calls to whoever has to do with one."""

    async def claim(self, conversation_id: str, holder: str) -> bool:
        """Have a conversation's turn to oneself; False where another holder has it."""
        ...

    def free(self, conversation_id: str, holder: str) -> None:
        """Give a claim back; one that the holder does not have changes nothing. It may wait a
        moment."""
        ...

    async def is_claimed(self, conversation_id: str) -> bool:
        """Whether a turn runs in it, in whatever process."""
        ...

    def tell(self, kind: Kind, conversation_id: str) -> None:
        """Call all listeners, in every process."""
        ...

    def hear(self, listener: Listener) -> None:
        """Call a listener from now on."""
        ...

    def close(self) -> None:
        """Let go of all connections and claims."""
        ...


class OneProcess:
    """Claims and listeners of this process alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[str, str] = {}
        self._listeners: list[Listener] = []

    async def claim(self, conversation_id: str, holder: str) -> bool:
        """See Live."""
        with self._lock:
            return self._claims.setdefault(conversation_id, holder) == holder

    def free(self, conversation_id: str, holder: str) -> None:
        """See Live."""
        with self._lock:
            if self._claims.get(conversation_id) == holder:
                del self._claims[conversation_id]

    async def is_claimed(self, conversation_id: str) -> bool:
        """See Live."""
        return conversation_id in self._claims

    def claims(self) -> dict[str, str]:
        """Who holds which conversation."""
        with self._lock:
            return dict(self._claims)

    def tell(self, kind: Kind, conversation_id: str) -> None:
        """See Live."""
        for listener in self._listeners:
            try:
                listener(kind, conversation_id)
            except Exception:  # the others, and the thread that passes calls on, go on
                log.exception("what was told could not be heard")

    def hear(self, listener: Listener) -> None:
        """See Live."""
        self._listeners.append(listener)

    def close(self) -> None:
        """See Live."""


class ThroughRedis:
    """Claims as keys that expire (SET NX PX, as Redis' documentation has it for locks), calls by
    publish and subscribe. `redis` is a client of the package of that name."""

    def __init__(self, redis: Any, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._here = OneProcess()
        self._again = 0.0
        self._closed = threading.Event()
        self._keep, self._free = redis.register_script(_KEEP), redis.register_script(_FREE)
        for work in (self._listen, self._renew):
            threading.Thread(target=work, daemon=True, name=f"live-{work.__name__}").start()

    async def claim(self, conversation_id: str, holder: str) -> bool:
        """See Live."""
        if not await self._here.claim(conversation_id, holder):
            return False
        options: dict[str, Any] = {"nx": True, "px": int(_LEASE_SECONDS * 1000)}
        key = self._key(conversation_id)
        claimed = await anyio.to_thread.run_sync(
            self._try, lambda: bool(self._redis.set(key, holder, **options)), True
        )
        if not claimed:
            self._here.free(conversation_id, holder)
        return claimed

    def free(self, conversation_id: str, holder: str) -> None:
        """See Live."""
        self._here.free(conversation_id, holder)
        self._try(lambda: self._free(keys=[self._key(conversation_id)], args=[holder]), None)

    async def is_claimed(self, conversation_id: str) -> bool:
        """See Live."""
        if await self._here.is_claimed(conversation_id):
            return True
        key = self._key(conversation_id)
        return bool(await anyio.to_thread.run_sync(self._try, lambda: self._redis.exists(key), 0))

    def tell(self, kind: Kind, conversation_id: str) -> None:
        """See Live."""
        said = f"{kind} {conversation_id}"
        if not self._try(lambda: self._redis.publish(self._channel, said), 0):
            self._here.tell(kind, conversation_id)  # nobody heard it, not even this process

    def hear(self, listener: Listener) -> None:
        """See Live."""
        self._here.hear(listener)

    def close(self) -> None:
        """See Live."""
        self._closed.set()
        for conversation_id, holder in self._here.claims().items():
            self.free(conversation_id, holder)
        self._redis.close()

    @property
    def _channel(self) -> str:
        return f"{self._prefix}:live"

    def _key(self, conversation_id: str) -> str:
        return f"{self._prefix}:turn:{conversation_id}"

    def _try(self, call: Callable[[], _Value], otherwise: _Value) -> _Value:
        """What Redis says; `otherwise` while it cannot be reached, without waiting each time."""
        from redis import RedisError

        if time.monotonic() < self._again:
            return otherwise
        try:
            return call()
        except RedisError as error:
            self._again = time.monotonic() + PAUSE_SECONDS
            if not self._closed.is_set():
                log.error("Redis cannot be reached, this process goes on alone: %s", error)
            return otherwise

    def _listen(self) -> None:
        """Pass on what is published, for as long as this process lives."""
        from redis import RedisError

        is_away = False
        while not self._closed.is_set():
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as heard:
                    heard.subscribe(self._channel)
                    is_away = False
                    while not self._closed.is_set():
                        if message := heard.get_message(timeout=WAIT_SECONDS):
                            kind, _, conversation_id = message["data"].decode().partition(" ")
                            self._here.tell(kind, conversation_id)
            except (RedisError, OSError, ValueError) as error:  # the last: closed under way
                if not (self._closed.wait(WAIT_SECONDS) or is_away):
                    log.warning("news of other processes are not heard: %s", error)
                is_away = True

    def _renew(self) -> None:
        """Keep what is claimed."""
        while not self._closed.wait(_LEASE_SECONDS / 3):
            for conversation_id, holder in self._here.claims().items():
                given = [self._key(conversation_id)], [holder, int(_LEASE_SECONDS * 1000)]
                self._try(partial(self._keep, *given), None)


class News:
    """Wakes those in this process who wait for news of a conversation."""

    def __init__(self, live: Live) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        live.hear(self._heard)

    async def wait(self, conversation_id: str, seconds: float) -> None:
        """Until there are news, but not for longer than so many seconds."""
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        with self._lock:
            self._waiting.setdefault(conversation_id, set()).add(event)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), seconds)
        finally:
            with self._lock:
                others = self._waiting[conversation_id]
                others.discard(event)
                if not others:
                    del self._waiting[conversation_id]

    def _heard(self, kind: Kind, conversation_id: str) -> None:
        if kind != "news" or self._loop is None:
            return
        with self._lock:
            events = list(self._waiting.get(conversation_id, ()))
        for event in events:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(event.set)


def open_live(settings: SharedSettings) -> Live:
    """What the settings name. Raises SettingsError where it cannot be used at all."""
    return ThroughRedis(redis_of(settings), settings.prefix) if settings.redis else OneProcess()


def redis_of(settings: SharedSettings) -> Any:
    """A client of the Redis that the settings name. Raises SettingsError."""
    try:
        from redis import Redis
    except ModuleNotFoundError as error:
        raise SettingsError(f"{error}; install the extra: pip install frontdesk[redis]") from error
    try:
        return Redis.from_url(
            settings.redis, socket_timeout=WAIT_SECONDS, socket_connect_timeout=WAIT_SECONDS
        )
    except ValueError as error:
        raise SettingsError(f"shared.redis is no URL like redis://host:6379/0: {error}") from error
