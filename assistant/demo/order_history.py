"""The life of an order: which states it passes, and when."""

import datetime
import random
from collections.abc import Callable
from dataclasses import dataclass

from assistant.demo.delivery_rules import (
    LOCKER_DAYS,
    add_working_days,
    dispatch_day,
    is_dispatch_day,
)
from assistant.demo.order_records import Method, OrderState, RefundReason
from assistant.demo.return_rules import CARD_REFUND_DAYS, EU_AND_UK, REFUND_DAYS, Buyer

NOW = datetime.datetime(2026, 11, 23, 12)

TO_CARRIER: tuple[OrderState, ...] = ("placed", "packed", "shipped")
TO_DOOR: tuple[OrderState, ...] = (*TO_CARRIER, "out_for_delivery", "delivered")
PATHS: dict[OrderState, tuple[OrderState, ...]] = {
    "placed": ("placed",),
    "payment_failed": ("placed", "payment_failed"),
    "cancelled": ("placed", "cancelled"),
    "preorder": ("placed", "preorder"),
    "backordered": ("placed", "backordered"),
    "packed": ("placed", "packed"),
    "partially_shipped": ("placed", "packed", "partially_shipped"),
    "shipped": TO_CARRIER,
    "out_for_delivery": (*TO_CARRIER, "out_for_delivery"),
    "at_locker": (*TO_CARRIER, "at_locker"),
    "delivered": TO_DOOR,
    "delayed": (*TO_CARRIER, "delayed"),
    "lost": (*TO_CARRIER, "delayed", "lost"),
    "damaged_reported": (*TO_DOOR, "damaged_reported"),
    "return_requested": (*TO_DOOR, "return_requested"),
    "return_in_transit": (*TO_DOOR, "return_requested", "return_in_transit"),
    "refunded": (*TO_DOOR, "return_requested", "return_in_transit", "refunded"),
    "exchange_pending": (*TO_DOOR, "exchange_pending"),
}
# How long ago an order in this state was placed at most, and how long the state itself lasts.
# States that are not named are final: such orders are of any age.
PLACED_WITHIN = {
    "placed": 2, "packed": 3, "partially_shipped": 10, "shipped": 18, "out_for_delivery": 18,
    "at_locker": 14, "delayed": 30, "lost": 45, "damaged_reported": 25, "return_requested": 75,
    "return_in_transit": 75, "exchange_pending": 50, "preorder": 75, "backordered": 20,
}  # fmt: skip
LASTS_HOURS = {
    "placed": 48, "packed": 8, "partially_shipped": 190, "shipped": 400, "out_for_delivery": 6,
    "delayed": 96, "lost": 240, "damaged_reported": 120, "return_requested": 240,
    "return_in_transit": 170, "exchange_pending": 240,
}  # fmt: skip
# Working days past the estimate after which a parcel counts as missing; elsewhere one is enough.
MISSING_AFTER = dict.fromkeys(EU_AND_UK, 5) | {"US": 10, "CA": 10, "CN": 3}

Event = tuple[OrderState, datetime.datetime]


class DoesNotFitError(Exception):
    """The drawn day allows no plausible history; another day must be tried."""


@dataclass(frozen=True)
class Plan:
    """What the history of one order depends on.

    `cause` is why money goes back, should it; `window` is the delivery estimate; `return_until`
    tells the last day for a return from the day of delivery.
    """

    state: OrderState
    cause: RefundReason
    placed: datetime.datetime
    method: Method
    zone: str
    window: tuple[datetime.date, datetime.date]
    fee: float
    payment_method: str
    buyer: Buyer
    return_until: Callable[[datetime.date], datetime.date]

    @property
    def country(self) -> str:
        """The ISO code of the country the order goes to."""
        return self.zone[:2]


