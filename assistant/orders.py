"""Order look-ups: which order is meant, whose it is, and what is told of it.

Everything said is written from the order's own fields, which are the evidence that it rests on; an
order is read for the conversation's customer alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from babel.dates import format_date
from babel.numbers import format_currency

from assistant import phrases
from assistant.errors import RecordsError
from assistant.identification import Identification, Identified
from assistant.intent import ORDER_STATUS
from assistant.records.seam import Records
from assistant.records.types import Item, Order
from assistant.skills import Fetched, Skill
from assistant.types import Clarify, Evidence, Handoff, Intent, Outcome, Question
from knowledge.segment import content_words

log = logging.getLogger(__name__)

REASON = "orders:status"
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_MOST_CHOICES, _MOST_ITEMS, _FEW_WORDS = 3, 5, 2
_LOCALES = {"en": "en_GB"}
_OVER = frozenset({"delivered", "cancelled", "refunded", "lost"})  # nothing is waited for


class OrderSkill:
    """Tells how far an order is; what is no question about an order of one's own goes to the
    knowledge base. `number` is how the shop's order numbers look."""

    def __init__(
        self,
        records: Records,
        number: str,
        knowledge: Skill,
        identification: Identification | None = None,
    ) -> None:
        self.records = records
        self.knowledge = knowledge
        self.identification = identification
        self._number = re.compile(number, re.IGNORECASE)

    def is_named(self, question: Question, intent: Intent) -> bool:
        """Whether a message names an order and may well ask how far it is, or is hardly more than
        its number or the e-mail address that was asked for."""
        text = question.text
        likely = {intent.name, *(name for name, _ in intent.alternatives[:1])}
        if ORDER_STATUS in likely and not intent.is_sure and self._number.search(text):
            return True
        left = _EMAIL.sub(" ", self._number.sub(" ", text))
        short = left != text and len(content_words(left)) <= _FEW_WORDS
        return short and bool(self._said(self._number, question))

    def fetch(self, question: Question, intent: Intent) -> Fetched:
        """The order as the only evidence, or a question for what is missing to find it."""
        numbers = self._said(self._number, question)
        try:
            customer = question.customer_id or ""
            if not customer and numbers:
                return self._identify(question, numbers[0])
            if customer:
                return self._look_up(question, intent, customer, numbers)
        except RecordsError as error:
            log.error("%s", error)
            text = phrases.say("orders_trouble", question.language)
            return _ended(Handoff(text, "orders:records"))
        return self._without(question, intent)

    def _without(self, question: Question, intent: Intent) -> Fetched:
        """Nobody is known and no number was named: what the shop's pages say, if they do."""
        found = self.knowledge.fetch(question, intent)
        if intent.name != ORDER_STATUS or not isinstance(found.outcome, Clarify | Handoff):
            return found
        text = phrases.say("orders_which", question.language)
        return _ended(Clarify(text, "orders:unidentified"))

    def _identify(self, question: Question, number: str) -> Fetched:
        language = question.language
        emails = self._said(_EMAIL, question)
        if not emails:
            text = phrases.say("orders_email", language, number=number)
            return _ended(Clarify(text, "orders:email"))
        found = (
            self.identification.identify(question.conversation_id, number, emails[0])
            if self.identification
            else Identified("unknown")
        )
        if found.verdict == "too_often":
            return _ended(Handoff(phrases.say("orders_too_often", language), "orders:too_often"))
        order = self.records.order(found.customer_id, number) if found.customer_id else None
        if order is None:
            text = phrases.say("orders_unknown", language, number=number)
            return _ended(Clarify(text, "orders:unknown"))
        return _told(order, language)

    def _look_up(
        self, question: Question, intent: Intent, customer: str, numbers: Sequence[str]
    ) -> Fetched:
        """What a known customer asks about."""
        language = question.language
        if numbers:
            order = self.records.order(customer, numbers[0])
            if order is None:
                text = phrases.say("orders_unknown", language, number=numbers[0])
                return _ended(Clarify(text, "orders:unknown"))
            return _told(order, language)
        if intent.name != ORDER_STATUS:
            return self.knowledge.fetch(question, intent)
        orders = self.records.orders(customer)
        waited = [o for o in orders if o.state not in _OVER] or list(orders[:1])
        if not waited:
            return self._without(question, intent)
        if len(waited) == 1:
            return _told(waited[0], language)
        named = tuple(o.number for o in waited[:_MOST_CHOICES])
        return _ended(Clarify(phrases.say("orders_choose", language), "orders:several", named))

    @staticmethod
    def _said(pattern: re.Pattern[str], question: Question) -> list[str]:
        """What the customer has written of that kind, the latest first; what the assistant or an
        agent wrote says nothing about who asks."""
        earlier = [m.text for m in question.history if m.role == "customer"]
        texts = [question.text, *reversed(earlier)]
        return [found for text in texts for found in reversed(pattern.findall(text))]


def status_of(order: Order, language: str) -> str:
    """What a customer is told of an order: a line each."""
    return "\n".join(_lines(order, language))


def _lines(order: Order, language: str) -> Iterator[str]:
    items = ", ".join(_item(item) for item in order.items[:_MOST_ITEMS])
    if len(order.items) > _MOST_ITEMS:
        items += " …"
    yield phrases.say(
        "order_line", language, number=order.number, day=_day(order.placed, language), items=items,
        total=format_currency(order.total, order.currency, locale=_locale(language)),
    )  # fmt: skip
    yield phrases.order_state(order.state, language)
    if order.changed and order.changed != order.placed:
        yield phrases.say("order_since", language, day=_day(order.changed, language))
    if order.latest and order.state not in _OVER:
        earliest = order.earliest or order.latest
        yield phrases.say(
            "order_expected", language, earliest=_day(earliest, language),
            latest=_day(order.latest, language),
        )  # fmt: skip
    for parcel in order.parcels:
        if parcel.tracking:
            yield phrases.say(
                "order_tracking", language, carrier=parcel.carrier, tracking=parcel.tracking
            )
    if order.refunded:
        amount = format_currency(order.refunded, order.currency, locale=_locale(language))
        yield phrases.say("order_refunded", language, amount=amount)


def _item(item: Item) -> str:
    chosen = ", ".join(value for _, value in item.options)
    title = f"{item.title} ({chosen})" if chosen else item.title
    return f"{item.quantity} × {title}" if item.quantity > 1 else title


def _told(order: Order, language: str) -> Fetched:
    text = status_of(order, language)
    evidence = Evidence(
        id=f"order:{order.number}", kind="record", source="orders",
        title=phrases.say("order_title", language, number=order.number), text=text,
        language=language, relevance=1.0, quote=text,
    )  # fmt: skip
    return Fetched((evidence,), reason=REASON)


def _ended(outcome: Outcome) -> Fetched:
    return Fetched(outcome=outcome)


def _day(moment: date | datetime, language: str) -> str:
    return str(format_date(moment, "long", locale=_locale(language)))


def _locale(language: str) -> str:
    """English dates with the day first and the month in words, which nobody misreads."""
    spoken = language if language in phrases.languages() else phrases.DEFAULT
    return _LOCALES.get(spoken, spoken)
