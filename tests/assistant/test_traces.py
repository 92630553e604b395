"""A person's traces are found in whatever form a file holds them, and nothing beside them."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest

from assistant import traces
from assistant.traces import Traces, long_enough
from tests.keeping import lines, unpacked

WORDS = 'Où est ma commande "MW-17" <b>d\'hier</b> ?\nElle devait arriver jeudi matin.'
PERSON = Traces(frozenset({"C-zebra-4711", "zelda@example.com", "12"}), long_enough([WORDS]))


@pytest.mark.parametrize(
    "text",
    [
        WORDS, json.dumps(WORDS), json.dumps(WORDS, ensure_ascii=False), html.escape(WORDS),
        " ".join(WORDS.split()), "from ZELDA@example.com.", "id=c-ZEBRA-4711;", "(C-zebra-4711)",
    ],
)  # fmt: skip
def test_words_and_names_are_found_in_every_form(text: str) -> None:
    assert PERSON.in_text(f"before {text} after")


@pytest.mark.parametrize(
    "text",
    ["griselda@example.com", "zelda@example.community", "C-zebra-47110", "12 of 12", "Où est ma"],
)
def test_what_only_looks_alike_is_not_found(text: str) -> None:
    assert not PERSON.in_text(f"before {text} after")


def test_short_words_are_not_looked_for_and_chinese_ones_are_long_sooner() -> None:
    chinese = "我上周买的水壶什么时候能够送到?"
    assert long_enough(["How do I return it?", "我的订单呢?", chinese]) == {chinese}


@pytest.mark.parametrize(
    ("row", "concerned"),
    [
        ({"id": "12"}, True), ({"customer_id": "12"}, True), ({"customer": 12}, True),
        ({"turns": [{"text": WORDS}]}, True), ({"n": 12, "text": "12"}, False), (None, False),
        ({"id": "x", "history": [{"customer_id": "C-zebra-4711"}]}, True),
    ],
)  # fmt: skip
def test_a_row_is_the_person_s_by_its_ids_or_its_words(row: object, concerned: bool) -> None:
    assert PERSON.in_row(row) is concerned


def test_a_trace_that_two_reads_share_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = lines(tmp_path / "x.txt", "x" * 90 + " zelda@example.com " + "x" * 90)
    for chunk in range(80, 130):
        monkeypatch.setattr(traces, "_CHUNK", chunk)
        assert PERSON.in_file(file), chunk


def test_a_log_that_was_put_aside_and_packed_loses_the_lines(tmp_path: Path) -> None:
    file = lines(tmp_path / "server.log.1.gz", "started", "GET zelda@example.com", "stopped")
    assert PERSON.drop_rows(file) == 1
    assert dict(unpacked(tmp_path)) == {str(file): b"started\nstopped\n"}


def test_a_file_that_holds_nothing_is_not_written(tmp_path: Path) -> None:
    file = lines(tmp_path / "x.jsonl", {"id": "y"})
    before = file.stat()
    assert (PERSON.drop_rows(file), PERSON.overwrite(file)) == (0, 0)
    assert file.stat().st_ino == before.st_ino
    assert list(tmp_path.iterdir()) == [file]


def test_json_stays_json_when_it_is_overwritten(tmp_path: Path) -> None:
    file = lines(tmp_path / "x.json", {"a": WORDS, "b": ["zelda@example.com", "kept"]})
    assert PERSON.overwrite(file) == 2
    assert json.loads(file.read_text())["b"][1] == "kept"
