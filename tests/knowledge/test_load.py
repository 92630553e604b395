import gzip
import json
from datetime import date
from pathlib import Path

import pytest
import zstandard

from knowledge.errors import SourceError
from knowledge.extraction import Limits
from knowledge.language import Detector
from knowledge.load import Loader

TEXT = "Parcels within Germany arrive in three to five working days."


@pytest.fixture
def loader(detector: Detector) -> Loader:
    return Loader(detector, Limits(file_bytes=10_000))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_front_matter_of_markdown_becomes_fields(loader: Loader, tmp_path: Path):
    text = f"---\nid: ship\ntitle: Shipping\nlanguage: de\naudience: members\nvalid_from: 2026-01-02\n---\n# S\n{TEXT}"
    loaded = loader.load([write(tmp_path / "a.md", text)])
    (document,), rejected = loaded.documents, loaded.rejected
    assert (document.id, document.title, document.language) == ("ship", "Shipping", "de")
    assert (document.audience, document.valid_from, document.valid_until) == (
        "members",
        date(2026, 1, 2),
        None,
    )
    assert rejected == []


def test_markdown_without_front_matter_is_named_after_its_heading_and_file(loader, tmp_path):
    (document,) = loader.load([write(tmp_path / "shipping.md", f"# Delivery\n\n{TEXT}")]).documents
    assert (document.id, document.title, document.language) == ("shipping", "Delivery", "en")


def test_html_gives_its_main_text_and_title(loader, tmp_path):
    html = f"<html><head><title>Delivery</title><script>alert(1)</script></head><body><article><h1>Delivery</h1><p>{TEXT}</p><p>{TEXT.replace('Germany', 'Austria')}</p></article></body></html>"
    (document,) = loader.load([write(tmp_path / "d.html", html)]).documents
    assert document.title == "Delivery"
    assert TEXT in document.text
    assert "alert" not in document.text


def test_csv_rows_are_documents_and_question_answer_pairs_stay_whole(loader, tmp_path):
    csv = f'id,question,answer\nq1,How long?,"{TEXT}"\n'
    (document,) = loader.load([write(tmp_path / "faq.csv", csv)]).documents
    assert (document.id, document.title, document.text) == ("q1", "How long?", TEXT)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_json_lines_are_read_compressed_or_not(loader, tmp_path, suffix):
    raw = (json.dumps({"id": "a", "title": "A", "text": TEXT}) + "\n").encode()
    packed = {"gz": gzip.compress, "zst": zstandard.compress}.get(suffix.split(".")[-1], bytes)(raw)
    path = tmp_path / f"c{suffix}"
    path.write_bytes(packed)
    (document,) = loader.load([path]).documents
    assert (document.id, document.text) == ("a", TEXT)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("broken.csv", b'id,text\n"a,never closed\n', "unexpected end of data"),
        ("short.csv", b"id,title,text\na,b\n", "row 1 has not as many cells"),
        ("columns.csv", b"foo,bar\n1,2\n", "needs a column `text`"),
        ("bad.jsonl", b'{"id": "a", "text": "x"}\n{oops\n', "line 2"),
        ("array.jsonl", b"[1, 2]\n", "not a JSON object"),
        ("nul.txt", b"abc\x00def", "NUL"),
        ("latin1.txt", "Rückgabe".encode("latin-1"), "UTF-8"),
        ("empty.md", b"", "has no text"),
        ("big.txt", b"x" * 10_001, "larger than"),
        ("image.png", b"\x89PNG", "not supported"),
        ("date.md", b"---\nvalid_from: soon\n---\ntext here", "Invalid isoformat"),
        ("packed.jsonl.gz", b"not gzip at all", "gzip"),
    ],
)
def test_a_bad_file_is_rejected_with_a_reason_and_the_rest_goes_in(
    loader, tmp_path, name, content, reason
):
    (tmp_path / name).write_bytes(content)
    write(tmp_path / "good.txt", TEXT)
    loaded = loader.load([tmp_path])
    documents, rejected = loaded.documents, loaded.rejected
    assert [d.id for d in documents] == ["good"]
    assert reason in rejected[0].reason
    assert rejected[0].source.endswith(name)


def test_the_second_document_with_an_id_is_rejected(loader, tmp_path):
    write(tmp_path / "a.md", f"---\nid: same\n---\n{TEXT}")
    write(tmp_path / "b.md", "---\nid: same\n---\nOther text.")
    loaded = loader.load([tmp_path])
    documents, rejected = loaded.documents, loaded.rejected
    assert len(documents) == 1
    assert "already used by" in rejected[0].reason


def test_a_missing_source_says_so(loader, tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        loader.load([tmp_path / "nowhere"])
