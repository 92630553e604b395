"""How long conversations are kept: what is over its time goes, once a day while the server runs, or
with `python -m assistant retain`. The audit log counts what went, and tells nothing of it.

A clock that is wrong must not cost what it is about. So the server's sweep deletes only where it
has looked about a day before by the same clock; after a jump, a first start or days switched off it
notes the time (`retention.json` in the home), says so, and waits for a day.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, and_, exists, false, or_, select

from assistant import tables
from assistant.conversations import Conversations
from assistant.database import settle
from assistant.removal import blank_conversations, remove_conversations
from assistant.settings import Settings
from assistant.store_settings import StoreSettings

log = logging.getLogger(__name__)

FILE = "retention.json"  # in the home
DAY_SECONDS = 86_400.0
_LONGEST_GAP_SECONDS = 2 * DAY_SECONDS  # between two sweeps whose clock is believed
_LOOK_EVERY_SECONDS = 600.0
_BATCH = 200  # conversations a transaction: others may write between two


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows went with whole conversations, and how many lost their words, by table."""

    removed: dict[str, int] = field(default_factory=dict)
    blanked: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.removed or self.blanked)


def sweep(
    store: Conversations, kept: StoreSettings, now: float, who: str, dry: bool = False
) -> Swept:
    """Remove what is over its time, and count it in the audit log under `who`; `dry` does all of it
    and takes it back, so that the counts are those of a sweep. Raises StoreError."""
    removed = _change(store, _over(kept.conversations_days, now), remove_conversations, dry)
    blanked = _change(store, _wordy(kept, now), blank_conversations, dry)
    swept = Swept(dict(removed), dict(blanked))
    if swept and not dry:
        store.log(who, "retain", json.dumps(asdict(swept)))
        settle(store.engine)
    return swept


def _over(days: float | None, now: float) -> ColumnElement[bool]:
    """Of conversations: last used before so many days."""
    return false() if days is None else tables.conversations.c.updated < now - days * DAY_SECONDS


def _wordy(kept: StoreSettings, now: float) -> ColumnElement[bool]:
    """Of conversations: they still hold words whose time is over, and stay themselves."""
    columns, messages = tables.conversations.c, tables.messages.c
    said = exists().where(messages.conversation_id == columns.id, messages.text != "")
    whole = ~_over(kept.conversations_days, now)
    return and_(_over(kept.words_days, now), whole, or_(said, columns.customer_id.is_not(None)))


def _change(
    store: Conversations,
    which: ColumnElement[bool],
    change: Callable[[Connection, Sequence[str]], Counter[str]],
    dry: bool,
) -> Counter[str]:
    """Change these conversations, a few at a time: one that is used meanwhile is none of them."""
    changed: Counter[str] = Counter()
    columns, last = tables.conversations.c, ""
    while True:
        query = select(columns.id).where(which, columns.id > last).order_by(columns.id)
        with store.engine.connect() as connection:
            ids = connection.execute(query.limit(_BATCH)).scalars().all()
            if not ids:
                return changed
            changed += change(connection, ids)
            connection.rollback() if dry else connection.commit()
        last = ids[-1]


class RetentionWatch:
    """Sweeps once a day in a thread of its own."""

    def __init__(self, store: Conversations, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self._over = threading.Event()

    def start(self) -> None:
        """Begin, if anything is to be deleted some day."""
        kept = self.settings.store
        if kept.words_days is not None or kept.conversations_days is not None:
            threading.Thread(target=self._run, name="retention", daemon=True).start()

    def close(self) -> None:
        """Sweep no more."""
        self._over.set()

    def look(self, now: float) -> Swept | None:
        """Sweep when a day has passed; None where it is not time, or the clock is not believed."""
        last = _read(self.settings.home)
        if last is not None and 0 <= now - last < DAY_SECONDS:
            return None
        if last is None or not 0 <= now - last <= _LONGEST_GAP_SECONDS:
            _write(self.settings.home, now)
            log.warning("conversations over their time go from tomorrow on, if it is %s", _day(now))
            return None
        swept = sweep(self.store, self.settings.store, now, "retention")
        _write(self.settings.home, now)
        return swept

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.look(time.time())
            except Exception:  # the next look may succeed
                log.exception("conversations over their time could not be deleted")
            self._over.wait(_LOOK_EVERY_SECONDS)


def _day(now: float) -> str:
    return time.strftime("%d %B %Y", time.gmtime(now))


def _read(home: Path) -> float | None:
    try:
        return float(json.loads((home / FILE).read_text("utf-8"))["looked"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(home: Path, now: float) -> None:
    partial = home / f"{FILE}.{os.getpid()}.partial"
    partial.write_text(json.dumps({"looked": now}), encoding="utf-8")
    partial.replace(home / FILE)
