"""A backup of a home that answers, and of one that is large."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assistant.backup import back_up
from assistant.build import build_service
from assistant.restoring import restore
from assistant.settings import Settings
from knowledge.build import open_refresher
from knowledge.inspection.inspector import Uninspected
from knowledge.types import silent

pytestmark = pytest.mark.slow
PASSPHRASE = "correct horse battery staple"
PAGES = {
    "returns": "You can return an unused item within 30 days of delivery. Bring the receipt.",
    "delivery": "Express delivery in the UK costs 7.50 pounds and takes one working day.",
    "vouchers": "A promo code is entered in the basket, below the list of items.",
}
QUESTIONS = ("How long do I have to return something?", "What does express delivery cost?")


def settings_of(home: Path, engines: Path) -> Settings:
    """Settings of a home that shares the developer's exported engines."""
    home.mkdir(exist_ok=True)
    (home / "engines").symlink_to(engines)
    return Settings(home=home)


def replies(settings: Settings) -> list[dict[str, Any]]:
    """What a home answers, without what the clock says."""
    service, found = build_service(settings), []
    for question in QUESTIONS:
        said = service.send(service.start("en").id, question)
        assert said
        assert said.reply
        timeless = {k: v for k, v in said.reply.items() if k != "latency_ms"}
        trace = {k: v for k, v in timeless["trace"].items() if not k.endswith("_ms")}
        found.append(timeless | {"trace": trace})
    service.conversations.close()
    return found


def test_a_restored_home_answers_the_same_questions_with_the_same_replies(
    tmp_path: Path, engines: Path
) -> None:
    source, settings = tmp_path / "pages.jsonl", settings_of(tmp_path / "home", engines)
    rows = [{"id": k, "title": k, "text": t, "language": "en"} for k, t in PAGES.items()]
    source.write_text("\n".join(map(json.dumps, rows)))
    open_refresher(
        settings.home, engines, settings.knowledge, silent, inspector=Uninspected()
    ).refresh([source])
    before = replies(settings)
    assert [r["outcome"] for r in before] == ["answer", "answer"]
    back_up(settings, tmp_path / "b", PASSPHRASE, tmp_path / "none.toml", {})
    restore(tmp_path / "b", tmp_path / "new", PASSPHRASE)
    assert replies(settings_of(tmp_path / "new", engines)) == before


def test_memory_does_not_grow_with_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with (home / "noise.bin").open("wb") as noise:
        for _ in range(400):
            noise.write(os.urandom(1_000_000))
    program = (
        "import sys, resource; from pathlib import Path; from assistant.settings import Settings\n"
        "from assistant.backup import back_up; from assistant.restoring import restore\n"
        "home, file, new, key = sys.argv[1:]\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "Path(home).mkdir(exist_ok=True)\n"
        "back_up(Settings(home=Path(home)), Path(file), key, Path('none'), {})\n"
        "restore(Path(file), Path(new), key); print(peak())"
    )
    peaks = []
    for name, folder in (("small", tmp_path / "empty"), ("large", home)):
        arguments = [str(folder), str(tmp_path / f"{name}.b"), str(tmp_path / name), PASSPHRASE]
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 64, peaks  # MB
