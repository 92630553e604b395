"""`transformers serve`, started for real."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import engines
from tests.engines import started


@contextmanager
def transformers_serve(model: Path) -> Iterator[str]:
    """Serve a model folder; where its API begins. Skips where the extra is missing."""
    with (
        tempfile.TemporaryDirectory() as folder,
        started(lambda place: engines.transformers_serve(place, model), Path(folder)) as engine,
    ):
        yield f"{engine.url}/v1"
