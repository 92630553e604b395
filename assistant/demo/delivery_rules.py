"""Where Maplewick delivers, how, how fast and for how much; the numbers of its help pages."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.demo.catalogue import Product
from assistant.demo.order_records import Method


@dataclass(frozen=True)
class Zone:
    """Terms for parcels to one country or part of it; `days` and `express_days` are ranges."""

    currency: str
    days: tuple[int, int]
    fee: float
    free_from: float
    express_days: tuple[int, int] | None = None
    express_fee: float = 0.0
    cutoff_hour: int = 13


ZONES = {
    "GB": Zone("GBP", (2, 4), 3.95, 45, (1, 1), 6.95, 15),
    "GB-remote": Zone("GBP", (4, 6), 5.95, 75),
    "IE": Zone("EUR", (4, 6), 6.50, 70, (2, 2), 12.50),
    "DE": Zone("EUR", (3, 5), 4.90, 60, (1, 2), 9.90, 13),
    "AT": Zone("EUR", (4, 6), 7.90, 90),
    "FR": Zone("EUR", (4, 7), 5.90, 70, (2, 2), 11.90),
    "NL": Zone("EUR", (3, 5), 4.50, 55),
    "US": Zone("USD", (3, 6), 5.99, 50, (2, 2), 14.99),
    "US-remote": Zone("USD", (7, 12), 12.99, 120),
    "CA": Zone("CAD", (5, 9), 9.99, 90, (3, 3), 19.99),
    "CN": Zone("CNY", (2, 4), 12, 99, (1, 1), 20, 16),
    "CN-remote": Zone("CNY", (5, 9), 25, 299),
    "HK": Zone("HKD", (3, 5), 40, 400, (1, 1), 65),
    "SG": Zone("SGD", (4, 7), 8, 80),
}
REMOTE_REGIONS = {
    "GB": {"Highlands", "Northern Ireland"},
    "US": {"Alaska", "Hawaii"},
    "CN": {"新疆", "西藏", "青海", "内蒙古"},
}
# Elsewhere in these countries an express service exists, but not for every address.
EXPRESS_PLACES = {
    "CA": {"Ontario", "Quebec", "British Columbia"},
    "CN": {"上海", "北京", "广州", "深圳", "杭州"},
}
SILVER_FREE_FROM = {"GBP": 25, "EUR": 35, "USD": 30, "CNY": 59}
FURNITURE_FEES = {"GB": 39.0, "DE": 45.0, "NL": 45.0, "US": 89.0, "CN": 120.0}
FURNITURE_FREE_FROM = {"GB": 600.0}
FURNITURE_DAYS = (7, 14)
LOCKER_DAYS = {"GB": 5, "DE": 7, "NL": 7, "CN": 2}
NO_MARKETPLACE = {"CN", "HK", "SG"}
SELLER_DAYS = (3, 8)
# The western warehouses were shut on these days; the Chinese one works through.
CLOSED_DAYS = {
    *(datetime.date(2025, 12, day) for day in (25, 26, 27, 28)),
    datetime.date(2026, 1, 1),
}
CARRIERS = {
    "GB": "Fernway Parcels",
    "US": "Cascade Parcel",
    "CA": "Cascade Parcel",
    "CN": "青羽速递",
    "HK": "Harbour Courier",
    "SG": "Straits Courier",
}
EU_CARRIER = "Kranich Paket"


def zone_of(country: str, region: str) -> str:
    """Return the key of ZONES for an address."""
    return f"{country}-remote" if region in REMOTE_REGIONS.get(country, ()) else country


def is_large(product: Product) -> bool:
    """Say whether a product needs the two-person service; small furniture comes as a parcel."""
    by_parcel = "parcel" in product.attributes.get("delivery", "").lower()
    return product.group == "furniture" and not by_parcel


def delivers_large(zone: str) -> bool:
    """Say whether the two-person service comes to a zone."""
    return zone in FURNITURE_FEES or zone == "GB-remote"


def methods_for(
    country: str, city: str, region: str, products: Sequence[Product]
) -> tuple[Method, ...]:
    """List the delivery methods on offer for a basket; it is empty if nothing may be sent.

    A basket is all of one kind: parcels, large furniture, one seller's goods or gift cards.
    """
    zone = zone_of(country, region)
    if any(is_large(product) for product in products):
        return ("two_person",) if delivers_large(zone) else ()
    if any(product.marketplace_seller for product in products):
        return () if country in NO_MARKETPLACE else ("seller",)
    if any(product.group == "gift_cards" for product in products):
        return ("email",)
    if any(product.lithium for product in products):
        return ("standard",)
    methods: list[Method] = ["standard"]
    reached = EXPRESS_PLACES.get(country, {region, city})
    if ZONES[zone].express_days and (region in reached or city in reached):
        methods.append("express")
    if country in LOCKER_DAYS:
        methods.append("locker")
    return tuple(methods)


def delivery_fee(method: Method, zone: str, tier: str, goods: float) -> float:
    """Return the fee for goods of a value (after discount), in the currency of the zone."""
    terms, country = ZONES[zone], zone[:2]
    if method == "email":
        return 0.0
    if method == "two_person":
        free = goods >= FURNITURE_FREE_FROM.get(country, float("inf"))
        return 0.0 if free else FURNITURE_FEES[country]
    if method == "seller":
        # Neither the free-delivery limit nor a tier counts for goods of a marketplace seller.
        return terms.fee
    if method == "express":
        return _half(terms.express_fee) if tier == "gold" else terms.express_fee
    silver_from = SILVER_FREE_FROM.get(terms.currency, terms.free_from)
    free_from = min(silver_from, terms.free_from) if tier == "silver" else terms.free_from
    return 0.0 if tier == "gold" or goods >= free_from else terms.fee


def carrier_of(method: Method, country: str) -> str | None:
    """Name who brings a delivery; e-mail needs nobody."""
    if method == "email":
        return None
    if method in ("two_person", "seller"):
        return {"two_person": "Maplewick two-person crew", "seller": "seller's carrier"}[method]
    if (method, country) == ("express", "HK"):
        return "SF Express"
    return CARRIERS.get(country, EU_CARRIER)


def delivery_window(
    method: Method, zone: str, placed: datetime.datetime
) -> tuple[datetime.date, datetime.date]:
    """Return the first and last day on which an order may be expected."""
    terms, country, day = ZONES[zone], zone[:2], placed.date()
    if method == "email":
        return day, day
    if method == "two_person":
        first, last = FURNITURE_DAYS
        return day + datetime.timedelta(first), day + datetime.timedelta(last)
    first, last = SELLER_DAYS if method == "seller" else terms.days
    if method == "express" and terms.express_days:
        day, (first, last) = dispatch_day(method, zone, placed), terms.express_days
    if country == "CN":
        # The Chinese pages count calendar days.
        return day + datetime.timedelta(first), day + datetime.timedelta(last)
    return add_working_days(day, first, country), add_working_days(day, last, country)


def dispatch_day(method: Method, zone: str, placed: datetime.datetime) -> datetime.date:
    """Return the day on which an order leaves the warehouse: never a Sunday or a closed day."""
    terms, country, day = ZONES[zone], zone[:2], placed.date()
    if method == "two_person":
        day += datetime.timedelta(5)
    elif placed.hour >= (terms.cutoff_hour if method == "express" else 13):
        day += datetime.timedelta(1)
    works = is_working_day if method == "express" and country != "CN" else is_dispatch_day
    while not works(day, country):
        day += datetime.timedelta(1)
    return day


def is_dispatch_day(day: datetime.date, country: str) -> bool:
    """Say whether parcels leave and arrive on a day: Monday to Saturday."""
    return day.weekday() != 6 and (country in NO_MARKETPLACE or day not in CLOSED_DAYS)


def is_working_day(day: datetime.date, country: str) -> bool:
    """Say whether a day counts as a working day: Monday to Friday."""
    return day.weekday() < 5 and is_dispatch_day(day, country)


def add_working_days(day: datetime.date, count: int, country: str) -> datetime.date:
    """Return the working day that lies `count` working days after a day."""
    while count > 0:
        day += datetime.timedelta(1)
        count -= is_working_day(day, country)
    return day


def _half(fee: float) -> float:
    """Halve a fee to full cents, the half cent up."""
    return (round(fee * 100) + 1) // 2 / 100
