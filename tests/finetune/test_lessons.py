"""Lessons in a file: what is read is what was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.errors import DataError
from finetune.examples import Example
from finetune.lessons import read_lessons, write_lessons
from finetune.prompt import Turn

LESSONS = [
    Example(("退货：30天。",), (), "多久？", "30天内 [1]。", "zh", quotes=("30天。",)),
    Example(
        ("a", "b"),
        (Turn("customer", "Hi"), Turn("agent", "Yes?")),
        "And?",
        "No\u2028yes\n[2].",
        "en",
        "x",
    ),
]


def test_lessons_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "new" / "lessons.jsonl.zst"
    write_lessons(file, LESSONS)
    assert read_lessons(file) == LESSONS


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    file.write_text('{"question": "?"}\n')
    with pytest.raises(DataError, match=r"other\.jsonl holds no lessons"):
        read_lessons(file)
    with pytest.raises(DataError, match=r"missing\.jsonl"):
        read_lessons(tmp_path / "missing.jsonl")
