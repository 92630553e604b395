"""Bringing the catalogue to a file: versions, what is embedded, and what Chroma holds."""

import numpy as np
import pytest

from knowledge.catalogue.refresh import refresh_catalogue
from knowledge.catalogue.store import CatalogueStore
from knowledge.errors import EmptyKnowledge, SourceError, VersionError
from knowledge.types import silent
from knowledge.versions import CatalogueVersions, Versions
from tests.conftest import WordLengthEncoder
from tests.knowledge.catalogue.shop import ROWS, write


@pytest.fixture
def versions(tmp_path):
    return CatalogueVersions(tmp_path / "home")


@pytest.fixture
def bring(versions, tmp_path, word_lengths):
    def bring(rows, encoder=word_lengths):
        source = write(tmp_path / "products.jsonl", rows)
        return refresh_catalogue(
            versions, encoder, source, max_bytes=10_000, keep=2, progress=silent
        )

    return bring


def counts(report):
    return report.added, report.changed, report.removed, report.unchanged, report.embedded


def test_only_texts_that_are_new_are_embedded(bring, word_lengths):
    # Two colours of a jacket are one text.
    assert counts(bring(ROWS)) == (10, 0, 0, 0, 9)
    before = len(word_lengths.embedded)
    dearer = [*ROWS[:-1], ROWS[-1] | {"price": 500, "stock": 0}]
    assert counts(bring(dearer)) == (0, 1, 0, 9, 0)
    renamed = [ROWS[0] | {"title": "Harbour coat"}, *ROWS[2:]]
    assert counts(bring(renamed)) == (0, 2, 1, 7, 1)
    assert word_lengths.embedded[before:] == ["Harbour coat, Jackets"]


def test_a_file_that_has_not_changed_publishes_nothing(bring, versions):
    first = bring(ROWS)
    assert counts(bring(ROWS)) == (0, 0, 0, 10, 0)
    assert versions.complete() == [first.version]


def test_vectors_are_made_anew_by_another_encoder(bring):
    class Other(WordLengthEncoder):
        name = "others"

    bring(ROWS)
    assert counts(bring(ROWS, Other())) == (0, 0, 0, 10, 9)


def test_chroma_holds_each_language_apart_and_gives_the_nearest(bring, versions, word_lengths):
    bring(ROWS)
    bring([*ROWS[1:], ROWS[0] | {"id": "J9"}])
    store = CatalogueStore(versions.current_folder())
    try:
        assert sorted(store.rows) == ["en", "zh"]
        vector = word_lengths.embed(["Tarn glass kettle, Kettles"])[0]
        (nearest,) = store.nearest("en", vector, 1)
        assert nearest == ("K1@en", pytest.approx(1.0, abs=1e-5))
        assert {key for key, _ in store.nearest("zh", vector, 9)} == {"J2@zh", "K1@zh"}
        assert len(store.nearest("en", vector, 99)) == 8
    finally:
        store.close()


def test_what_is_kept_of_a_version_is_what_would_be_made_anew(
    bring, versions, tmp_path, word_lengths
):
    bring(ROWS)
    bring([*ROWS[3:], ROWS[0] | {"description": "Now with a hood."}])
    changed = CatalogueStore(versions.current_folder())
    other = CatalogueVersions(tmp_path / "other")
    refresh_catalogue(
        other, word_lengths, tmp_path / "products.jsonl", max_bytes=10_000, keep=2, progress=silent
    )
    anew = CatalogueStore(other.current_folder())
    assert np.array_equal(changed.vectors, anew.vectors)
    for language in anew.rows:
        one, two = changed.terms(language), anew.terms(language)
        dense = [
            dict(zip(t.vocabulary, t.terms.toarray().T.tolist(), strict=True)) for t in (one, two)
        ]
        assert dense[0] == dense[1]


def test_a_file_without_products_leaves_the_published_ones(bring, versions):
    first = bring(ROWS)
    with pytest.raises(SourceError, match="holds no product: id and title"):
        bring([{"id": "A"}])
    assert versions.current() == first.version


def test_versions_go_back_and_are_kept_apart_from_those_of_passages(bring, versions, tmp_path):
    with pytest.raises(EmptyKnowledge, match="knowledge catalogue FILE"):
        versions.current()
    names = [bring(ROWS[n:]).version for n in range(3)]
    assert versions.complete() == names[1:]
    assert versions.rollback() == names[1]
    with pytest.raises(EmptyKnowledge):
        Versions(tmp_path / "home").current()


def test_one_process_at_a_time_brings_products(bring, versions):
    with versions.writing(), pytest.raises(VersionError, match="another refresh"):
        bring(ROWS)
