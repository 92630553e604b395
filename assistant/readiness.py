"""Whether a load balancer may send customers here, and what stands in the way.

`/health/live` asks nothing of this: a process whose database is away is not helped by a restart.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from assistant.conversations import Conversations
from assistant.errors import StoreError
from assistant.settings import Settings
from knowledge.errors import KnowledgeError
from knowledge.versions import Versions

_KEPT_SECONDS = 1.0  # for which what was found is said again: anybody may ask
SLOW_SECONDS = (
    2.0  # after which a database that does not answer counts as away: probes wait so long
)


@dataclass(frozen=True, slots=True)
class Health:
    """What each check found: nothing, or what is wrong."""

    checks: Mapping[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.checks.values())

    @property
    def body(self) -> dict[str, object]:
        """As JSON says it."""
        told = {name: wrong or "ok" for name, wrong in self.checks.items()}
        return {"status": "ready" if self.is_ready else "not ready", "checks": told}


class Readiness:
    """Looks at what a turn needs: cheap enough to be asked every second, by several."""

    def __init__(self, settings: Settings, store: Conversations) -> None:
        self.settings = settings
        self.store = store
        self.versions = Versions(settings.home)
        self.models = "warming up"  # nothing once they are warm, else what is wrong
        self._draining = False
        self._asking = threading.Lock()
        self._known: tuple[float, Health] | None = None
        self._checks: Mapping[str, Callable[[], str]] = {
            "models": lambda: self.models,
            "knowledge": self._knowledge,
            "disk": self._disk,
        }

    def drain(self) -> None:
        """From now on it is not ready: the server is about to stop."""
        self._draining = True

    def look(self) -> Health:
        """What is wrong now, or was a second ago."""
        if self._draining:
            return Health({"server": "shutting down"})
        with self._asking:
            known, now = self._known, time.monotonic()
            if known is None or now - known[0] > _KEPT_SECONDS:
                found = {name: check() for name, check in self._checks.items()}
                known = now, Health(found | {"database": self._database()})
                self._known = known
            # What a warm-up says costs nothing to look at.
            return Health({**known[1].checks, "models": self.models})

    def too_slow(self) -> Health:
        """What to say where `look` has not ended after SLOW_SECONDS."""
        return Health({"database": f"no answer within {SLOW_SECONDS:.0f} seconds"})

    @property
    def free_bytes(self) -> int:
        """Free space where the home lies. Raises OSError."""
        return shutil.disk_usage(self.settings.home).free

    def _knowledge(self) -> str:
        try:
            name = self.versions.current()
            self.versions.folder_of(name)
        except KnowledgeError as error:
            return str(error)
        return ""

    def _disk(self) -> str:
        try:
            free = self.free_bytes
        except OSError as error:
            return f"the home cannot be looked at: {error.strerror}"
        least = self.settings.health.least_free_bytes
        return "" if free >= least else f"{free:,} bytes are free, and {least:,} are needed"

    def _database(self) -> str:
        try:
            with self.store.readers.connect() as connection:
                connection.execute(text("SELECT 1"))
        except StoreError as error:
            return str(error)
        except SQLAlchemyError:
            return "the database cannot be asked; the log says why"
        return ""
