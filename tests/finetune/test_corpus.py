"""Rows of every kind become training texts; what is left out or held back stays out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.corpus import grounded_example, read_corpus
from finetune.errors import DataError

GROUNDED = {
    "passages": ["Returns\nBack within 30 days.", "Repairs\nA week."],
    "question": "How long may I return it?",
    "answer": "Back within 30 days.",
    "passage": 0,
    "span": [8, 28],
    "source": "faq:a/docs",
}


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n")
    return path


def test_each_kind_of_row_is_rendered_with_the_templates_markers(tmp_path: Path) -> None:
    path = written(
        tmp_path / "rows.jsonl",
        {"text": "Boots come back.", "title": "Returns", "source": "a/docs"},
        {"turns": [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Hello"}]},
        GROUNDED,
        {"en": "Free returns", "zh": "免费退货", "source": "ui"},
    )
    document, dialogue, answer, pair = read_corpus([path]).train
    assert document == "Returns\nBoots come back.<|end|>"
    assert dialogue == "<|customer|>Hi<|end|>\n<|agent|>Hello<|end|>\n"
    assert answer.startswith("<|passage|>[1] Returns: Back within 30 days.\n<|passage|>[2]")
    assert answer.endswith("<|agent|>Back within 30 days [1].<|end|>")
    assert set(pair.removesuffix("<|end|>").split("\n")) == {"Free returns", "免费退货"}


def test_an_answer_in_own_words_cites_nothing_and_turns_become_history() -> None:
    turns = [{"role": r, "text": t} for r, t in (("user", "a"), ("assistant", "b"), ("user", "c"))]
    record = {k: v for k, v in GROUNDED.items() if k != "question"} | {"turns": turns, "span": None}
    example = grounded_example(record)
    assert (example.question, [t.role for t in example.history]) == ("c", ["customer", "agent"])
    assert example.reply == "Back within 30 days."


def test_sources_named_are_left_out_whatever_their_case(tmp_path: Path) -> None:
    rows = ({"text": "a", "source": "thu-coai/CrossWOZ"}, {"text": "b", "source": "other"})
    path = written(tmp_path / "rows.jsonl", *rows)
    assert read_corpus([path], leave_out=["crosswoz"]).train == ("b<|end|>",)


def test_the_same_texts_are_held_back_beside_other_files(tmp_path: Path) -> None:
    one = written(tmp_path / "one.jsonl", *({"text": f"text {n}"} for n in range(400)))
    two = written(tmp_path / "two.jsonl", *({"text": f"other {n}"} for n in range(100)))
    alone, beside = read_corpus([one], (), 0.1), read_corpus([two, one], (), 0.1)
    assert 15 < len(alone.held_out) < 80
    assert set(alone.held_out) <= set(beside.held_out)
    assert not set(alone.train) & set(alone.held_out)


def test_a_folder_of_files_is_read_and_a_bad_row_names_its_file(tmp_path: Path) -> None:
    written(tmp_path / "b.jsonl", {"text": "b"})
    written(tmp_path / "a.jsonl", {"text": "a"})
    assert read_corpus([tmp_path]).train == ("a<|end|>", "b<|end|>")
    for row in ({"neither": "text"}, {"en": "alone"}, {"text": "half \ud83d"}, {"text": None}):
        (tmp_path / "c.jsonl").write_text(json.dumps(row))
        with pytest.raises(DataError, match=r"c\.jsonl"):
            read_corpus([tmp_path])
