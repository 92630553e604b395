"""Tasks: what a customer wants changed of an order, put together over several messages, proposed
with all that it means, and done when they agree.

A task is kept with its conversation. Other questions may come between; then it waits, and is
proposed again before it is done: a "yes" counts only right after the proposal that it answers.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from assistant import phrases
from assistant.errors import ChangeRefusedError
from assistant.orders.task_store import Task, TaskStore
from assistant.orders.telling import item_line, money, record
from assistant.orders.wishes import names, says, wish
from assistant.records.changes import Cancel, Change, Readdress, Return, objection, worth
from assistant.records.seam import Records
from assistant.records.types import Item, Order
from assistant.skills import Fetched
from assistant.types import Answer, Clarify, Handoff, Outcome, Question, Refuse

DONE = "orders:done"
_CHOICES = 3
_LEAST_ADDRESS, _MOST_ADDRESS = 8, 300  # characters
_MOST_MISSES = 2  # times that something is asked for in vain


class Tasks:
    """Goes on with a conversation's task. Changes worth more than `most` wait for an agent."""

    def __init__(self, store: TaskStore, records: Records, most: Decimal) -> None:
        self.store = store
        self.records = records
        self.most = most

    def takes(self, question: Question) -> bool:
        """Whether a message wants something done, or goes on with what is open."""
        if wish(question.text, question.language):
            return True
        task = self.store.get(question.conversation_id)
        if task is None:
            return False
        text, language = question.text, question.language
        if any(says(word, text, language) for word in ("yes", "no", "leave", "everything")):
            return True
        if task.asked == "address":
            return _is_address(text)
        return task.asked == "items" and bool(
            self._named(task, question, question.customer_id or "")
        )

    def open(self, question: Question) -> Task | None:
        """The task that a message begins or goes on with."""
        kind = wish(question.text, question.language)
        task = self.store.get(question.conversation_id)
        if kind and (task is None or task.kind != kind):
            task = Task(kind, secrets.token_urlsafe(12))
            self.store.put(question.conversation_id, task)
        return task

    def step(self, task: Task, question: Question, customer: str, number: str) -> Fetched:
        """The next thing to ask, to propose or to do; `number` is the order's that was named last,
        if one was. Raises RecordsError."""
        text, language = question.text, question.language
        if says("leave", text, language) or (task.asked == "yes" and says("no", text, language)):
            return self._drop(question, "task_dropped")
        task = self._filled(task, question, customer, number)
        order = self.records.order(customer, task.order) if task.order else None
        if order is None:
            return self._ask_order(task, question, customer, bool(number))
        now = datetime.now()
        usable = [item for item in order.items if item.returnable]
        change = _change(task, order)
        if reason := objection(change or _any(task, order), order, now):
            return self._refused(question, order, reason)
        if change is None:
            return self._ask_rest(task, question, usable)
        if task.asked == "yes" and says("yes", text, language) and _was_proposed(question, order):
            return self._do(task, change, order, question, customer)
        return self._propose(task, change, order, question)

    def _filled(self, task: Task, question: Question, customer: str, number: str) -> Task:
        """The task with what the message says about it."""
        if number and number.casefold() != task.order.casefold():
            task = replace(task, order=number, items=(), asked="")
        if not task.order and (only := self._only(task, customer)):
            task = replace(task, order=only)
        if task.kind == "return" and (named := self._named(task, question, customer)):
            task = replace(task, items=named)
        if task.asked == "address" and _is_address(question.text):
            task = replace(task, address=" ".join(question.text.split()))
        return task

    def _named(self, task: Task, question: Question, customer: str) -> tuple[str, ...]:
        """Items of the order that a message names, or the only one there is."""
        order = self.records.order(customer, task.order) if customer and task.order else None
        usable = [item for item in order.items if item.returnable] if order else []
        if len(usable) == 1 or says("everything", question.text, question.language):
            return _ids(usable)
        return _ids([item for item in usable if names(question.text, item.title)])

    def _only(self, task: Task, customer: str) -> str:
        """The one order of the customer's that can be changed so."""
        found = self._changeable(task, customer)
        return found[0].number if len(found) == 1 else ""

    def _changeable(self, task: Task, customer: str) -> list[Order]:
        now = datetime.now()
        return [o for o in self.records.orders(customer) if not objection(_any(task, o), o, now)]

    def _ask_order(self, task: Task, question: Question, customer: str, was_named: bool) -> Fetched:
        language = question.language
        if was_named:
            self.store.put(question.conversation_id, replace(task, order=""))
            text = phrases.say("orders_unknown", language, number=task.order)
            return _ended(Clarify(text, "orders:unknown"))
        found = self._changeable(task, customer)
        if not found:
            return self._drop(question, f"task_none_{task.kind}", handoff=True)
        self.store.put(question.conversation_id, replace(task, asked="order"))
        numbers = tuple(o.number for o in found[:_CHOICES])
        return _ended(Clarify(phrases.say("task_which_order", language), "orders:several", numbers))

    def _ask_rest(self, task: Task, question: Question, usable: Sequence[Item]) -> Fetched:
        """Ask for the items or the address; a person takes over when that goes on in vain."""
        language = question.language
        asked = "items" if task.kind == "return" else "address"
        misses = task.misses + 1 if task.asked == asked else 0
        if misses > _MOST_MISSES:
            return self._drop(question, "task_stuck", handoff=True)
        self.store.put(question.conversation_id, replace(task, asked=asked, misses=misses))
        if asked == "address":
            text = phrases.say("task_which_address", language, number=task.order)
            return _ended(Clarify(text, "orders:address"))
        lines = "\n".join(f"- {item_line(item)}" for item in usable)
        text = phrases.say("task_which_items", language, number=task.order)
        every = phrases.say("task_everything", language)
        titles = [item.title for item in usable[: _CHOICES - 1]]
        return _ended(Clarify(f"{text}\n{lines}", "orders:items", (*titles, every)))

    def _propose(self, task: Task, change: Change, order: Order, question: Question) -> Fetched:
        language = question.language
        self.store.put(question.conversation_id, replace(task, asked="yes", misses=0))
        text = f"{_summary(change, order, language)}\n{phrases.say('task_sure', language)}"
        choices = (phrases.say("task_yes", language), phrases.say("task_no", language))
        return _ended(Clarify(text, "orders:confirm", choices))

    def _do(
        self, task: Task, change: Change, order: Order, question: Question, customer: str
    ) -> Fetched:
        """What was agreed to; above the limit an agent does it."""
        language, conversation = question.language, question.conversation_id
        if worth(change, order) > self.most:
            self.store.put(conversation, None)
            self.store.store.log("customer", "change_waits", f"{conversation} {order.number}")
            text = phrases.say("task_needs_agent", language)
            return _ended(Handoff(text, "orders:needs_agent"))
        try:
            changed = self.records.change(customer, change, f"{conversation}:{task.id}")
        except ChangeRefusedError as error:
            return self._refused(question, order, error.reason)
        self.store.put(conversation, None)
        self.store.store.log("customer", f"order_{change.kind}", f"{conversation} {order.number}")
        done = phrases.say(f"task_done_{change.kind}", language, **_values(change, changed))
        return record(changed, language, done, DONE)

    def _refused(self, question: Question, order: Order, reason: str) -> Fetched:
        """Say why not; what another shop sold, or only a person can judge, goes to a person."""
        self.store.put(question.conversation_id, None)
        known = reason if reason in {"over", "never", "item", "seller"} else "never"
        text = phrases.say(f"task_refused_{known}", question.language, number=order.number)
        if known == "seller":
            return _ended(Handoff(text, "orders:refused:seller"))
        return _ended(Refuse(text, f"orders:refused:{known}"))

    def _drop(self, question: Question, phrase: str, handoff: bool = False) -> Fetched:
        self.store.put(question.conversation_id, None)
        text, reason = phrases.say(phrase, question.language), phrase.replace("task_", "orders:")
        return _ended(Handoff(text, reason) if handoff else Answer(text, (), (), reason=reason))


