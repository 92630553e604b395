"""The model that knows one reply by heart, trained once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the whole session."""
    return tmp_path_factory.mktemp("lm")


@pytest.fixture(scope="session")
def data(work: Path) -> Path:
    """What it was trained on."""
    from tests.assistant.by_heart import dialogues

    return dialogues(work)


@pytest.fixture(scope="session")
def base(work: Path, data: Path) -> Path:
    """Its folder."""
    from tests.assistant import by_heart

    return by_heart.base(work, data)
