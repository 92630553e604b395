"""Files that are damaged, mislabelled, or made to do harm: each is rejected with its reason."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from knowledge.extraction import Extractor, Limits
from knowledge.language import Detector
from knowledge.load import Loader

LAUGHS = '<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><w>&b;</w>'
LIMITS = Limits(file_bytes=5_000_000, seconds=20, memory_bytes=700_000_000)


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return packed.getvalue()


def pdf(password: str = "", image: bool = False) -> bytes:
    packed = io.BytesIO()
    canvas = Canvas(packed, encrypt=password or None)
    if image:
        canvas.drawImage(ImageReader(Image.new("RGB", (400, 400), "white")), 0, 0)
    else:
        canvas.drawString(70, 700, "Returns are free within fourteen days.")
    canvas.save()
    return packed.getvalue()


def word() -> bytes:
    packed = io.BytesIO()
    document = docx.Document()
    document.add_paragraph("Returns are free within fourteen days.")
    document.save(packed)
    return packed.getvalue()


def wide_sheet() -> bytes:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "a", "b"
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "bomb.docx": (lambda: zipped(word__document_xml=b"0" * 19_000_000), "unpacks to"),
    "many.docx": (lambda: zipped(**{f"m{n}": b"" for n in range(10_001)}), "unpacks to"),
    "laughs.docx": (lambda: zipped(word__document_xml=LAUGHS.encode()), "declares entities"),
    "laughs.xlsx": (lambda: zipped(xl__workbook_xml=LAUGHS.encode()), "declares entities"),
    "sitemap.xml": (lambda: LAUGHS.encode(), "declares entities"),
    "feed.xml": (lambda: b"<rss><loc>x</loc></rss>", "no sitemap"),
    "hollow.docx": (lambda: zipped(word__document_xml=b"<w/>"), "is damaged"),
    "cut.docx": (lambda: word()[:2000], "is damaged"),
    "cut.json": (lambda: b'{"text": ', "is damaged JSON"),
    "wide.xlsx": (wide_sheet, "spans more than"),
    "old.xlsx": (
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        "encrypted or in an old format",
    ),
    "sheet.docx": (lambda: zipped(xl__workbook_xml=b"<x/>"), "no .docx document"),
    "locked.pdf": (lambda: pdf(password="open sesame"), "is encrypted"),
    "scan.pdf": (lambda: pdf(image=True), "OCR"),
    "cut.pdf": (lambda: pdf()[:300], "damaged"),
    "photo.pdf": (lambda: b"\x89PNG" + b"\0" * 100, "is no PDF"),
    "page.txt": (lambda: b"<!DOCTYPE html><p>Hello</p>", "is HTML; name it .html"),
    "letter.txt": (pdf, "a PDF; name it .pdf"),
    "table.csv": (wide_sheet, "Office document"),
    "deep.json": (lambda: b"[" * 90_000 + b"]" * 90_000, "nested too deeply"),
    "numbers.json": (lambda: b'{"a": [1, 2]}', "no record with a `text`"),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_file_is_rejected_with_its_reason_and_the_rest_goes_in(
    tmp_path: Path, detector: Detector, name: str
) -> None:
    make, reason = HOSTILE[name]
    (tmp_path / name).write_bytes(make())
    (tmp_path / "good.docx").write_bytes(word())
    loaded = Loader(detector, LIMITS).load([tmp_path])
    assert [d.id for d in loaded.documents] == ["good"]
    ((source, said),) = [(Path(r.source).name, r.reason) for r in loaded.rejected]
    assert source == name
    assert reason in said


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    secret = tmp_path / "secret.txt"
    secret.write_text("The alarm code is 4711.")
    (folder / "real.txt").write_text("Returns are free within fourteen days.")
    (folder / "inside.txt").symlink_to(folder / "real.txt")
    (folder / "outside.txt").symlink_to(secret)
    loaded = Loader(Detector(), LIMITS).load([folder])
    assert [d.text for d in loaded.documents] == ["Returns are free within fourteen days."]
    (rejection,) = loaded.rejected
    assert "link out of its folder" in rejection.reason


def test_a_file_that_needs_too_much_memory_is_rejected_and_the_next_is_read(tmp_path: Path) -> None:
    (tmp_path / "big.json").write_text("[" + "[]," * 8_000_000 + "[]]")
    (tmp_path / "good.txt").write_text("Returns are free.")
    limits = Limits(memory_bytes=300_000_000)
    with Extractor(limits) as extractor:
        with pytest.raises(ValueError, match=r"too much memory|brought down"):
            extractor.rows(tmp_path / "big.json", "big")
        assert extractor.rows(tmp_path / "good.txt", "good")[0]["text"] == "Returns are free."


def test_a_file_that_takes_too_long_is_stopped_and_the_next_is_read(tmp_path: Path) -> None:
    (tmp_path / "slow.json").write_text(json.dumps([{"text": "word " * 50}] * 150_000))
    (tmp_path / "good.txt").write_text("Returns are free.")
    with Extractor(Limits(seconds=0.6)) as extractor:
        with pytest.raises(ValueError, match=r"longer than 0\.6 s"):
            extractor.rows(tmp_path / "slow.json", "slow")
        assert extractor.rows(tmp_path / "good.txt", "good")


def test_a_reader_that_is_brought_down_costs_one_file(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("Returns are free.")
    with Extractor(Limits()) as extractor:
        extractor.rows(tmp_path / "good.txt", "good")
        assert extractor._child
        extractor._child.kill()
        with pytest.raises(ValueError, match="brought down"):
            extractor.rows(tmp_path / "good.txt", "good")
        assert extractor.rows(tmp_path / "good.txt", "good")


def test_the_reader_sees_no_secret_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRONTDESK_SECRET", "hunter2")
    (tmp_path / "good.txt").write_text("Returns are free.")
    with Extractor(Limits()) as extractor:
        extractor.rows(tmp_path / "good.txt", "good")
        assert extractor._child
        environment = Path(f"/proc/{extractor._child.pid}/environ").read_bytes()
    assert b"hunter2" not in environment


@pytest.mark.parametrize("suffix", [".pdf", ".docx"])
def test_flipped_bytes_never_bring_down_the_refresh(
    tmp_path: Path, detector: Detector, suffix: str
) -> None:
    rng = random.Random(5)
    whole = pdf() if suffix == ".pdf" else word()
    for number in range(40):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 8, 60))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / f"{number}{suffix}").write_bytes(damaged)
    loaded = Loader(detector, LIMITS).load([tmp_path])
    assert len(loaded.documents) + len(loaded.rejected) == 40
    assert loaded.rejected