def _change(task: Task, order: Order) -> Change | None:
    """The change, when all that it takes is known."""
    if task.kind == "cancel":
        return Cancel(order.number)
    if task.kind == "return":
        return Return(order.number, task.items) if task.items else None
    return Readdress(order.number, task.address) if task.address else None


def _any(task: Task, order: Order) -> Change:
    """A change of that kind, whatever the rest will be."""
    if task.kind == "cancel":
        return Cancel(order.number)
    if task.kind == "return":
        return Return(order.number, _ids([i for i in order.items if i.returnable]))
    return Readdress(order.number, "")


def _summary(change: Change, order: Order, language: str) -> str:
    """What will be done, of which order, and what it is worth."""
    return phrases.say(f"task_propose_{change.kind}", language, **_values(change, order, language))


def _values(change: Change, order: Order, language: str = "en") -> dict[str, str]:
    values = {"number": order.number, "total": money(worth(change, order), order, language)}
    if isinstance(change, Return):
        chosen = [item_line(i) for i in order.items if i.id in change.items]
        values["items"] = ", ".join(chosen)
    if isinstance(change, Readdress):
        values["address"] = change.address
    return values


def _was_proposed(question: Question, order: Order) -> bool:
    """Whether the customer answers a proposal about this order."""
    last = question.history[-1] if question.history else None
    sure = phrases.say("task_sure", question.language)
    return bool(
        last and last.role == "assistant" and sure in last.text and order.number in last.text
    )


def _is_address(text: str) -> bool:
    """Whether a message may be an address: people write a number, and more than a word."""
    said = " ".join(text.split())
    return (
        _LEAST_ADDRESS <= len(said) <= _MOST_ADDRESS
        and any(c.isdigit() for c in said)
        and not said.endswith(("?", "？"))
    )


def _ids(items: Sequence[Item]) -> tuple[str, ...]:
    return tuple(item.id for item in items)


def _ended(outcome: Outcome) -> Fetched:
    return Fetched(outcome=outcome)
