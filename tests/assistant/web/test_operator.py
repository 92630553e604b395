"""The operators' page: uploads, what would change, publish and undo."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.conversations import Conversations
from assistant.gaps import Gap
from assistant.settings import Settings
from assistant.web.auth import Sessions
from assistant.web.publishing import Publisher
from assistant.web.room.documents import (
    DocumentsPanel,
    HistoryPanel,
    PublishingPanel,
    UploadsPanel,
)
from assistant.web.room.gaps import GapsPanel
from assistant.web.room.page import RoomPage, Screen
from assistant.web.uploads import Uploads
from tests.staffing import cookies, keep, staff_settings

# Stands in for `python -m knowledge`: a document is a file and its one passage.
STUB = """
import json, pathlib, sys, time
args = sys.argv[1:]
options, rest = args[1 : args.index("--")], args[args.index("--") + 1 :]
home = pathlib.Path(options[options.index("--home") + 1])
if (home / "fail").exists():
    print("warming up", file=sys.stderr)
    sys.exit("error: the disk is full; make room")
while (home / "wait").exists():
    time.sleep(0.01)
root = home / "knowledge"
current = (root / "current").read_text() if (root / "current").exists() else ""
if args[0] == "publish":
    (root / "versions" / rest[0] / "prepared").unlink()
    (root / "current").write_text(rest[0])
    print(json.dumps({"version": rest[0]}))
    sys.exit()
assert "--prepare" in options
manifest = root / "versions" / current / "manifest.json"
before = json.loads(manifest.read_text())["held"] if current else {}
files = [p for s in map(pathlib.Path, rest) for p in (s.iterdir() if s.is_dir() else [s])]
held = {p.stem: p.read_text() for p in reversed(sorted(files))}
changes = [["added", i] for i in held if i not in before]
changes += [["changed", i] for i in held if i in before and held[i] != before[i]]
changes += [["removed", i] for i in before if i not in held]
name = f"v{time.time_ns()}" if changes else current
report = {"version": name, "unchanged": 0, "passages": len(held),
          "rejected": [{"source": "/x/<b>.csv", "reason": "<i>no text</i>"}], "findings": [
          {"kind": "injected", "severity": "blocking", "sources": [],
           "detail": "<u>orders</u>", "passages": ["a#0"], "quotes": []},
          {"kind": "contradiction", "severity": "warning", "sources": [], "detail": "",
           "passages": ["a#0", "b#0"], "quotes": ["<i>14 days", "30 days"]}],
          "answers": [{"question": "<s>Is it free?", "verdict": "worse",
          "before": {"outcome": "answer", "text": "<q>yes", "cites": ["a"]},
          "after": {"outcome": "refuse", "text": "no idea", "cites": []}}] if before else [],
          "seconds": 0.1, "published": not changes, "changes": changes,
          **{k: sum(c[0] == k for c in changes) for k in ("added", "changed", "removed")}}
if changes:
    folder = root / "versions" / name
    folder.mkdir(parents=True)
    rows = [{"id": i, "title": i, "text": t, "language": "en", "source": "x"} for i, t in held.items()]
    (folder / "documents.jsonl").write_text("".join(json.dumps(r) + "\\n" for r in rows))
    (folder / "chunks.jsonl").write_text("".join(json.dumps({"id": r["id"] + "#0",
        "document_id": r["id"], "title_path": [r["id"]], "text": r["text"], "language": "en",
        "source": "x"}) + "\\n" for r in rows))
    (folder / "prepared").write_text(current)
    (folder / "manifest.json").write_text(json.dumps({"created": "2026-11-23T10:00:00+00:00",
        "documents": len(held), "passages": len(held), "changes": changes, "held": held,
        "sources": rest}))
print(json.dumps(report))
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return staff_settings(tmp_path / "home")


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    script = tmp_path / "stub.py"
    script.write_text(STUB)
    return [sys.executable, str(script)]


@pytest.fixture
def audit(settings: Settings) -> Iterator[Conversations]:
    store = Conversations.in_home(settings.home)
    yield store
    store.close()


@pytest.fixture
def uploads(settings: Settings) -> Uploads:
    return Uploads(settings.home, 1000)


@pytest.fixture
def publisher(
    settings: Settings, uploads: Uploads, audit: Conversations, command: list[str]
) -> Publisher:
    return Publisher(settings, uploads, audit, command)


def finish(publisher: Publisher) -> None:
    deadline = time.monotonic() + 20
    while publisher.last and publisher.last.running:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def do(publisher: Publisher, kind: Any, who: str = "Mina") -> None:
    if kind == "publish" and not publisher.reviewed():
        do(publisher, "preview", who)
    assert publisher.start(kind, who)
    finish(publisher)


# Publishing.


def test_a_comparison_changes_nothing_and_publishing_does(
    publisher: Publisher, uploads: Uploads
) -> None:
    keep(uploads, "a.md", "one")
    do(publisher, "preview")
    assert publisher.last
    assert publisher.last.report
    assert publisher.last.report["changes"] == [["added", "a"]]
    assert publisher.history() == []
    do(publisher, "publish")
    (version,) = publisher.history()
    assert (version.who, version.current, version.added) == ("Mina", True, 1)


