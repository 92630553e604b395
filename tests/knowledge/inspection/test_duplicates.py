"""What tells documents that say the same from sister pages."""

import numpy as np
import pytest

from knowledge.inspection.duplicates import (
    FEATURES,
    DocumentText,
    Duplicates,
    features,
)
from knowledge.inspection.linear import LinearModel
from knowledge.types import Chunk, Document


def values(encoder, one: tuple[str, str], other: tuple[str, str]) -> dict[str, float]:
    """Features of two documents given as (title, text)."""
    documents = [Document("d", title, text, "en", "d.md") for title, text in (one, other)]
    a, b = (DocumentText.of(d, encoder.embed([d.text])[0]) for d in documents)
    return dict(zip(FEATURES, features(a, b), strict=True))


RETURNS = ("Returns", "You have 14 days to send shoes back. Keep the box. We pay the postage.")


@pytest.mark.parametrize(
    ("feature", "one", "other"),
    [
        ("quantities_either", RETURNS, ("Returns", RETURNS[1].replace("14", "30"))),
        ("turned", RETURNS, ("Returns", RETURNS[1].replace("We pay", "You pay"))),
        ("opposites", ("R", "Call after noon."), ("R", "Call before noon.")),
    ],
)
def test_a_difference_that_matters_is_seen_in_either_order(word_lengths, feature, one, other):
    seen = values(word_lengths, one, other)
    assert seen[feature] > 0
    assert seen == pytest.approx(values(word_lengths, other, one))


def test_other_words_for_the_same_quantity_make_no_difference(word_lengths):
    other = ("Returns", RETURNS[1].replace("14 days", "two weeks"))
    assert values(word_lengths, RETURNS, other)["quantities_either"] == 0


@pytest.mark.parametrize(("threshold", "found"), [(1.0, 1), (9.0, 0)])
def test_documents_are_reported_from_the_threshold_on(threshold, found):
    documents = [Document(i, *RETURNS, "en", f"{i}.md") for i in "ab"]
    chunks = [Chunk(f"{d.id}#0", d.id, (d.title,), d.text, "en", d.source) for d in documents]
    model = LinearModel(dict.fromkeys(FEATURES, 0.0) | {"jaccard": 2.0}, threshold)
    vectors = np.ones((2, 1), dtype=np.float32)
    assert len(Duplicates(model, 10).find(documents, chunks, vectors, [0, 1])) == found


def test_pages_without_a_statement_are_left_alone():
    documents = [Document(i, "Empty", "---", "en", f"{i}.md") for i in "ab"]
    chunks = [Chunk(f"{d.id}#0", d.id, ("Empty",), "---", "en", d.source) for d in documents]
    vectors = np.ones((2, 1), dtype=np.float32)
    model = LinearModel(dict.fromkeys(FEATURES, 1.0), 0.0)
    found = Duplicates(model, 10).find(documents, chunks, vectors, [0, 1])
    assert found == []
