"""Uploaded documents: their names, their sizes, and the route that takes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from assistant.conversations import Conversations
from assistant.settings import Settings
from assistant.web.uploads import UploadError, Uploads, server_name
from tests.staffing import HOST, chat_service, keep, log_in, staff_app, staff_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return staff_settings(tmp_path / "home")


@pytest.fixture
def uploads(settings: Settings) -> Uploads:
    return Uploads(settings.home, 1000)


# Names and files.


@pytest.mark.parametrize(("given_name", "kept"), [
    ("Returns Policy (2026).md", "returns-policy-2026.md"),
    ("../../etc/passwd.txt", "passwd.txt"), ("C:\\docs\\faq.CSV", "faq.csv"),
    ("..\\..\\a.md", "a.md"), (".hidden.md", "hidden.md"), ("退货 政策.md", "退货-政策.md"),
    ("faq.jsonl.gz", "faq.jsonl.gz"), ("....md", "document.md"), ("/abs/olute.html", "olute.html"),
    ("a\u202egpj.md", "a-gpj.md"), ("<img src=x>.md", "img-src-x.md"),
    ("x" * 500 + ".md", "x" * 60 + ".md"),
])  # fmt: skip
def test_names_are_made_by_the_server(given_name: str, kept: str) -> None:
    assert server_name(given_name) == kept


@pytest.mark.parametrize("name", ["", "x", "a.exe", "a.md.exe", "a.zip", ".md/..", "a.md\x00.exe",
                                  "a.pdf\x00", "md", "a.gz", ".."])  # fmt: skip
def test_other_formats_are_refused(name: str) -> None:
    with pytest.raises(UploadError) as refused:
        server_name(name)
    assert refused.value.status == 415


@given(st.text(max_size=80), st.sampled_from([".md", ".TXT", ".csv.gz", ".html"]))
def test_no_name_leaves_the_folder(stem: str, kind: str) -> None:
    try:
        name = server_name(stem + kind)
    except UploadError:
        return
    assert Path("/base", name).parent == Path("/base")
    assert not name.startswith(".")
    assert name.isprintable()
    assert len(name.encode()) < 255


def test_a_file_with_the_same_name_replaces_the_earlier_one(uploads: Uploads) -> None:
    assert not keep(uploads, "FAQ.md", "first")
    assert keep(uploads, "faq.md", "second")
    assert [u.name for u in uploads.all()] == ["faq.md"]
    assert (uploads.folder / "faq.md").read_text() == "second"


@pytest.mark.parametrize(("text", "status"), [("x" * 1001, 413), ("", 422)])
def test_a_file_too_large_or_empty_leaves_nothing(uploads: Uploads, text: str, status: int) -> None:
    with pytest.raises(UploadError) as refused:
        keep(uploads, "a.md", text)
    assert refused.value.status == status
    assert list(uploads.folder.iterdir()) == []


def test_an_upload_cut_off_leaves_the_earlier_file(uploads: Uploads) -> None:
    keep(uploads, "a.md", "whole")

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    async def receive() -> None:
        await uploads.receive("a.md", broken())

    with pytest.raises(UploadError, match="No space left"):
        anyio.run(receive)
    assert [p.read_text() for p in uploads.folder.iterdir()] == ["whole"]


@pytest.mark.parametrize("name", ["../staff.json", "/etc/passwd", "", ".", "..", "b.md"])
def test_only_listed_documents_can_be_deleted(uploads: Uploads, name: str) -> None:
    keep(uploads, "a.md")
    assert not uploads.delete(name)
    assert uploads.delete("a.md")
    assert uploads.all() == ()


# The route.


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    knowledge = settings.knowledge.model_copy(update={"max_file_bytes": 2000})
    settings = settings.model_copy(update={"knowledge": knowledge})
    service = chat_service(settings)
    with pytest.MonkeyPatch.context() as monkeypatch:
        app = staff_app(settings, service, monkeypatch)
        yield TestClient(app, headers={"origin": HOST}, follow_redirects=False)
    service.conversations.close()


def test_an_upload_is_kept_and_written_down(client: TestClient, settings: Settings) -> None:
    assert log_in(client, "operator", name="Mina") == 303
    answer = client.put("/operator/uploads", params={"name": "FAQ.md"}, content=b"# FAQ")
    assert answer.status_code == 201
    assert answer.json() == {"name": "faq.md", "bytes": 5, "replaced": False}
    assert (settings.home / "documents" / "uploads" / "faq.md").read_bytes() == b"# FAQ"
    store = Conversations.in_home(settings.home)
    assert [(e["who"], e["what"], e["detail"]) for e in store.audit()] == [
        ("Mina", "upload", "faq.md"), ("Mina", "log_in", "mina"),
    ]  # fmt: skip
    store.close()


def chunks(total: int) -> Iterator[bytes]:
    for _ in range(total // 100):
        yield b"x" * 100


@pytest.mark.parametrize("body", [lambda: b"x" * 2001, lambda: chunks(2100)])
def test_a_large_upload_is_refused_whatever_its_length_says(
    client: TestClient, settings: Settings, body: Callable[[], Any]
) -> None:
    log_in(client, "operator")
    answer = client.put("/operator/uploads", params={"name": "a.md"}, content=body())
    assert answer.status_code == 413
    folder = settings.home / "documents" / "uploads"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_an_agent_cannot_upload(client: TestClient, settings: Settings) -> None:
    log_in(client, "agent")
    answer = client.put("/operator/uploads", params={"name": "a.md"}, content=b"x")
    assert answer.status_code == 403
    assert not (settings.home / "documents").exists()
