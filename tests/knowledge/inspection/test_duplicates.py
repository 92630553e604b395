"""What tells documents that say the same from sister pages."""

import numpy as np
import pytest

from knowledge.inspection.duplicates import (
    FEATURES,
    DuplicateModel,
    Duplicates,
    compared,
    features,
    texts_of,
)
from knowledge.types import Chunk, Document


def told(encoder, title: str, text: str):
    document = Document("d", title, text, "en", "d.md")
    return compared(document, encoder.embed(texts_of(document)))


RETURNS = ("Returns", "You have 14 days to send shoes back. Keep the box. We pay the postage.")


@pytest.mark.parametrize(
    ("feature", "title", "text"),
    [
        ("quantities_either", "Returns", RETURNS[1].replace("14", "30")),
        ("turned", "Returns", RETURNS[1].replace("We pay", "You pay")),
        ("opposites", "Returns", RETURNS[1].replace("Keep the box", "Open the box before")),
    ],
)
def test_a_difference_that_matters_is_seen_in_either_order(word_lengths, feature, title, text):
    if feature == "opposites":
        one = told(word_lengths, "R", "Call after noon.")
        other = told(word_lengths, "R", "Call before noon.")
    else:
        one, other = told(word_lengths, *RETURNS), told(word_lengths, title, text)
    place = FEATURES.index(feature)
    assert features(one, other)[place] > 0
    assert features(one, other) == pytest.approx(features(other, one))


def test_other_words_for_the_same_quantity_make_no_difference(word_lengths):
    other = RETURNS[1].replace("14 days", "two weeks")
    values = features(told(word_lengths, *RETURNS), told(word_lengths, "Returns", other))
    assert values[FEATURES.index("quantities_either")] == 0


def test_pages_without_a_statement_are_left_alone(word_lengths):
    documents = [Document(i, "Empty", "---", "en", f"{i}.md") for i in "ab"]
    chunks = [Chunk(f"{d.id}#0", d.id, ("Empty",), "---", "en", d.source) for d in documents]
    vectors = np.ones((2, 1), dtype=np.float32)
    model = DuplicateModel(dict.fromkeys(FEATURES, 1.0), 0.0)
    found = Duplicates(word_lengths, model, 10).find(documents, chunks, vectors, [0, 1])
    assert found == []
