"""Customers and orders in the shop's own system, asked over HTTP.

What the shop has to answer, JSON with the fields of records/types.py (dates ISO 8601, amounts as
strings), 404 where there is nothing, `Authorization: Bearer TOKEN` checked:

    GET  URL/customers/{id}
    GET  URL/customers/{id}/orders?limit=20        newest first: {"orders": [...]}
    GET  URL/customers/{id}/orders/{number}        only this customer's
    GET  URL/products/{id}/variants                {"variants": [...]}
    POST URL/identify {"number", "email"}          {"customer_id"}
    POST URL/customers/{id}/orders/{number}/changes {"key", "change"}   the order as it is then

A change has the fields of those in records/changes.py; the same key is obeyed once. 409 {"reason"}
says why it may not be, of the objections there; the system checks its own rules, whatever was
checked here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from assistant.errors import ChangeRefusedError, RecordsError
from assistant.records.changes import Change
from assistant.records.types import Customer, Order, Variant

_CUSTOMER, _ORDER, _VARIANT = TypeAdapter(Customer), TypeAdapter(Order), TypeAdapter(Variant)
_CHANGE: TypeAdapter[Change] = TypeAdapter(Change)
_NOTHING, _REFUSED = 404, 409
_NAME = re.compile(r"[#\w][\w.@:+-]*")
T = TypeVar("T")
Owned = TypeVar("Owned", Customer, Order)


class HttpRecords:
    """See Records."""

    def __init__(
        self, url: str, token: str, seconds: float, transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(
            base_url=url, headers=headers, timeout=seconds, transport=transport
        )

    def customer(self, customer_id: str) -> Customer | None:
        """See Records."""
        found = self._get("customers", customer_id)
        return self._own(_read(_CUSTOMER, found), customer_id) if found is not None else None

    def orders(self, customer_id: str, limit: int = 20) -> Sequence[Order]:
        """See Records."""
        found = self._get("customers", customer_id, "orders", limit=limit)
        if found is None:
            return []
        if not isinstance(found, dict) or not isinstance(found.get("orders"), list):
            raise RecordsError("the shop's system answered without a list of orders")
        return [self._own(_read(_ORDER, order), customer_id) for order in found["orders"][:limit]]

    def order(self, customer_id: str, number: str) -> Order | None:
        """See Records."""
        found = self._get("customers", customer_id, "orders", number.strip())
        return self._own(_read(_ORDER, found), customer_id) if found is not None else None

    def variants(self, product_id: str) -> Sequence[Variant]:
        """See Records."""
        found = self._get("products", product_id, "variants")
        if found is None:
            return []
        if not isinstance(found, dict) or not isinstance(found.get("variants"), list):
            raise RecordsError("the shop's system answered without a list of variants")
        return [_read(_VARIANT, variant) for variant in found["variants"]]

    def change(self, customer_id: str, change: Change, key: str) -> Order:
        """See Records."""
        path = ("customers", customer_id, "orders", change.order.strip(), "changes")
        if not all(map(_NAME.fullmatch, path)):
            raise ChangeRefusedError("not_there")
        body = {"key": key, "change": _CHANGE.dump_python(change, mode="json")}
        found = self._ask("POST", "/" + "/".join(map(quote, path)), json=body)
        if found is None:
            raise ChangeRefusedError("not_there")
        return self._own(_read(_ORDER, found), customer_id)

    def identify(self, number: str, email: str) -> str | None:
        """See Records."""
        asked = {"number": number.strip(), "email": email.strip()}
        found = self._ask("POST", "/identify", json=asked)
        if found is None:
            return None
        if not isinstance(found, dict) or not isinstance(found.get("customer_id"), str):
            raise RecordsError("the shop's system identified a customer without customer_id")
        return str(found["customer_id"])

    def _get(self, *path: str, **parameters: int) -> Any:
        """What stands at a path, or None; nothing stands at names that would lead elsewhere."""
        if not all(map(_NAME.fullmatch, path)):
            return None
        return self._ask("GET", "/" + "/".join(map(quote, path)), params=parameters)

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        """What was answered; None for nothing."""
        try:
            response = self._client.request(method, path, **options)
            if response.status_code == _NOTHING:
                return None
            if response.status_code == _REFUSED:
                raise ChangeRefusedError(str(response.json()["reason"]))
            response.raise_for_status()
            return response.json()
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise RecordsError(f"the shop's system could not be asked: {error}") from error

    @staticmethod
    def _own(record: Owned, customer_id: str) -> Owned:
        """The record, when it is this customer's: a system that mixes them up is not believed."""
        owner = record.customer_id if isinstance(record, Order) else record.id
        if owner != customer_id:
            raise RecordsError("the shop's system answered with another customer's record")
        return record


def _read(kind: TypeAdapter[T], record: Any) -> T:
    try:
        return kind.validate_python(record)
    except ValidationError as error:
        raise RecordsError(f"the shop's system answered with a damaged record: {error}") from error
