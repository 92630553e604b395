"""Returns, payment methods and refunds of Maplewick; the numbers of its help pages."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.demo.catalogue import Product
from assistant.demo.delivery_rules import is_large

EU_AND_UK = {"GB", "IE", "DE", "AT", "FR", "NL"}
NEW_RULE_FROM = datetime.date(2026, 9, 1)
OLD_RULE_DAYS = 28
HOLIDAY_ORDERS = (datetime.date(2026, 11, 1), datetime.date(2026, 12, 24))
HOLIDAY_LAST_DAY = datetime.date(2027, 1, 24)
RETURN_DAYS = dict.fromkeys(EU_AND_UK, 30) | {"US": 45, "CA": 45, "HK": 14, "SG": 14}
CHINA_DAYS, CHINA_MEMBER_DAYS = 7, 15
SHORT_DAYS = 14
RETURN_POSTAGE = {"GB": 2.5, "US": 6.0, "CA": 8.0} | dict.fromkeys(
    ("IE", "DE", "AT", "FR", "NL"), 3.5
)
COLLECTION_FEES = {"GB": 35.0, "DE": 40.0, "NL": 40.0, "US": 79.0}
RESTOCKING_SHARE = 0.15
RESTOCKING_COUNTRIES = {"US", "CA"}
EXCHANGE_COUNTRIES = {"GB", "DE", "NL", "US", "CN"}

CARDS = ("Visa", "Mastercard", "American Express")
WALLETS = ("PayPal", "Apple Pay", "Google Pay")
PAYMENT_METHODS = {
    "GB": (*CARDS, *WALLETS, "Klarna"),
    "IE": (*CARDS, *WALLETS),
    "DE": (*CARDS, *WALLETS, "Klarna"),
    "AT": (*CARDS, "PayPal"),
    "FR": (*CARDS, *WALLETS),
    "NL": ("Visa", "Mastercard", "PayPal", "Klarna", "iDEAL", "iDEAL"),
    "US": (*CARDS, *WALLETS, "Affirm"),
    "CA": (*CARDS, *WALLETS),
    "CN": ("Alipay", "WeChat Pay", "Alipay", "WeChat Pay", "UnionPay", "Huabei", "Visa"),
    "HK": (*CARDS, "PayPal", "FPS", "Octopus"),
    "SG": (*CARDS, "PayPal", "PayNow", "GrabPay"),
}
SEPA_COUNTRIES = {"DE", "AT", "NL", "FR"}
INSTALMENTS = {"Klarna", "Affirm", "Huabei"}
# Klarna's limits are GBP 30 to 800; the euro ones are a little inside the converted limits.
INSTALMENT_LIMITS = {
    ("Klarna", "GBP"): (30, 800),
    ("Klarna", "EUR"): (36, 940),
    ("Affirm", "USD"): (50, 2000),
}
CHARGED_AT_DISPATCH = {*CARDS, "UnionPay"}
REFUND_DAYS = {"PayPal": (1, 2), "Klarna": (5, 7), "SEPA transfer": (7, 10)} | dict.fromkeys(
    ("Alipay", "WeChat Pay", "Huabei"), (1, 3)
)
CARD_REFUND_DAYS = (3, 5)


@dataclass(frozen=True)
class Buyer:
    """What the return rules ask about an order's customer and day."""

    country: str
    tier: str
    placed: datetime.date


def is_returnable(product: Product, country: str) -> bool:
    """Say whether a product may come back for a change of mind at all."""
    if product.group == "gift_cards" or product.personalised or product.hygiene_sealed:
        return False
    if product.final_sale and country not in EU_AND_UK:
        return False
    # In China a collection is priced for each case, so no fixed refund can be told.
    return country in COLLECTION_FEES or not is_large(product)


def last_return_day(
    buyer: Buyer, products: Sequence[Product], delivered: datetime.date
) -> datetime.date:
    """Return the last day on which all of the products may be sent back.

    Opened electronics are assumed, so that the day is right whether or not a box was opened.
    """
    if any(product.marketplace_seller for product in products):
        return delivered + datetime.timedelta(30)
    opened = any(product.group == "electronics" for product in products)
    short = opened or any(product.final_sale or is_large(product) for product in products)
    days = OLD_RULE_DAYS
    if buyer.placed >= NEW_RULE_FROM and buyer.country == "CN":
        member = buyer.tier != "none" and not opened
        days = CHINA_MEMBER_DAYS if member else CHINA_DAYS
    elif buyer.placed >= NEW_RULE_FROM:
        days = RETURN_DAYS[buyer.country]
    last = delivered + datetime.timedelta(min(days, SHORT_DAYS) if short else days)
    in_season = HOLIDAY_ORDERS[0] <= buyer.placed <= HOLIDAY_ORDERS[1]
    return (
        max(last, HOLIDAY_LAST_DAY) if in_season and not short and buyer.country != "CN" else last
    )


def return_cost(buyer: Buyer, products: Sequence[Product]) -> float:
    """Return what is taken off a refund for bringing the products back."""
    if any(product.marketplace_seller for product in products):
        return 0.0
    if any(is_large(product) for product in products):
        return COLLECTION_FEES[buyer.country]
    if buyer.placed < NEW_RULE_FROM or buyer.tier == "gold":
        return 0.0
    # In China, Hong Kong and Singapore the buyer pays a courier directly.
    return RETURN_POSTAGE.get(buyer.country, 0.0)


def payment_methods(
    country: str, currency: str, total: float, business: bool, products: Sequence[Product]
) -> tuple[str, ...]:
    """List the ways to pay for a basket; a common way is listed twice."""
    special = any(p.marketplace_seller or p.group == "gift_cards" for p in products)

    def accepted(method: str) -> bool:
        low, high = INSTALMENT_LIMITS.get((method, currency), (0, float("inf")))
        on_instalments = method in INSTALMENTS
        return low <= total <= high and not (on_instalments and (special or business))

    methods = tuple(method for method in PAYMENT_METHODS[country] if accepted(method))
    return (
        (*methods, *("SEPA transfer",) * 3) if business and country in SEPA_COUNTRIES else methods
    )