def path_of(plan: Plan, rng: random.Random) -> tuple[OrderState, ...]:
    """Return the states an order passes, in order; some orders arrive only after a delay."""
    path = PATHS[plan.state]
    if plan.state == "refunded" and plan.cause == "lost":
        if plan.method == "two_person":
            raise DoesNotFitError("a crew with an appointment loses nothing")
        path = (*PATHS["lost"], "refunded")
    if plan.state == "refunded" and plan.cause == "damaged":
        path = (*PATHS["damaged_reported"], "refunded")
    if plan.method == "email":
        return tuple(state for state in path if state in ("placed", "delivered", plan.state))
    if plan.method == "locker" and "delivered" in path:
        path = tuple("at_locker" if state == "out_for_delivery" else state for state in path)
    if "delivered" in path and rng.random() < 0.06:
        cut = path.index("shipped") + 1
        path = (*path[:cut], "delayed", *path[cut:])
    return path


def build_history(plan: Plan, rng: random.Random) -> list[Event]:
    """Draw the moments of all states up to the present one, or raise DoesNotFitError."""
    events: list[Event] = [("placed", plan.placed)]
    for state in path_of(plan, rng)[1:]:
        at = _next_moment(state, plan, events, rng)
        if at <= events[-1][1]:
            raise DoesNotFitError(state)
        events.append((state, at))
    _check_present(plan, events[-1][1])
    return events


def _check_present(plan: Plan, since: datetime.datetime) -> None:
    """Raise DoesNotFitError if an order would not be in its state today."""
    hours = LASTS_HOURS.get(plan.state, 10**6)
    if plan.state == "at_locker":
        hours = LOCKER_DAYS[plan.country] * 24
    if not NOW - datetime.timedelta(hours=hours) <= since <= NOW:
        raise DoesNotFitError("the state is over or yet to come")
    if plan.state == "placed" and _packing_time(plan)[1].date() < NOW.date():
        raise DoesNotFitError("the order would be packed by now")
    on_the_way = plan.state in ("shipped", "partially_shipped", "out_for_delivery")
    if on_the_way and plan.window[1] < NOW.date():
        raise DoesNotFitError("the order would be late")


def _next_moment(
    state: OrderState, plan: Plan, events: list[Event], rng: random.Random
) -> datetime.datetime:
    last_state, last = events[-1]
    if state in ("payment_failed", "preorder") or plan.method == "email":
        return last + datetime.timedelta(minutes=rng.randint(1, 4))
    if state == "cancelled":
        return _between(last + datetime.timedelta(minutes=4), _packing_time(plan)[1], rng)
    if state == "backordered":
        return last + datetime.timedelta(minutes=rng.randint(60, 1200))
    if state == "packed":
        return _between(*_packing_time(plan), rng)
    if state in ("shipped", "partially_shipped"):
        return _at(last.date(), 17, 170, rng)
    if state == "delayed":
        return _at(_open_day(plan.window[1] + datetime.timedelta(1), plan.country), 9, 150, rng)
    if state in ("out_for_delivery", "at_locker"):
        hour = 7 if state == "out_for_delivery" else 10
        return _at(_delivery_day(plan, last_state, last, rng), hour, 110, rng)
    if state == "delivered" and last_state == "at_locker":
        return _collected(last, LOCKER_DAYS[plan.country], rng)
    if state == "delivered":
        return last + datetime.timedelta(minutes=rng.randint(35, 480))
    return _after_delivery(state, plan, events, rng)


