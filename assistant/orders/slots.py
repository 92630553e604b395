"""What a change takes beside its order: each slot knows when it is needed, how it is asked for,
and how it is read from a customer's words. What it offers it understands when it comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from assistant import phrases
from assistant.orders.task_store import Task
from assistant.orders.telling import item_line
from assistant.orders.wishes import Kind, names, names_wholly, says
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
from assistant.records.types import Item, Variant
from knowledge.segment import content_words

_CHOICES = 3
_LEAST_ADDRESS, _MOST_ADDRESS = 8, 300  # characters


@dataclass(frozen=True, slots=True)
class Ask:
    """A question for what is missing, and choices to press."""

    text: str
    choices: tuple[str, ...] = ()


class Slot(Protocol):
    """Something that a change takes."""

    name: str

    def is_open(self, task: Task, case: Case) -> bool:
        """Whether it is needed and not known yet."""
        ...

    def read(self, task: Task, case: Case, text: str, language: str) -> Task:
        """The task with what a message says of it; as it was where it says nothing."""
        ...

    def ask(self, task: Task, case: Case, language: str) -> Ask:
        """How it is asked for."""
        ...


class Items:
    """Which items of the order; the only one that may be is not asked for."""

    name = "items"

    def __init__(self, may: str) -> None:
        self._may = may  # the field of an item that says whether it may be

    def is_open(self, task: Task, case: Case) -> bool:
        """See Slot."""
        return not task.items

    def read(self, task: Task, case: Case, text: str, language: str) -> Task:
        """See Slot."""
        usable = self._usable(case)
        if task.items and task.asked != self.name:
            return task
        if len(usable) == 1 or says("everything", text, language):
            return replace(task, items=_ids(usable))
        named = _as_often_as_said(usable, text) or [i for i in usable if names(text, i.title)]
        # Several of one kind are told apart by what was chosen of them.
        chosen = [i for i in named if _named_options(i.options, text)]
        if chosen and len({i.title for i in named}) < len(named):
            named = chosen
        return replace(task, items=_ids(named)) if named else task

    def ask(self, task: Task, case: Case, language: str) -> Ask:
        """See Slot."""
        usable = self._usable(case)
        lines = "\n".join(f"- {item_line(item)}" for item in usable)
        text = phrases.say(f"task_which_items_{task.kind}", language, number=case.order.number)
        titles = [item.title for item in usable]
        alike = len(set(titles)) < len(titles)
        offered = [item_line(item) if alike else item.title for item in usable[: _CHOICES - 1]]
        return Ask(f"{text}\n{lines}", (*offered, phrases.say("task_everything", language)))

    def _usable(self, case: Case) -> list[Item]:
        return [item for item in case.order.items if getattr(item, self._may)]


class Swaps:
    """What each item is swapped for, one after another."""

    name = "swaps"

    def is_open(self, task: Task, case: Case) -> bool:
        """See Slot."""
        return len(task.swaps) < len(task.items)

    def read(self, task: Task, case: Case, text: str, language: str) -> Task:
        """See Slot. Said with the wish it counts where it leaves one variant."""
        if not self.is_open(task, case):
            return task
        found = self._meant(task, case, text)
        return replace(task, swaps=(*task.swaps, found[0].id)) if len(found) == 1 else task

    def ask(self, task: Task, case: Case, language: str) -> Ask:
        """See Slot."""
        item = self._item(task, case)
        found = self._variants(task, case)
        choices = tuple(_options(v) for v in found[:_CHOICES])
        lines = "\n".join(f"- {_options(v)}" for v in found)
        text = phrases.say("task_which_variant", language, item=item_line(item))
        return Ask(f"{text}\n{lines}", choices)

    def _meant(self, task: Task, case: Case, text: str) -> list[Variant]:
        """The variants that fit what a message names; of what it leaves open, as the item is."""
        found, item = self._variants(task, case), self._item(task, case)
        own = [v for v in case.variants.values() if v.options == item.options]
        for variant in (*found, *own):  # what it is already is refused by the rules
            if _options(variant).casefold() == text.strip().casefold():
                return [variant]
        scores = [len(_named_options(v.options, text, item.options)) for v in found]
        best = max(scores, default=0)
        fit = [v for v, score in zip(found, scores, strict=True) if score == best and best]
        kept = [sum(o in item.options for o in v.options) for v in fit]
        return [v for v, same in zip(fit, kept, strict=True) if same == max(kept)]

    def _variants(self, task: Task, case: Case) -> list[Variant]:
        """What there is of the product, but for what the customer has."""
        item = self._item(task, case)
        return [
            v for v in case.variants.values()
            if v.product_id == item.product_id and v.available and v.options != item.options
        ]  # fmt: skip

    @staticmethod
    def _item(task: Task, case: Case) -> Item:
        wanted = task.items[min(len(task.swaps), len(task.items) - 1)]
        return next(item for item in case.order.items if item.id == wanted)


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
        return Ask(text, tuple(self._labels(case).values())[:_CHOICES])

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
        case Swap(items=chosen, variants=new):
            pairs = zip(chosen, new, strict=True)
            found["items"] = ", ".join(
                f"{item_line(items[old])} → {_options(case.variants[name])}" for old, name in pairs
            )
        case Readdress(address=address):
            found["address"] = address
        case Repay(payment=payment):
            found["payment"] = labels.get(payment, payment)
    return found


def extra(change: Change, case: Case) -> Decimal:
    """What the customer pays more."""
    return difference(change, case) if isinstance(change, Swap) else Decimal(0)


def _options(variant: Variant) -> str:
    return ", ".join(value for _, value in variant.options) or variant.title


def _named_options(
    options: Sequence[tuple[str, str]], text: str, but: Sequence[tuple[str, str]] = ()
) -> list[tuple[str, str]]:
    """Options whose value a text names, but for those that are so already."""
    folded, said = text.casefold(), set(content_words(text))
    return [
        (name, value) for name, value in options
        if (name, value) not in but and _names_value(value, folded, said)
    ]  # fmt: skip


def _names_value(value: str, folded: str, said: set[str]) -> bool:
    words = content_words(value)
    if words:
        return set(words) <= said
    return value.casefold() in folded.split()  # a size such as M


def _as_often_as_said(items: Sequence[Item], text: str) -> list[Item]:
    """Items that are named in full; of several that are alike as many as the text names."""
    left, found = text.casefold(), []
    for item in items:
        line = item_line(item).casefold()
        if line in left:
            left = left.replace(line, "", 1)
            found.append(item)
    return found


def _ids(items: Sequence[Item]) -> tuple[str, ...]:
    return tuple(item.id for item in items)
