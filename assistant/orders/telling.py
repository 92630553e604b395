"""What a customer is told of an order: its own fields, in the words of their language."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

from babel.dates import format_date

from assistant import phrases
from assistant.money import locale_of, written
from assistant.records.types import Item, Order
from assistant.skills import Fetched
from assistant.types import Evidence

STATUS = "orders:status"
OVER = frozenset({"delivered", "cancelled", "refunded", "lost"})  # nothing is waited for
_ARRIVED = OVER | {"return_requested", "return_in_transit", "exchange_pending", "damaged_reported"}
_MOST_ITEMS = 5


def status_of(order: Order, language: str) -> str:
    """What a customer is told of an order: a line each."""
    return "\n".join(_lines(order, language))


def _lines(order: Order, language: str) -> Iterator[str]:
    items = ", ".join(item_line(item) for item in order.items[:_MOST_ITEMS])
    if len(order.items) > _MOST_ITEMS:
        items += " …"
    yield phrases.say(
        "order_line", language, number=order.number, day=_day(order.placed, language), items=items,
        total=money(order.total, order, language),
    )  # fmt: skip
    yield phrases.order_state(order.state, language)
    if order.changed and order.changed != order.placed:
        yield phrases.say("order_since", language, day=_day(order.changed, language))
    if order.latest and order.state not in _ARRIVED:
        earliest = order.earliest or order.latest
        yield phrases.say(
            "order_expected", language, earliest=_day(earliest, language),
            latest=_day(order.latest, language),
        )  # fmt: skip
    for parcel in order.parcels if order.state not in _ARRIVED else ():
        if parcel.tracking:
            yield phrases.say(
                "order_tracking", language, carrier=parcel.carrier, tracking=parcel.tracking
            )
    if order.refunded:
        amount = money(order.refunded, order, language)
        yield phrases.say("order_refunded", language, amount=amount)


def item_line(item: Item) -> str:
    """An item with what was chosen of it, and how many where it is not one."""
    chosen = ", ".join(value for _, value in item.options)
    title = f"{item.title} ({chosen})" if chosen else item.title
    return f"{item.quantity} × {title}" if item.quantity > 1 else title


def money(amount: Decimal, order: Order, language: str) -> str:
    """An amount in the order's currency, as it is written in a language."""
    return written(amount, order.currency, language)


def record(order: Order, language: str, first: str = "", reason: str = STATUS) -> Fetched:
    """An order as the evidence of a reply, which says `first` and then how far it is."""
    text = "\n".join(filter(None, (first, status_of(order, language))))
    evidence = Evidence(
        id=f"order:{order.number}", kind="record", source="orders",
        title=phrases.say("order_title", language, number=order.number), text=text,
        language=language, relevance=1.0, quote=text,
    )  # fmt: skip
    return Fetched((evidence,), reason=reason)


def _day(moment: date | datetime, language: str) -> str:
    return str(format_date(moment, "long", locale=locale_of(language)))
