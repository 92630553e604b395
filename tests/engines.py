"""Real servers of other engines for tests; a test is skipped where one is not installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from benchmarks import engines
from benchmarks.engines import Engine, MissingEngine


@contextmanager
def started(make: Callable[[Path], Engine], folder: Path) -> Iterator[Engine]:
    """An engine over a folder."""
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(engines.running(make(folder)))
        except MissingEngine as error:
            pytest.skip(str(error))
        yield engine


@contextmanager
def postgres() -> Iterator[Engine]:
    """A PostgreSQL server."""
    pytest.importorskip("psycopg")
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(engines.postgres())
        except MissingEngine as error:
            pytest.skip(str(error))
        yield engine
