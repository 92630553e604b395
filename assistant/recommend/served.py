"""The recommender that is promoted in a home: it follows a promotion without a restart."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from assistant.recommend.recommender import Recommender
from knowledge.errors import RecommenderError
from knowledge.recommend.artefact import Model
from knowledge.recommend.promoted import recommenders

log = logging.getLogger(__name__)


class ServedRecommender:
    """Of a home. One that is promoted or rolled back to is loaded beside the one that recommends,
    and takes its place; one that is damaged is logged, and changes nothing."""

    def __init__(self, home: Path, engines: Path, threads: int) -> None:
        self._promoted = recommenders(home)
        self._engines, self._threads = engines, threads
        self._moving = threading.Lock()
        self._folder: Path | None = None  # what is promoted, whether it could be loaded or not
        self._held: Recommender | None = None
        if folder := self._follow():
            self._load(folder)  # the first customer does not wait for it

    def current(self) -> Recommender | None:
        """The one to recommend by now, or None. What is promoted since is loaded meanwhile."""
        if folder := self._follow():
            threading.Thread(target=self._load, args=(folder,), daemon=True).start()
        return self._held

    def _follow(self) -> Path | None:
        """The folder to load, if another one is promoted than before."""
        try:
            folder = self._promoted.current()
        except RecommenderError as error:
            log.error("the recommender stays as it is: %s", error)
            return None
        with self._moving:
            if folder == self._folder:
                return None
            self._folder = folder
            if folder is None:
                self._held = None
            return folder

    def _load(self, folder: Path) -> None:
        try:
            made = Recommender(Model.load(folder, self._engines, self._threads))
        except RecommenderError as error:
            log.error("the recommender stays as it is: %s", error)
            return
        with self._moving:
            if folder == self._folder:  # and no other one was promoted meanwhile
                self._held = made
