"""What a change takes beside its order: each slot knows when it is needed, how it is asked for,
and how it is read from a customer's words. What it offers it understands when it comes back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from assistant import phrases
from assistant.orders.choosing import Items, Swaps, options_line
from assistant.orders.slot import CHOICES, Ask, Slot
from assistant.orders.task_store import Task
from assistant.orders.telling import item_line
from assistant.orders.wishes import Kind, names_wholly
from assistant.records.changes import (
    Cancel,
    Case,
    Change,
    Readdress,
    Repay,
    Return,
    Swap,
    difference,
)

_LEAST_ADDRESS, _MOST_ADDRESS = 8, 300  # characters


class Address:
    """Where the order shall go."""

    name = "address"

    def is_open(self, task: Task, case: Case) -> bool:
        """See Slot."""
        return not task.address

    def read(self, task: Task, case: Case, text: str, language: str) -> Task:
        """See Slot."""
        said = " ".join(text.split())
        fits = _LEAST_ADDRESS <= len(said) <= _MOST_ADDRESS and any(c.isdigit() for c in said)
        if task.asked != self.name or not fits or said.endswith(("?", "？")):
            return task
        return replace(task, address=said)

    def ask(self, task: Task, case: Case, language: str) -> Ask:
        """See Slot."""
        return Ask(phrases.say("task_which_address", language, number=case.order.number))


class Reason:
    """Why an order is cancelled, where the shop asks that."""

    name = "reason"

    def is_open(self, task: Task, case: Case) -> bool:
        """See Slot."""
        return bool(case.order.allowed.reasons) and not task.reason

    def read(self, task: Task, case: Case, text: str, language: str) -> Task:
        """See Slot."""
        if not self.is_open(task, case):
            return task
        found = [r for r in case.order.allowed.reasons if names_wholly(text, r)]
        return replace(task, reason=found[0]) if len(found) == 1 else task

    def ask(self, task: Task, case: Case, language: str) -> Ask:
        """See Slot."""
        return Ask(phrases.say("task_which_reason", language), case.order.allowed.reasons)


class Pay:
    """Which of the customer's payments, where the shop leaves a choice."""

    name = "payment"

    def __init__(self, listed: str, other: bool = False) -> None:
        self._listed = listed  # the field of `allowed` that lists them
        self._other = other  # than the one that the order was paid with

    def is_open(self, task: Task, case: Case) -> bool:
        """See Slot."""
        return bool(self._labels(case)) and not task.payment

    def read(self, task: Task, case: Case, text: str, language: str) -> Task:
        """See Slot."""
        labels = self._labels(case)
        if task.payment or not labels:
            return task
        # One that is left without a choice is not asked for, but for a payment to change to.
        if len(labels) == 1 and not self._other:
            return replace(task, payment=next(iter(labels)))
        found = [name for name, label in labels.items() if label.casefold() in text.casefold()]
        found = found or [n for n, label in labels.items() if names_wholly(text, label)]
        return replace(task, payment=found[0]) if len(found) == 1 else task

    def ask(self, task: Task, case: Case, language: str) -> Ask:
        """See Slot."""
        text = phrases.say(f"task_which_payment_{task.kind}", language, number=case.order.number)
        return Ask(text, tuple(self._labels(case).values())[:CHOICES])

    def _labels(self, case: Case) -> dict[str, str]:
        listed: tuple[str, ...] = getattr(case.order.allowed, self._listed)
        return {
            p.id: p.label for p in case.customer.payments
            if p.id in listed and not (self._other and p.id == case.order.payment)
        }  # fmt: skip


SLOTS: dict[Kind, tuple[Slot, ...]] = {
    "cancel": (Reason(),),
    "return": (Items("returnable"), Pay("refund_to")),
    "swap": (Items("swappable"), Swaps(), Pay("pay_with")),
    "address": (Address(),),
    "payment": (Pay("pay_with", other=True),),
}


def change_of(task: Task) -> Change:
    """The change that a task without open slots is."""
    match task.kind:
        case "cancel":
            return Cancel(task.order, task.reason)
        case "return":
            return Return(task.order, task.items, task.payment)
        case "swap":
            return Swap(task.order, task.items, task.swaps, task.payment)
        case "address":
            return Readdress(task.order, task.address)
        case "payment":
            return Repay(task.order, task.payment)


def values_of(change: Change, case: Case) -> dict[str, str]:
    """What phrases about a change are filled with, but for amounts."""
    found: dict[str, str] = {"number": case.order.number}
    items = {item.id: item for item in case.order.items}
    labels = {p.id: p.label for p in case.customer.payments}
    match change:
        case Return(items=chosen):
            found["items"] = ", ".join(item_line(items[name]) for name in chosen)
        case Swap(items=chosen, variants=swapped):
            pairs = zip(chosen, swapped, strict=True)
            found["items"] = ", ".join(
                f"{item_line(items[old])} → {options_line(case.variants[new])}"
                for old, new in pairs
            )
        case Readdress(address=address):
            found["address"] = address
        case Repay(payment=payment):
            found["payment"] = labels.get(payment, payment)
    return found


def extra(change: Change, case: Case) -> Decimal:
    """What the customer pays more."""
    return difference(change, case) if isinstance(change, Swap) else Decimal(0)
