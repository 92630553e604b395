"""What tells documents that say the same from sister pages."""

import numpy as np
import pytest

from knowledge.inspection.duplicates import (
    FEATURES,
    DocumentText,
    DuplicateModel,
    Duplicates,
    features,
    nearness,
)
from knowledge.types import Chunk, Document


def values(encoder, one: tuple[str, str], other: tuple[str, str]) -> dict[str, float]:
    """All features of two documents given as (title, text)."""
    documents = [Document("d", title, text, "en", "d.md") for title, text in (one, other)]
    a, b = (DocumentText.of(d, encoder.embed([d.text])[0]) for d in documents)
    near = nearness(a, b, encoder.embed(a.to_embed), encoder.embed(b.to_embed))
    return {**features(a, b), **near}


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
    assert set(seen) == set(FEATURES)
    assert seen[feature] > 0
    assert seen == pytest.approx(values(word_lengths, other, one))


def test_other_words_for_the_same_quantity_make_no_difference(word_lengths):
    other = ("Returns", RETURNS[1].replace("14 days", "two weeks"))
    assert values(word_lengths, RETURNS, other)["quantities_either"] == 0


def test_what_is_not_told_counts_as_much_for_a_pair_as_it_can(word_lengths):
    model = DuplicateModel(dict.fromkeys(FEATURES, 0.0) | {"turned": -5.0, "nearest_two": 3.0}, 0.0)
    seen = values(word_lengths, RETURNS, RETURNS)
    assert model.logit(seen) <= model.logit({"bias": 1.0}) == 3.0


class Counting:
    """An encoder that keeps what it embeds."""

    def __init__(self, encoder) -> None:
        self.encoder = encoder
        self.embedded: list[str] = []

    def embed(self, texts):
        self.embedded += texts
        return self.encoder.embed(texts)


@pytest.mark.parametrize(("threshold", "found", "embedded"), [(-1.0, 1, 8), (9.0, 0, 0)])
def test_statements_are_embedded_only_of_documents_that_may_say_the_same(
    word_lengths, threshold, found, embedded
):
    documents = [Document(i, *RETURNS, "en", f"{i}.md") for i in "ab"]
    chunks = [Chunk(f"{d.id}#0", d.id, (d.title,), d.text, "en", d.source) for d in documents]
    encoder = Counting(word_lengths)
    look = Duplicates(encoder, DuplicateModel(dict.fromkeys(FEATURES, 0.0), threshold), 10)
    vectors = np.ones((2, 1), dtype=np.float32)
    assert len(look.find(documents, chunks, vectors, [0, 1])) == found
    assert len(encoder.embedded) == embedded


def test_pages_without_a_statement_are_left_alone(word_lengths):
    documents = [Document(i, "Empty", "---", "en", f"{i}.md") for i in "ab"]
    chunks = [Chunk(f"{d.id}#0", d.id, ("Empty",), "---", "en", d.source) for d in documents]
    vectors = np.ones((2, 1), dtype=np.float32)
    model = DuplicateModel(dict.fromkeys(FEATURES, 1.0), 0.0)
    found = Duplicates(word_lengths, model, 10).find(documents, chunks, vectors, [0, 1])
    assert found == []
