"""Which products a search lets the reranker read, and how often."""

import numpy as np
import pytest

from knowledge.catalogue.readings import Readings
from knowledge.catalogue.search import Catalogue
from knowledge.catalogue.shelf import Shelf
from tests.knowledge.catalogue.test_search import bring

ROWS = [
    {"id": f"P{n}", "title": f"Lamp number {n}", "description": "Gives light.", "language": "en"}
    for n in range(120)
] + [{"id": "P0b", "title": "Lamp number 0", "colour": "green", "language": "en"}]


class Counted:
    """Suits by the last figure of the title, and remembers what was read."""

    def __init__(self):
        self.read = []

    def suits(self, search, products):
        self.read += [product.title for product in products]
        return np.array([int(p.title[-1]) / 10 for p in products], np.float32)


@pytest.fixture(scope="module")
def versions(tmp_path_factory, encoder):
    return bring(tmp_path_factory.mktemp("lamps") / "home", ROWS, encoder)


@pytest.fixture(scope="module")
def shelf(versions, encoder) -> Shelf:
    catalogue = Catalogue(versions, encoder)
    yield catalogue.shelf("en")
    catalogue.close()


def test_the_best_rows_by_rank_and_the_nearest_are_read_and_each_title_once(shelf):
    counted = Counted()
    readings = Readings(shelf, "lamp", counted)
    everything = np.ones(len(shelf), bool)
    rank = np.arange(len(shelf), 0, -1).astype(float)
    readings.read(everything, rank, np.roll(rank, 60))
    read = [*range(12), *range(60, 72)]
    assert counted.read == [f"Lamp number {n}" for n in read]
    readings.read(everything, rank, np.roll(rank, 60))
    assert len(counted.read) == len(read)
    assert readings.relevance[7] == pytest.approx(0.7)
    assert readings.relevance[120] == readings.relevance[0] == 0  # the same in green
    assert np.isnan(readings.relevance[[*range(12, 60), *range(72, 120)]]).all()


def test_what_a_constraint_leaves_out_is_not_read_and_no_search_reads_on_and_on(shelf):
    counted = Counted()
    readings = Readings(shelf, "lamp", counted)
    rank = np.ones(len(shelf))
    for start in range(0, 120, 12):
        within = np.zeros(len(shelf), bool)
        within[start : start + 12] = True
        readings.read(within, rank, rank)
    assert counted.read == [f"Lamp number {n}" for n in range(48)]


def test_without_a_reranker_nothing_is_read(shelf):
    readings = Readings(shelf, "lamp", None)
    readings.read(np.ones(len(shelf), bool), np.ones(len(shelf)), np.ones(len(shelf)))
    assert np.isnan(readings.relevance).all()


def test_what_reads_well_comes_first_and_what_does_not_is_not_what_is_meant(versions, encoder):
    counted = Counted()
    catalogue = Catalogue(versions, encoder, counted)
    found = catalogue.find(catalogue.parse("lamp", "en"), "en", 100)
    told = [int(offer.product.title[-1]) for offer in found.offers]
    read = [n for n, offer in enumerate(found.offers) if offer.product.title in counted.read]
    assert found.fit == "sure"
    assert min(told[n] for n in read) >= 4
    assert [told[n] for n in read] == sorted((told[n] for n in read), reverse=True)
    before = len(counted.read)
    assert catalogue.find(catalogue.parse("lamp", "en"), "en", 100) is found  # remembered
    assert len(counted.read) == before
    catalogue.close()


def test_what_the_networks_cannot_read_goes_by_words(versions, encoder):
    counted = Counted()
    catalogue = Catalogue(versions, encoder, counted)
    catalogue.find(catalogue.parse("โคมไฟ", "en"), "en")
    assert not counted.read
    catalogue.close()
