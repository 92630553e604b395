"""What is measured of an encoder, with the real MiniLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.encoder_report import question_scores, read_pairs, translation_scores
from finetune.errors import DataError
from knowledge.encoder import Encoder
from tests.finetune.test_encoder import PAIRS, SHOP


def test_a_question_counts_where_its_passage_is_the_nearest(encoder: Encoder) -> None:
    found = question_scores(encoder, [SHOP])
    assert found["questions"] == 2
    assert found["recall@5"] == 1.0
    with pytest.raises(DataError, match="no question"):
        question_scores(encoder, [])


def test_translations_are_found_in_both_directions(encoder: Encoder) -> None:
    assert translation_scores(encoder, [(e, e) for _, e in PAIRS]) == {
        "pairs": 4, "to_english": 1.0, "from_english": 1.0,
    }  # fmt: skip


def test_pairs_are_read_and_rows_with_more_languages_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"en": "free", "zh": "免费", "source": "x"}')
    assert read_pairs(path) == [("免费", "free")]
    path.write_text('{"en": "free", "zh": "免费", "de": "frei"}')
    with pytest.raises(DataError, match="one other language"):
        read_pairs(path)
