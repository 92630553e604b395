"""The demo shop's customers and orders, invented from a seed: equal seeds give equal records."""

import datetime
import random
from collections.abc import Sequence
from dataclasses import replace

from assistant.demo.baskets import Item, draw_basket, goods_of
from assistant.demo.catalogue import Product, load_catalogue
from assistant.demo.delivery_rules import (
    LOCKER_DAYS,
    ZONES,
    add_working_days,
    carrier_of,
    delivery_fee,
    delivery_window,
    methods_for,
    zone_of,
)
from assistant.demo.order_history import (
    NOW,
    PLACED_WITHIN,
    DoesNotFitError,
    Event,
    Plan,
    build_history,
)
from assistant.demo.order_money import line_states, payment_of, refund_of
from assistant.demo.order_records import (
    Customer,
    Delivery,
    Method,
    Order,
    OrderLine,
    OrderState,
    RefundReason,
    ShopRecords,
    StatusChange,
)
from assistant.demo.people import invent_customers, joining_day, with_tiers
from assistant.demo.return_rules import (
    EXCHANGE_COUNTRIES,
    Buyer,
    last_return_day,
    payment_methods,
)
from assistant.demo.tastes import Tastes

CUSTOMERS, MOST_ORDERS = 300, 12
STATE_COUNTS: dict[OrderState, int] = {
    # States that few countries know come first, while there is still a choice of customers.
    "at_locker": 25, "exchange_pending": 35, "placed": 30, "payment_failed": 30, "packed": 30,
    "partially_shipped": 25, "shipped": 70, "out_for_delivery": 30, "delivered": 780,
    "delayed": 30, "lost": 20, "damaged_reported": 30, "cancelled": 75, "preorder": 30,
    "backordered": 25, "return_requested": 45, "return_in_transit": 40, "refunded": 150,
}  # fmt: skip
FIRST_DAY = datetime.datetime(2025, 6, 1)
RECALL_DAY = datetime.datetime(2026, 6, 15)
# Why money is given back, should it be: mostly people change their minds.
CAUSES: tuple[RefundReason, ...] = ("returned", "damaged", "lost")
CAUSE_WEIGHTS = (75, 15, 10)
METHOD_WEIGHTS = {"express": 18, "locker": 20}
SENT_STATES = {"shipped", "partially_shipped"}


def generate_shop(seed: int = 20261123, products: Sequence[Product] | None = None) -> ShopRecords:
    """Invent the customers and their orders; without `products` the catalogue is loaded.

    Every order is drawn from a seed of its own and twice over: once to see what a customer
    spends, and again under the tier that follows from it, since fees and refunds depend on it.
    """
    products = load_catalogue() if products is None else products
    rng = random.Random(seed)
    customers = invent_customers(CUSTOMERS, rng)
    tastes = Tastes(products, seed)
    plan = _deal_states(customers, rng)

    def draw_orders() -> list[Order]:
        by_id = {customer.id: customer for customer in customers}
        return [
            _draw_order(by_id[customer_id], state, tastes, random.Random(f"{seed}/{i}"))
            for i, (customer_id, state) in enumerate(plan)
        ]

    customers = with_tiers(customers, draw_orders())
    orders = sorted(draw_orders(), key=lambda order: order.placed_at)
    numbers = sorted(rng.sample(range(1_500_000, 3_500_000), len(orders)))
    first_days: dict[str, str] = {}
    for order in orders:
        first_days.setdefault(order.customer_id, order.placed_at[:10])
    return ShopRecords(
        tuple(replace(c, joined=joining_day(first_days[c.id], rng)) for c in customers),
        tuple(replace(o, id=f"MW-{n}") for o, n in zip(orders, numbers, strict=True)),
    )


def _deal_states(customers: Sequence[Customer], rng: random.Random) -> list[tuple[str, OrderState]]:
    """Give each customer 1 to 12 orders and each order a state that its country allows."""
    keenness = [rng.choice((1, 2, 4, 9)) for _ in customers]
    counts = [1] * len(customers)
    while sum(counts) < sum(STATE_COUNTS.values()):
        chosen = rng.choices(range(len(customers)), keenness)[0]
        counts[chosen] += counts[chosen] < MOST_ORDERS
    slots = [c for c, count in zip(customers, counts, strict=True) for _ in range(count)]
    rng.shuffle(slots)
    plan: list[tuple[str, OrderState]] = []
    for state, count in STATE_COUNTS.items():
        for _ in range(count):
            index = next(i for i, customer in enumerate(slots) if _may_have(customer, state))
            plan.append((slots.pop(index).id, state))
    return plan


def _may_have(customer: Customer, state: OrderState) -> bool:
    if state == "at_locker":
        return customer.country in LOCKER_DAYS
    return state != "exchange_pending" or customer.country in EXCHANGE_COUNTRIES


def _draw_order(customer: Customer, state: OrderState, tastes: Tastes, rng: random.Random) -> Order:
    # Drawn once, since the rarer fates are the easier ones to find a plausible history for.
    cause = rng.choices(CAUSES, CAUSE_WEIGHTS)[0]
    for _ in range(3000):
        try:
            return _try_order(customer, state, cause, tastes, rng)
        except DoesNotFitError:
            continue
    raise RuntimeError(f"no plausible order {state} for a customer in {customer.country}")


