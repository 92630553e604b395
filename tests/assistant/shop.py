"""The demo shop's records, generated once a process: they never change, and take seconds."""

from __future__ import annotations

from functools import cache

from assistant.demo.order_records import ShopRecords
from assistant.demo.orders import generate_shop


@cache
def demo_shop() -> ShopRecords:
    """All customers and orders."""
    return generate_shop()