def _after_delivery(
    state: OrderState, plan: Plan, events: list[Event], rng: random.Random
) -> datetime.datetime:
    last = events[-1][1]
    if state == "lost":
        count = MISSING_AFTER.get(plan.country, 1) + 1
        return _at(add_working_days(plan.window[1], count, plan.country), 9, 500, rng)
    if state == "damaged_reported":
        hours = 120 if plan.method == "two_person" else 46
        return _awake(last + datetime.timedelta(minutes=rng.randint(20, hours * 60)))
    if state == "refunded":
        return _refund_moment(plan, last, rng)
    delivered = dict(events)["delivered"]
    until = datetime.datetime.combine(plan.return_until(delivered.date()), datetime.time(18))
    if state == "exchange_pending":
        return _awake(last + datetime.timedelta(minutes=rng.randint(300, 6 * 24 * 60)))
    if state == "return_requested":
        # Most people decide within a fortnight, however long they might take.
        soon = min(until - datetime.timedelta(1), delivered + datetime.timedelta(14))
        return _awake(_between(last + datetime.timedelta(hours=2), soon, rng))
    handed_in = _between(
        last + datetime.timedelta(hours=3), min(until, last + datetime.timedelta(5)), rng
    )
    if not is_dispatch_day(handed_in.date(), plan.country) or not 8 <= handed_in.hour <= 19:
        raise DoesNotFitError("no parcel is handed in at that time")
    return handed_in


def _refund_moment(plan: Plan, last: datetime.datetime, rng: random.Random) -> datetime.datetime:
    if plan.buyer.tier == "gold" and plan.cause == "returned" and plan.method != "two_person":
        # Gold members get their money when the carrier scans the parcel.
        return last + datetime.timedelta(minutes=rng.randint(5, 90))
    processing = {"damaged": (1, 2), "lost": (2, 5)}.get(plan.cause, (2, 4))
    first, latest = REFUND_DAYS.get(plan.payment_method, CARD_REFUND_DAYS)
    days = rng.randint(*processing) + rng.randint(first, latest)
    return _at(add_working_days(last.date(), days, plan.country), 9, 480, rng)


def _packing_time(plan: Plan) -> tuple[datetime.datetime, datetime.datetime]:
    day = dispatch_day(plan.method, plan.zone, plan.placed)
    opening = datetime.datetime.combine(day, datetime.time(7, 30))
    closing = datetime.datetime.combine(day, datetime.time(16, 45))
    return max(opening, plan.placed + datetime.timedelta(minutes=10)), closing


def _delivery_day(
    plan: Plan, last_state: OrderState, last: datetime.datetime, rng: random.Random
) -> datetime.date:
    """Draw a day inside the estimate, or soon after the notice of a delay."""
    if last_state == "delayed":
        return _open_day(last.date() + datetime.timedelta(rng.randint(1, 4)), plan.country)
    first = max(plan.window[0], last.date() + datetime.timedelta(1))
    days = [first + datetime.timedelta(i) for i in range((plan.window[1] - first).days + 1)]
    days = [day for day in days if is_dispatch_day(day, plan.country)]
    if not days:
        raise DoesNotFitError("no day for the delivery")
    return rng.choice(days)


def _collected(at: datetime.datetime, days: int, rng: random.Random) -> datetime.datetime:
    moment = at + datetime.timedelta(minutes=rng.randint(40, days * 1440 - 60))
    if not 7 <= moment.hour <= 21 or moment.weekday() == 6:
        raise DoesNotFitError("nobody collects a parcel at that time")
    return moment


def _awake(moment: datetime.datetime) -> datetime.datetime:
    if moment.hour < 7:
        raise DoesNotFitError("hardly anybody writes at night")
    return moment


def _open_day(day: datetime.date, country: str) -> datetime.date:
    while not is_dispatch_day(day, country):
        day += datetime.timedelta(1)
    return day


def _at(day: datetime.date, hour: int, spread: int, rng: random.Random) -> datetime.datetime:
    start = datetime.datetime.combine(day, datetime.time(hour))
    return start + datetime.timedelta(minutes=rng.randint(0, spread))


def _between(
    start: datetime.datetime, end: datetime.datetime, rng: random.Random
) -> datetime.datetime:
    minutes = int((end - start).total_seconds() // 60)
    if minutes < 0:
        raise DoesNotFitError("no time is left")
    return start + datetime.timedelta(minutes=rng.randint(0, minutes))