def _try_order(
    customer: Customer,
    state: OrderState,
    cause: RefundReason,
    tastes: Tastes,
    rng: random.Random,
) -> Order:
    """Draw one order completely, or raise DoesNotFitError if its days do not come out."""
    zone = zone_of(customer.country, customer.region)
    currency = ZONES[zone].currency
    items = draw_basket(state, customer, currency, tastes, rng)
    goods, discount = goods_of(items)
    plan = _plan(customer, state, cause, items, rng)
    events = build_history(plan, rng)
    states = line_states(plan, len(items), rng)
    refund = refund_of(plan, items, states, events, rng)
    return Order(
        id="",
        customer_id=customer.id,
        placed_at=plan.placed.isoformat(),
        state=state,
        currency=currency,
        lines=tuple(
            _line(item, line_state, customer.language)
            for item, line_state in zip(items, states, strict=True)
        ),
        goods_total=goods,
        discount=discount,
        delivery=_delivery(plan, events, rng),
        total=round(goods - discount + plan.fee, 2),
        payment=payment_of(plan, items, states, events, refund),
        marketplace_seller=items[0].product.marketplace_seller,
        history=tuple(StatusChange(name, at.isoformat()) for name, at in events),
        refund=refund,
    )


def _plan(
    customer: Customer,
    state: OrderState,
    cause: RefundReason,
    items: Sequence[Item],
    rng: random.Random,
) -> Plan:
    """Draw how and when a basket is ordered, sent and paid."""
    zone, bought = zone_of(customer.country, customer.region), [item.product for item in items]
    method = _method(customer, state, bought, rng)
    placed = _placed(state, bought, rng)
    goods, discount = goods_of(items)
    value = round(goods - discount, 2)
    fee = delivery_fee(method, zone, customer.tier, value)
    buyer = Buyer(customer.country, customer.tier, placed.date())
    ways = payment_methods(
        customer.country, ZONES[zone].currency, value + fee, customer.business, bought
    )
    return Plan(
        state=state,
        cause=cause,
        placed=placed,
        method=method,
        zone=zone,
        window=delivery_window(method, zone, _leaves(placed, bought)),
        fee=fee,
        payment_method=rng.choice(ways),
        buyer=buyer,
        return_until=lambda delivered: last_return_day(buyer, bought, delivered),
    )


def _method(
    customer: Customer, state: OrderState, products: Sequence[Product], rng: random.Random
) -> Method:
    methods = methods_for(customer.country, customer.city, customer.region, products)
    if state == "at_locker":
        return "locker"
    return rng.choices(methods, [METHOD_WEIGHTS.get(method, 62) for method in methods])[0]


def _placed(
    state: OrderState, products: Sequence[Product], rng: random.Random
) -> datetime.datetime:
    """Draw the moment of ordering: from 7 in the morning to midnight, more often of late."""
    age = (NOW - FIRST_DAY).days
    days = (
        rng.uniform(0, PLACED_WITHIN[state])
        if state in PLACED_WITHIN
        else age * rng.random() ** 1.4
    )
    day = (NOW - datetime.timedelta(days)).replace(hour=0, minute=0, second=0, microsecond=0)
    placed = day + datetime.timedelta(minutes=rng.randint(7 * 60, 24 * 60 - 1))
    recalled = any(product.recalled for product in products)
    if not FIRST_DAY <= placed <= NOW or (recalled and placed >= RECALL_DAY):
        raise DoesNotFitError("the product is not sold on that day")
    return placed


def _leaves(placed: datetime.datetime, products: Sequence[Product]) -> datetime.datetime:
    """Return the moment from which the delivery time counts: a preorder waits for its release."""
    release = products[0].preorder_date
    return datetime.datetime.fromisoformat(release) if release else placed


def _line(item: Item, state: OrderState, language: str) -> OrderLine:
    product, variant = item.product, item.product.variant
    if product.group == "gift_cards":
        # The variant is the amount in pounds; the customer chose one in another currency.
        variant = f"{item.unit_price:.0f}"
    return OrderLine(
        product_id=product.id,
        title=product.title_zh if language == "zh" else product.title,
        variant=variant,
        size=item.size,
        quantity=item.quantity,
        unit_price=item.unit_price,
        total=item.total,
        state=state,
    )


def _delivery(plan: Plan, events: Sequence[Event], rng: random.Random) -> Delivery:
    moments = dict(events)
    sent = bool(SENT_STATES & moments.keys())
    # Sellers need not enter a number, and furniture has an appointment page instead.
    tracked = (
        sent and plan.method != "two_person" and (plan.method != "seller" or rng.random() < 0.5)
    )
    revised = None
    if "delayed" in moments and "lost" not in moments:
        revised = add_working_days(moments["delayed"].date(), 4, plan.country)
    elif "backordered" in moments:
        revised = plan.window[1] + datetime.timedelta(28)
    return Delivery(
        method=plan.method,
        fee=plan.fee,
        carrier=carrier_of(plan.method, plan.country),
        tracking_number=f"{plan.country}{rng.randrange(10**9, 10**10)}" if tracked else None,
        earliest=plan.window[0].isoformat(),
        latest=plan.window[1].isoformat(),
        revised_latest=revised.isoformat() if revised else None,
    )
