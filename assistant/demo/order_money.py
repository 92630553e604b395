"""What has been charged for an order and what has been given back."""

import random
from collections.abc import Sequence

from assistant.demo.baskets import Item, goods_of
from assistant.demo.order_history import Event, Plan
from assistant.demo.order_records import OrderState, Payment, PaymentStatus, Refund, RefundReason
from assistant.demo.return_rules import (
    CHARGED_AT_DISPATCH,
    EU_AND_UK,
    NEW_RULE_FROM,
    RESTOCKING_COUNTRIES,
    RESTOCKING_SHARE,
    Buyer,
    return_cost,
)

# In these states some lines may be concerned while the others have simply been delivered.
PARTIAL_STATES = {
    "damaged_reported", "return_requested", "return_in_transit", "refunded", "exchange_pending",
}  # fmt: skip
DELIVERY_FEE_BACK_DAYS = 14


def line_states(plan: Plan, count: int, rng: random.Random) -> list[OrderState]:
    """Draw the state of each line of an order; a parcel that is lost takes all lines with it."""
    first: OrderState = plan.state
    rest: OrderState = "delivered"
    all_lost = plan.state == "refunded" and plan.cause == "lost"
    if plan.state == "partially_shipped":
        concerned, first, rest = rng.randint(1, count - 1), "shipped", "backordered"
    elif plan.state not in PARTIAL_STATES or all_lost:
        concerned = count
    else:
        concerned = 1 if plan.state == "exchange_pending" else rng.choice((1, count))
    return [first] * concerned + [rest] * (count - concerned)


def refund_of(
    plan: Plan,
    items: Sequence[Item],
    states: Sequence[OrderState],
    events: Sequence[Event],
    rng: random.Random,
) -> Refund | None:
    """Reckon the refund of an order, or return None where no money has gone back."""
    moments = dict(events)
    if plan.state == "cancelled" and not _is_charged_later(plan):
        goods, discount = goods_of(items)
        return _refund(
            "cancelled", goods - discount, plan.fee, 0.0, 0.0, moments["cancelled"].isoformat()
        )
    if plan.state != "refunded":
        return None
    at = moments["refunded"].isoformat()
    back = [item for item, state in zip(items, states, strict=True) if state == "refunded"]
    goods, discount = goods_of(back)
    if plan.cause != "returned":
        return _refund(plan.cause, goods - discount, plan.fee, 0.0, 0.0, at)
    products = [item.product for item in back]
    days = (moments["return_in_transit"].date() - moments["delivered"].date()).days
    whole = len(back) == len(items) and days <= DELIVERY_FEE_BACK_DAYS
    fee_back = plan.fee if whole and plan.country in EU_AND_UK and plan.method != "seller" else 0.0
    restocking = restocking_fee(plan.buyer, back) if rng.random() < 0.5 else 0.0
    cost = min(return_cost(plan.buyer, products), goods - discount - restocking)
    return _refund("returned", goods - discount, fee_back, cost, restocking, at)


def payment_of(
    plan: Plan,
    items: Sequence[Item],
    states: Sequence[OrderState],
    events: Sequence[Event],
    refund: Refund | None,
) -> Payment:
    """Tell what has been charged so far: cards pay at dispatch, everything else at once."""
    moments = dict(events)
    goods, discount = goods_of(items)
    total = round(goods - discount + plan.fee, 2)
    status: PaymentStatus = "charged"
    at = moments["placed"].isoformat()
    if plan.state == "payment_failed":
        return Payment(plan.payment_method, "failed", 0.0, None)
    if plan.method != "email" and _is_charged_later(plan):
        if plan.state == "cancelled":
            return Payment(plan.payment_method, "released", 0.0, None)
        sent = moments.get("shipped", moments.get("partially_shipped"))
        if sent is None:
            return Payment(plan.payment_method, "reserved", 0.0, None)
        at = sent.isoformat()
        if plan.state == "partially_shipped":
            status = "partly_charged"
            gone = [i for i, state in zip(items, states, strict=True) if state == "shipped"]
            goods, discount = goods_of(gone)
            total = round(goods - discount + plan.fee, 2)
    if refund is not None:
        status = "refunded" if refund.total == total else "partly_refunded"
    return Payment(plan.payment_method, status, total, at)


def _is_charged_later(plan: Plan) -> bool:
    """Say whether the money is only reserved at first: with cards, and for every preorder."""
    return plan.payment_method in CHARGED_AT_DISPATCH or plan.state == "preorder"


def restocking_fee(buyer: Buyer, items: Sequence[Item]) -> float:
    """Return the fee for opened electronics, which only North American orders know."""
    if buyer.country not in RESTOCKING_COUNTRIES or buyer.placed < NEW_RULE_FROM:
        return 0.0
    devices = [item for item in items if item.product.group == "electronics"]
    own = [item for item in devices if item.product.marketplace_seller is None]
    return round(sum(item.total - item.discount for item in own) * RESTOCKING_SHARE, 2)


def _refund(
    reason: RefundReason, goods: float, fee: float, cost: float, restocking: float, at: str
) -> Refund:
    goods, cost = round(goods, 2), round(cost, 2)
    total = round(goods + fee - cost - restocking, 2)
    return Refund(reason, goods, fee, cost, restocking, total, at)
