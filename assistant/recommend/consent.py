"""Whether a customer's purchases may be used to recommend things to them."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from assistant.errors import StoreError

FILE = "recommend-consent.json"  # in the home


class Consent(Protocol):
    """Who agreed to it."""

    def allows(self, customer_id: str) -> bool:
        """Whether the customer's purchases may be used."""
        ...

    def decide(self, customer_id: str, allowed: bool) -> None:
        """Keep what the customer said. Raises StoreError."""
        ...


class ConsentFile:
    """What customers said, in a JSON file; `unasked` holds for those who said nothing: False, and
    purchases are used only with consent, True, and until somebody opts out."""

    def __init__(self, path: Path, *, unasked: bool = False) -> None:
        self._path, self._unasked = path, unasked
        self._writing = threading.Lock()

    def allows(self, customer_id: str) -> bool:
        """See Consent; a file that cannot be read allows nothing."""
        try:
            return self._read().get(customer_id, self._unasked)
        except StoreError:
            return False

    def decide(self, customer_id: str, allowed: bool) -> None:
        """See Consent."""
        with self._writing, self._alone():
            said = self._read() | {customer_id: allowed}
            partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.partial")
            try:
                partial.write_text(json.dumps(said, sort_keys=True), encoding="utf-8")
                partial.replace(self._path)
            except OSError as error:
                raise StoreError(f"{self._path} cannot be written: {error}") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from writing meanwhile. Raises StoreError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = self._path.with_suffix(".lock").open("w")
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, bool]:
        if not self._path.is_file():
            return {}
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{self._path} cannot be read: {error}") from error
        if not isinstance(said, dict) or not all(isinstance(v, bool) for v in said.values()):
            raise StoreError(f"{self._path} is no object of true and false by customer")
        return said
