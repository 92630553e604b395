"""Outlooks: who gets one, why, and that they are for staff alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant.conversations import Conversation, Conversations
from assistant.customer_history import contacts_of, history_from
from assistant.episodes import Episode
from assistant.errors import RecordsError
from assistant.outlook_figures import figures_by_band
from assistant.outlooks import Outlooks
from assistant.propensity import Outlook, Propensity, Reason
from assistant.shares import Share
from assistant.web.outlook_words import outlook_words
from assistant.web.staff_html import staff_languages, staff_texts
from knowledge.propensity.features import THEMES
from knowledge.propensity.promoted import propensity_models
from tests.assistant.buyers import LEAVING, LIKELY, NEW, order, propensity
from tests.knowledge.propensity.pasts import by_recency


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


@pytest.fixture
def looking(tmp_path: Path, store: Conversations) -> Propensity:
    return propensity(tmp_path, store)


def known(found: Outlook | None) -> Outlook:
    assert found is not None
    return found


def test_who_bought_lately_is_likely_to_buy_again_and_who_did_not_is_leaving(
    looking: Propensity,
) -> None:
    now = time.time()
    assert known(looking.outlook(LIKELY, now)).band == "likely"
    assert known(looking.outlook(LEAVING, now)).band == "leaving"


def test_only_identified_customers_with_orders_get_an_outlook(looking: Propensity) -> None:
    now = time.time()
    assert looking.outlook(None, now) is None
    assert looking.outlook("", now) is None
    assert looking.outlook(NEW, now) is None
    assert looking.outlook(LIKELY, now - 90 * 86_400) is None, "nothing was ordered by then"


def test_who_has_opted_out_gets_none_and_is_not_even_looked_up(
    tmp_path: Path, store: Conversations
) -> None:
    looking = propensity(tmp_path, store, LIKELY)
    asked: list[str] = []
    records = looking.records
    looking.records = _Asked(records, asked)  # type: ignore[assignment]
    assert looking.outlook(LIKELY, time.time()) is None
    assert looking.outlook(LEAVING, time.time()) is not None
    assert asked == [LEAVING]


class _Asked:
    def __init__(self, records: Any, asked: list[str]) -> None:
        self._records, self._asked = records, asked

    def orders(self, customer_id: str, limit: int = 20) -> Any:
        self._asked.append(customer_id)
        return self._records.orders(customer_id, limit)


def test_an_outlook_is_of_what_was_known_when_the_conversation_began(looking: Propensity) -> None:
    then = time.time() - 20 * 86_400
    before = known(looking.outlook(LIKELY, then))
    recency = dict(before.reasons[0].figures)["recency"]
    assert recency == pytest.approx(11, abs=0.1), "the order of two days ago was not placed yet"


def test_the_reason_told_first_is_what_moved_it_most(looking: Propensity) -> None:
    found = known(looking.outlook(LEAVING, time.time()))
    assert found.reasons[0].theme == "recency"
    assert found.reasons[0].weight < 0
    assert len(found.reasons) <= 3


def test_without_a_model_or_with_a_damaged_one_there_is_none(
    tmp_path: Path, looking: Propensity, caplog: pytest.LogCaptureFixture
) -> None:
    models = propensity_models(tmp_path)
    models.rollback()
    assert looking.served == ""
    assert looking.outlook(LIKELY, time.time()) is None
    models.pointer.write_text("{", "utf-8")
    assert looking.outlook(LIKELY, time.time()) is None
    assert "damaged" in caplog.text


def test_a_model_that_is_promoted_while_this_serves_is_asked_next(
    tmp_path: Path, looking: Propensity
) -> None:
    before = known(looking.outlook(LEAVING, time.time()))
    by_recency(shift=500.0).write(tmp_path / "hopeful")
    propensity_models(tmp_path).promote(tmp_path / "hopeful")
    after = known(looking.outlook(LEAVING, time.time()))
    assert (before.band, after.band) == ("leaving", "likely")


REASONS = [
    Reason(theme, 0.5, tuple((name, 3.0) for name in (*names, "recency")))
    for theme, names in THEMES.items()
]


@pytest.mark.parametrize("language", staff_languages())
def test_every_reason_has_words_with_the_customers_own_figures(language: str) -> None:
    words = staff_texts(language)
    for reason in [*REASONS, Reason("taste", 0.2, ())]:
        assert "{" not in outlook_words(words, reason)
    recency = Reason("recency", -1.0, (("recency", 41.6), ("orders_30", 0.0), ("warmth_30", 0.2)))
    assert "42" in outlook_words(words, recency)


def test_a_figure_that_does_not_exist_is_told_in_other_words() -> None:
    nothing = float("nan")
    once = Reason("rhythm", -1.0, tuple((n, nothing) for n in THEMES["rhythm"]))
    assert outlook_words(staff_texts("en"), once) == "has ordered on one day only"
    abroad = Reason("market", -1.0, (("home", 0.0),))
    assert outlook_words(staff_texts("en"), abroad) == "orders from another market"


def test_conversations_count_as_contacts_and_a_thumb_down_as_a_complaint(
    store: Conversations,
) -> None:
    content, cross, other = (store.start("en", c) for c in (LIKELY, LIKELY, LEAVING))
    for talk, intent, helpful in ((content, "returns", True), (cross, "returns", False),
                                  (other, "complaint", True)):  # fmt: skip
        store.add(talk.id, "customer", "Hello?")
        said = store.add(talk.id, "assistant", "Hello!", reply={"intent": intent})
        store.rate(talk.id, said.id, helpful)
    assert sorted(c.complaint for c in contacts_of(store, LIKELY)) == [False, True]
    assert [c.complaint for c in contacts_of(store, LEAVING)] == [True]


def test_what_befell_an_order_is_known_from_when_it_did() -> None:
    past = history_from([order(LEAVING, 5, 200, "refunded"), order(LEAVING, 6, 100, "lost")], ())
    placed = past.purchases[0].day
    assert [e.returned for e in past.events] == [True, False]
    assert past.before(placed + 0.5).events == ()


# For pages.


def test_a_page_is_not_kept_waiting_and_sees_it_at_a_later_look(
    looking: Propensity, store: Conversations
) -> None:
    outlooks, talk = Outlooks(looking), store.start("en", LIKELY)
    assert outlooks.peek(talk) is None
    outlooks.settle()
    assert known(outlooks.peek(talk)).band == "likely"
    assert outlooks.worked_out == 1
    assert outlooks.peek(store.start("en")) is None
    outlooks.settle()
    assert outlooks.worked_out == 1, "nobody is known there"


def test_a_system_that_fails_is_logged_without_whom_it_was_about(
    looking: Propensity, store: Conversations, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    class Broken:
        def orders(self, customer_id: str, limit: int = 20) -> Any:
            raise RecordsError(f"no answer about {customer_id}")

    looking.records = Broken()  # type: ignore[assignment]
    outlooks, talk = Outlooks(looking), store.start("en", LIKELY)
    outlooks.peek(talk)
    outlooks.settle()
    assert outlooks.peek(talk) is None
    assert "RecordsError" in caplog.text
    assert LIKELY not in caplog.text


def test_nothing_personal_is_logged_where_all_goes_well(
    looking: Propensity, store: Conversations, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    outlooks = Outlooks(looking)
    outlooks.peek(store.start("en", LIKELY))
    outlooks.settle()
    for text in (LIKELY, "Enamel", "MW-", "example.com"):
        assert text not in caplog.text


# In figures.


def test_figures_by_band_count_customers_once_and_confirmed_conversations(
    looking: Propensity, store: Conversations
) -> None:
    talks = [store.start("en", name) for name in (LIKELY, LIKELY, LEAVING)] + [store.start("en")]
    episodes = [episode(talk, fate) for talk, fate in zip(
        talks, ("hard", "person", "hard", "hard"), strict=True)]  # fmt: skip

    def look(talk: Conversation) -> Outlook | None:
        return looking.outlook(talk.customer_id, talk.created)

    likely, unsure, leaving = figures_by_band(episodes, store, look)
    assert (likely.band, likely.customers, likely.conversations) == ("likely", 1, 2)
    assert likely.hard == Share(1, 2)
    assert likely.waited == 60.0
    assert (unsure.conversations, unsure.waited) == (0, None)
    assert (leaving.customers, leaving.hard) == (1, Share(1, 1))
    assert figures_by_band(episodes, store, lambda _: None) == ()


def episode(talk: Conversation, fate: Any) -> Episode:
    began = talk.created
    waited = 60.0 if fate == "person" else None
    return Episode(
        talk.id, began, began, (), fate, settled=True, version="", handoff="", waited=waited,
        waiting=False,
    )  # fmt: skip


def test_small_talk_is_in_no_figure(store: Conversations) -> None:
    greeting = replace(episode(store.start("en", LIKELY), "hard"), fate="small_talk")
    assert figures_by_band([greeting], store, lambda _: Outlook(0.9, "likely", ())) == ()
