"""Which passages are put beside each other."""

from dataclasses import replace
from datetime import date

import numpy as np

from knowledge.inspection.neighbours import comparable, document_vectors, near_pairs
from knowledge.types import Chunk

CHUNK = Chunk("a#0", "a", ("A",), "text", "en", "a.md")


def other(**fields) -> Chunk:
    return replace(CHUNK, **({"id": "b#0", "document_id": "b"} | fields))


def test_only_what_one_customer_could_be_told_is_compared():
    assert comparable(CHUNK, other())
    assert not comparable(CHUNK, replace(CHUNK, id="a#1"))
    assert not comparable(CHUNK, other(language="zh"))
    assert not comparable(CHUNK, other(audience="agents"))


def test_what_is_never_in_force_together_is_not_compared():
    old = replace(CHUNK, valid_until=date(2025, 12, 31))
    new = other(valid_from=date(2026, 1, 1))
    assert not comparable(old, new)
    assert not comparable(new, old)
    assert comparable(old, other(valid_from=date(2025, 12, 31)))


def test_pairs_hold_a_new_row_are_near_and_come_nearest_first():
    chunks = [replace(CHUNK, id=f"{d}#0", document_id=d) for d in "abcd"]
    angles = np.radians([0, 10, 25, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert near_pairs(chunks, vectors, {0}, 0.8, 5) == [(0, 1), (0, 2)]
    assert near_pairs(chunks, vectors, {0}, 0.8, 1) == [(0, 1)]
    assert near_pairs(chunks, vectors, {3}, 0.8, 5) == []
    chunks[1] = replace(chunks[1], document_id="a")
    assert near_pairs(chunks, vectors, {0, 1}, 0.8, 5) == [(1, 2), (0, 2)]


def test_many_near_passages_of_another_audience_do_not_hide_one_of_the_same():
    staff = [other(id=f"s{n}#0", document_id=f"s{n}", audience="agents") for n in range(200)]
    chunks = [CHUNK, *staff, other()]
    vectors = np.ones((len(chunks), 1), dtype=np.float32)
    assert near_pairs(chunks, vectors, {0}, 0.5, 3) == [(0, 201)]


def test_many_near_passages_of_its_own_document_do_not_hide_one_of_another():
    own = [replace(CHUNK, id=f"a#{n}") for n in range(1, 200)]
    chunks = [CHUNK, *own, other()]
    vectors = np.ones((len(chunks), 1), dtype=np.float32)
    vectors[-1] = 0.9
    assert near_pairs(chunks, vectors, {0}, 0.5, 3) == [(0, 200)]


def test_a_document_vector_is_the_mean_of_its_passages():
    chunks = [CHUNK, replace(CHUNK, id="a#1"), other()]
    vectors = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    ids, means = document_vectors(chunks, vectors)
    assert ids == ["a", "b"]
    np.testing.assert_allclose(means, [[0.7071, 0.7071], [0, 1]], atol=1e-4)
