"""Passages embedded by workers of Ray (the extra `ray`), on this machine or on a cluster.

Workers are given the very batches that one process would make, each with an encoder of its own, so
the vectors are the same. Ray starts a worker that died again and repeats what it had not finished;
after a few deaths the refresh fails, and the published version stays.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.encoder import Encoder, Vectors, load_encoder
from knowledge.engines import length_batches
from knowledge.errors import EncoderError
from knowledge.settings import KnowledgeSettings

log = logging.getLogger(__name__)
_MOST_DEATHS = 3  # of one worker
_AHEAD = 2  # steps under way beside the one that is waited for, so that no worker idles
# One step's texts, and for each of its batches the rows and where their vectors will be.
_Step = tuple[int, list[tuple[list[int], Any]]]


class RayEmbedding:
    """Embeds with `settings.embedding_workers` workers of `settings.threads` threads each.

    See Embedding. `encoder` is this process's own, of which theirs must be a copy; `engines` is
    where they find it exported.
    """

    def __init__(self, encoder: Encoder, engines: Path, settings: KnowledgeSettings) -> None:
        self.encoder = encoder
        self.engines = engines
        self.settings = settings

    def embed(self, steps: Iterable[Sequence[str]]) -> Iterator[Vectors]:
        """See Embedding. Ray is there from the first step to the last. Raises EncoderError when it
        is not installed, cannot be had, or loses a worker for good."""
        under_way: deque[_Step] = deque()
        with _ray(self.settings) as ray:
            workers = self._workers(ray)
            try:
                for step in steps:
                    under_way.append(_begin(step, workers))
                    if len(under_way) > _AHEAD:
                        yield self._finish(ray, under_way.popleft())
                while under_way:
                    yield self._finish(ray, under_way.popleft())
            except ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[-1]
                raise EncoderError(
                    f"the workers that embed were lost ({reason}); refresh again, or set"
                    " knowledge.embedding to process. What they had embedded is kept"
                ) from error

    def _workers(self, ray: Any) -> deque[Any]:
        """The workers, when each has its encoder. Raises EncoderError."""
        settings = self.settings
        worker = ray.remote(
            num_cpus=settings.threads, max_restarts=_MOST_DEATHS, max_task_retries=_MOST_DEATHS
        )(_Worker)
        folder = settings.encoder.resolve() if settings.encoder else None
        made = [
            worker.remote(folder, self.engines.resolve(), settings.threads)
            for _ in range(settings.embedding_workers)
        ]
        names = set(ray.get([one.name.remote() for one in made]))
        if names != {self.encoder.name}:
            raise EncoderError(
                f"workers embed with {', '.join(sorted(names))}, not with {self.encoder.name};"
                " install the same release on all machines of the cluster"
            )
        log.info("%d workers embed", len(made))
        return deque(made)

    def _finish(self, ray: Any, step: _Step) -> Vectors:
        count, batches = step
        vectors = np.empty((count, self.encoder.dimensions), dtype=np.float32)
        for rows, found in batches:
            vectors[rows] = ray.get(found)
        return vectors


class _Worker:
    """Has an encoder, in a process of its own."""

    def __init__(self, folder: Path | None, engines: Path, threads: int) -> None:
        self.encoder = load_encoder(folder, engines, threads, bulk=True)

    def name(self) -> str:
        """Which encoder it has."""
        return self.encoder.name

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One batch."""
        return self.encoder.embed(texts)


def _begin(texts: Sequence[str], workers: deque[Any]) -> _Step:
    """Hand the batches of a step out, the longest first, to the workers in turn."""
    batches = []
    for rows in reversed(length_batches([len(text) for text in texts])):
        batches.append((rows, workers[0].embed.remote([texts[row] for row in rows])))
        workers.rotate(-1)
    return len(texts), batches


@contextmanager
def _ray(settings: KnowledgeSettings) -> Iterator[Any]:
    """Ray, of the cluster that is named, or of this machine for as long as it is needed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    try:
        import ray
    except ImportError as error:
        raise EncoderError(
            'knowledge.embedding = "ray" needs Ray: pip install "frontdesk[ray]"'
        ) from error
    here = {"num_cpus": settings.embedding_workers * settings.threads, "include_dashboard": False}
    try:
        ray.init(
            address=settings.ray_address or "local",
            log_to_driver=False,
            configure_logging=False,
            **({} if settings.ray_address else here),
        )
    except Exception as error:  # whatever it makes of a cluster that is not there
        raise EncoderError(
            f"Ray cannot be had at {settings.ray_address or 'this machine'}: {error}"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