def test_only_what_was_looked_at_can_be_published(publisher: Publisher, uploads: Uploads) -> None:
    assert not publisher.reviewed()
    keep(uploads, "a.md", "one")
    do(publisher, "preview")
    assert publisher.reviewed()
    keep(uploads, "b.md", "two")
    assert not publisher.reviewed(), "another document has come"
    do(publisher, "preview")
    do(publisher, "publish")
    assert not publisher.reviewed()
    do(publisher, "preview")
    assert not publisher.reviewed(), "nothing would change"


def test_undo_goes_back_and_publishing_forward_again(
    publisher: Publisher, uploads: Uploads, audit: Conversations
) -> None:
    keep(uploads, "a.md", "one")
    do(publisher, "publish")
    first = publisher.basis().version
    keep(uploads, "a.md", "two")
    do(publisher, "publish")
    assert publisher.before() == first
    assert publisher.undo("Mina") == first
    assert [v.current for v in publisher.history()] == [False, True]
    assert publisher.before() == ""
    assert audit.audit()[0]["what"] == "undo"
    do(publisher, "preview")
    assert publisher.reviewed()


def test_sources_of_the_published_version_stay_and_uploads_go_first(
    publisher: Publisher, uploads: Uploads, tmp_path: Path
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("one")
    version = publisher.versions.folder / "v1"
    version.mkdir(parents=True)
    manifest = {"sources": [str(folder), str(uploads.folder)], "held": {}}
    (version / "manifest.json").write_text(json.dumps(manifest))
    publisher.versions.publish("v1")
    assert publisher.sources() == [folder]
    keep(uploads, "b.md")
    assert publisher.sources() == [uploads.folder, folder]


def test_a_failure_is_told_in_one_line_and_the_version_stays(
    publisher: Publisher, uploads: Uploads, settings: Settings
) -> None:
    keep(uploads, "a.md")
    do(publisher, "preview")
    (settings.home / "fail").touch()
    do(publisher, "publish")
    assert publisher.last
    assert publisher.last.error == "the disk is full; make room"
    assert publisher.basis().version == ""


def test_without_documents_the_page_says_so(publisher: Publisher) -> None:
    do(publisher, "preview")
    assert publisher.last
    assert "upload one first" in publisher.last.error


def test_one_run_at_a_time(publisher: Publisher, uploads: Uploads, settings: Settings) -> None:
    keep(uploads, "a.md")
    (settings.home / "wait").touch()
    assert publisher.start("publish", "Mina")
    assert not publisher.start("preview", "Otto")
    (settings.home / "wait").unlink()
    finish(publisher)
    assert publisher.start("preview", "Otto")
    finish(publisher)


def test_a_refresh_gets_the_settings_of_the_served_knowledge_base(
    uploads: Uploads, audit: Conversations, settings: Settings
) -> None:
    code = "import os; print('{\"n\": ' + os.environ['FRONTDESK_KNOWLEDGE__CANDIDATES'] + '}')"
    knowledge = settings.knowledge.model_copy(update={"candidates": 17})
    changed = settings.model_copy(update={"knowledge": knowledge})
    publisher = Publisher(changed, uploads, audit, [sys.executable, "-c", code])
    keep(uploads, "a.md")
    do(publisher, "preview")
    assert publisher.last
    assert publisher.last.report == {"n": 17}


GAP = Gap("Ferries?", ("Ferries?", "<b>Boats?"), ("c1", "c2"), ("At the harbour.",), 1.0)


class Operator:
    """An operator in front of the page."""

    def __init__(self, page: RoomPage, publisher: Publisher) -> None:
        self.page, self.publisher = page, publisher
        self.request: Any = SimpleNamespace(cookies=cookies(page.sessions, "Mina"))
        self.seen: Any = None

        self.room = ""
        self.shown: Screen = {}

    def open(self) -> Screen:
        return self._keep(self.page.open(self.room, self.request))

    def poll(self) -> Screen:
        return self._keep(self.page.poll(self.room, self.seen, self.request))

    def act(self, **detail: object) -> Screen:
        event: Any = SimpleNamespace(_data=detail)
        self._keep(self.page.act(event, self.room, self.seen, self.request))
        return self.shown

    def _keep(self, screen: Screen) -> Screen:
        self.seen, self.room = screen.get("seen", self.seen), screen.get("room", self.room)
        self.shown = self.shown | screen
        return screen


@pytest.fixture
def mina(
    uploads: Uploads, publisher: Publisher, audit: Conversations, sessions: Sessions
) -> Operator:
    panels = [
        UploadsPanel(uploads),
        DocumentsPanel(uploads, audit),
        PublishingPanel(publisher),
        HistoryPanel(publisher, audit),
        GapsPanel(lambda: [GAP]),
    ]
    return Operator(RoomPage(panels, sessions, "operator", "operator_title"), publisher)


def test_the_way_from_an_upload_to_undo(mina: Operator, uploads: Uploads) -> None:
    keep(uploads, "a.md", "one")
    assert "a.md" in mina.poll()["documents"]
    assert "Comparing" in mina.act(act="preview")["publishing"]
    finish(mina.publisher)
    screen = mina.poll()
    assert "added" in screen["publishing"]
    assert "held back" in screen["publishing"]
    assert "Publishing" in mina.act(act="publish")["publishing"]
    finish(mina.publisher)
    assert "Published as version" in mina.poll()["publishing"]
    assert "Mina" in mina.act(act="look")["history"]
    keep(uploads, "b.md")
    for step in ("preview", "publish"):
        mina.act(act=step)
        finish(mina.publisher)
    assert "is in use again" in mina.act(act="undo")["notice"]
    assert mina.poll() == {}, "no news"


def test_the_words_that_change_and_the_answers_are_shown(mina: Operator, uploads: Uploads) -> None:
    keep(uploads, "a.md", "Boots: 14 days.")
    do(mina.publisher, "publish")
    keep(uploads, "a.md", "Boots: 21 days.")
    do(mina.publisher, "preview")
    html = mina.act(act="look")["publishing"]
    assert "Boots: <del>14</del><ins>21</ins> days." in html
    assert "&lt;s&gt;Is it free?" in html
    assert "worse" in html
    assert "<q>" not in html


def test_publishing_unseen_changes_is_refused(mina: Operator, uploads: Uploads) -> None:
    keep(uploads, "a.md")
    assert "Look at what would change first" in mina.act(act="publish")["notice"]
    assert mina.publisher.last is None


def test_deleting_is_told_and_written_down(mina: Operator, uploads: Uploads) -> None:
    keep(uploads, "a.md")
    assert "a.md is deleted here" in mina.act(act="delete", name="a.md")["notice"]
    assert "no longer there" in mina.act(act="delete", name="a.md")["notice"]
    assert "deleted" in mina.act(act="look")["history"]


def test_undo_without_an_earlier_version_says_why(mina: Operator) -> None:
    assert "did not work" in mina.act(act="undo")["notice"]


@pytest.mark.parametrize("detail", [{}, {"act": "delete"}, {"act": "delete", "name": 3}])
def test_odd_events_change_nothing(mina: Operator, detail: dict[str, object]) -> None:
    mina.act(**detail)
    assert mina.publisher.last is None


def test_reports_and_names_are_escaped(
    mina: Operator, uploads: Uploads, audit: Conversations
) -> None:
    keep(uploads, "a.md")
    (uploads.folder / "<img src=x onerror=alert(1)>.md").write_text("put here by hand")
    audit.log("<script>", "upload", "<b>x</b>")
    mina.act(act="preview")
    finish(mina.publisher)
    html = "".join(part for part in mina.act(act="look").values() if isinstance(part, str))
    for attack in ("<b>x", "<i>no", "<u>orders", "<img", "<script"):
        assert attack not in html


def test_agents_actions_are_not_the_operators_business(
    mina: Operator, audit: Conversations
) -> None:
    audit.log("Ada", "take_over", "conversation-1")
    assert "conversation-1" not in mina.act(act="look")["history"]


def test_what_was_asked_in_vain_is_shown_on_demand_in_its_room(mina: Operator) -> None:
    assert mina.open()["gaps"] == "", "another room is open"
    assert "Ferries" not in mina.act(act="room", name="answers")["gaps"]
    assert mina.shown["publishing"] == ""
    html = mina.act(act="gaps")["gaps"]
    assert "2×" in html
    assert "&lt;b&gt;Boats?" in html
    assert "# Ferries?\n\nAt the harbour." in html
    assert "Ferries" in mina.open()["gaps"], "the page comes back to the same room"


def test_a_room_that_does_not_exist_is_the_first_one(mina: Operator) -> None:
    for odd in ("attic", 3, None):
        assert mina.page.open(odd, mina.request)["room"] == "documents"


def test_both_sides_of_a_contradiction_are_shown(mina: Operator, uploads: Uploads) -> None:
    keep(uploads, "a.md")
    do(mina.publisher, "preview")
    html = mina.act(act="look")["publishing"]
    assert '<blockquote dir="auto">&lt;i&gt;14 days</blockquote><figcaption>a#0' in html
    assert '<blockquote dir="auto">30 days</blockquote><figcaption>b#0' in html
    assert html.count('data-act="allow"') == 1


def test_a_passage_held_back_is_let_in_with_a_reason(
    mina: Operator, uploads: Uploads, audit: Conversations
) -> None:
    keep(uploads, "a.md")
    do(mina.publisher, "preview")
    assert 'data-name="a#0"' in mina.act(act="look")["publishing"]
    html = mina.act(act="allow", name="a#0", value="an example")["notice"]
    assert "no passage" in html
    root = mina.publisher.versions.root
    (root / "quarantine.jsonl").write_text('{"passage": "a#0", "key": "k", "detail": "d"}\n')
    assert (
        "a#0 goes in with the next version"
        in mina.act(act="allow", name="a#0", value="an example")["notice"]
    )
    assert audit.audit()[0]["detail"] == "a#0: an example"
    assert not mina.publisher.reviewed(), "the comparison is made again"
